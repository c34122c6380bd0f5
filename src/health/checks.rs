//! Active health checks, as an endpoint's state sees them: runs of passes and failures, and what follows from them.
//!
//! When checks are made, and how, is not known here: the cluster makes them and tells.

use tokio::time::Instant;

use super::{Found, Health, Inner, Outage};
use crate::config::{CheckKind, HealthCheck};
use crate::outcome::Outcome;

/// Why a check failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// What it is called.
    pub outcome: Outcome,
    /// What happened, in words: "no answer within 1s".
    pub detail: Box<str>,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// When it ended.
    pub at: Instant,
    /// How.
    pub result: Result<(), Missed>,
}

/// How an endpoint's checks went.
#[derive(Clone, Default, Debug)]
pub struct Checks {
    /// The last one; `None` before the first, and where nothing checks.
    pub last: Option<Check>,
    /// Passes in a row, the last one included.
    pub passes: u32,
    /// Failures in a row, the last one included.
    pub failures: u32,
}

/// What followed from a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Checked {
    /// It is down: it just went, or it was new and has failed for so long.
    Down(Box<str>),
    /// It was down, or not checked yet, and is no more.
    Back,
}

impl Health {
    /// It gets no call before its first pass. For a new endpoint.
    pub fn require_check(&self, now: Instant) {
        self.change(|inner, _| inner.outage = Some(Outage::unchecked(now)));
    }

    /// Whether it still has to pass its first check before it may get a call.
    pub fn is_unchecked(&self) -> bool {
        let inner = self.inner.lock();
        let outage = inner.outage.as_ref();
        outage.is_some_and(|outage| outage.found == Found::Unchecked)
    }

    /// A check ended at `now`.
    pub fn checked(
        &self,
        result: &Result<(), Missed>,
        rules: &HealthCheck,
        now: Instant,
    ) -> Option<Checked> {
        let mut news = None;
        self.change(|inner, _| {
            inner.checks.add(result, now);
            news = match result {
                Ok(()) => inner.check_passed(rules),
                Err(missed) => inner.check_failed(missed, rules, now),
            };
        });
        news
    }

    /// Other rules, since `now`: what they would not have kept down is left to a background connect. True if it is.
    pub fn set_checks(&self, rules: &HealthCheck, now: Instant) -> bool {
        let mut left = false;
        self.change(|inner, _| {
            if rules.kind == CheckKind::Off {
                inner.checks = Checks::default();
            }
            let kept = |found| match found {
                Found::ByConnect => true,
                Found::ByCheck => rules.kind != CheckKind::Off,
                Found::Unchecked => rules.required,
            };
            left = inner.outage.as_ref().is_some_and(|o| !kept(o.found));
            if left {
                let outage = inner.outage.take();
                inner.outage = outage.map(|outage| outage.left_to_connects(now));
            }
        });
        left
    }
}

impl Checks {
    fn add(&mut self, result: &Result<(), Missed>, now: Instant) {
        (self.passes, self.failures) = match result {
            Ok(()) => (self.passes.saturating_add(1), 0),
            Err(_) => (0, self.failures.saturating_add(1)),
        };
        self.last = Some(Check {
            at: now,
            result: result.clone(),
        });
    }
}

impl Inner {
    fn check_passed(&mut self, rules: &HealthCheck) -> Option<Checked> {
        let needed = match self.outage.as_ref()?.found {
            Found::ByCheck => rules.healthy_threshold,
            Found::ByConnect | Found::Unchecked => 1,
        };
        (self.checks.passes >= needed && self.back()).then_some(Checked::Back)
    }

    fn check_failed(
        &mut self,
        missed: &Missed,
        rules: &HealthCheck,
        now: Instant,
    ) -> Option<Checked> {
        let failures = self.checks.failures;
        let before = self.outage.as_ref();
        let news = match before.map(|outage| outage.found) {
            // It is dialled in the background already, and its outage says how that goes.
            Some(Found::ByConnect) => return None,
            None if failures < rules.unhealthy_threshold => return None,
            None => true,
            Some(Found::Unchecked) => failures == rules.unhealthy_threshold,
            Some(Found::ByCheck) => false,
        };
        let outage = Outage::after_check(before, failures, missed, now, now + rules.interval);
        let detail = outage.detail.clone();
        self.outage = Some(outage);
        news.then_some(Checked::Down(detail))
    }
}
