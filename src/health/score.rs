//! How an endpoint's tries went lately: a run of failures, and an average. Plain numbers, no clock.

use crate::config::EjectionPolicy;
use crate::outcome::Charge;

/// 1.0 of the average, which is kept as a whole number so that endpoints' averages add up exactly.
pub(super) const ONE: u32 = 1 << 24;
/// The average moves by a twentieth of the way.
const MEMORY: u32 = 20;
/// Below this it is nothing: an endpoint that is well again costs nothing to watch.
const NOTHING: u32 = ONE / 1_000;
/// An average must be so many times that of the other endpoints: what fails everywhere is no endpoint's fault.
pub const TIMES_OTHERS: f64 = 3.0;

/// What the last tries of an endpoint say.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Score {
    average: u32,
    /// Failures in a row.
    pub run: u32,
    /// Timeouts, resets and closes in a row.
    pub hard_run: u32,
}

/// Why an endpoint is ejected: the detector that found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Failures in a row.
    Consecutive,
    /// The average of failures.
    FailureRate,
    /// Envoy's success rate: far worse than the mean of the others.
    SuccessRate,
}

impl Reason {
    /// The value of the metric label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::FailureRate => "failure_rate",
            Self::SuccessRate => "success_rate",
        }
    }
}

impl Score {
    /// A try ended so. Not for [`Charge::Down`] and [`Charge::Nothing`], which say nothing of tries.
    pub(super) fn add(&mut self, charge: Charge) {
        match charge {
            Charge::Success => {
                (self.run, self.hard_run) = (0, 0);
                self.average -= self.average / MEMORY;
                if self.average < NOTHING {
                    self.average = 0;
                }
                return;
            }
            Charge::Exception => self.hard_run = 0,
            Charge::Timeout | Charge::Failure => self.hard_run += 1,
            Charge::Down | Charge::Nothing => return,
        }
        self.run += 1;
        self.average += (ONE - self.average) / MEMORY;
    }

    /// What failed before says nothing any more of a row: the endpoint was away.
    pub(super) fn break_run(&mut self) {
        (self.run, self.hard_run) = (0, 0);
    }

    /// Whether there is anything to remember.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// The average of failures, 0 to 1.
    pub fn average(&self) -> f64 {
        f64::from(self.average) / f64::from(ONE)
    }

    /// The average as it is summed up.
    pub(super) fn raw(&self) -> u32 {
        self.average
    }

    /// The detector that finds something, whether or not it fails everywhere.
    pub fn found(&self, rules: &EjectionPolicy) -> Option<Reason> {
        let n = rules.consecutive;
        let in_a_row = n > 0 && (self.hard_run >= n || self.run >= mixed(n));
        let often = !rules.failure_rate.is_zero() && self.average() >= rules.failure_rate.get();
        if in_a_row {
            Some(Reason::Consecutive)
        } else if often {
            Some(Reason::FailureRate)
        } else {
            None
        }
    }

    /// Whether it fails at least three times as often as the others do in the mean.
    pub fn stands_out(&self, mean_of_others: f64) -> bool {
        self.average() >= TIMES_OTHERS * mean_of_others
    }
}

/// In a row where some were exceptions: eight for five.
pub fn mixed(consecutive: u32) -> u32 {
    consecutive.saturating_mul(8).div_ceil(5)
}
