//! The state machine, as it is behind the lock: told what happened, it says what changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::rules::Rules;
use super::said::{Change, Closing};
use super::{Cause, Forced, Mode, Opened, Permit, Refusal, Snapshot, State, Touched};
use crate::config::BreakerPolicy;

/// Between two probes (Kitex: `DetectTimeout`).
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(200);
/// Probes that have to succeed (Kitex: `HalfOpenSuccesses`).
pub(super) const SUCCESSES: u32 = 2;

pub(super) struct Core {
    rules: Arc<Rules>,
    /// Grows with each change of state.
    generation: u32,
    machine: Machine,
    since: Instant,
    forced: Option<(Forced, Instant)>,
    /// The endpoint that the run of failures began at, and whether it touched another one since.
    first: u32,
    several: bool,
}

/// What the calls have led to.
#[derive(Clone, Copy)]
enum Machine {
    Closed,
    Open {
        opened: Opened,
        until: Instant,
    },
    HalfOpen {
        opened: Opened,
        next_probe: Instant,
        successes: u32,
    },
}

impl Core {
    pub(super) fn new(rules: Arc<Rules>, now: Instant) -> Self {
        Self {
            rules,
            generation: 0,
            machine: Machine::Closed,
            since: now,
            forced: None,
            first: 0,
            several: false,
        }
    }

    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// `None` where the policy has no breaker and nobody forced it.
    pub(super) fn state(&self) -> Option<State> {
        match (self.forced, self.machine) {
            (Some((Forced::Open, _)), _) => Some(State::ForcedOpen),
            (Some((Forced::Closed, _)), _) => Some(State::ForcedClosed),
            _ if !self.rules.policy.enabled => None,
            (None, Machine::Closed) => Some(State::Closed),
            (None, Machine::Open { .. }) => Some(State::Open),
            (None, Machine::HalfOpen { .. }) => Some(State::HalfOpen),
        }
    }

    /// What a call that comes now has to know.
    pub(super) fn permit(&self) -> Permit {
        self.stamped(match self.state() {
            None => Mode::Off,
            Some(State::Closed) => Mode::Free,
            Some(_) => Mode::Ask,
        })
    }

    fn stamped(&self, mode: Mode) -> Permit {
        let generation = self.generation;
        Permit { generation, mode }
    }

    /// Whether the permit is of the present generation.
    pub(super) fn is_of(&self, permit: &Permit) -> bool {
        permit.generation == self.generation
    }

    /// Another state, from now on.
    fn enter_machine(&mut self, machine: Machine, now: Instant) {
        self.machine = machine;
        self.since = now;
        // One a second lasts 136 years.
        self.generation = self.generation.wrapping_add(1);
    }

    fn close(&mut self, now: Instant) {
        self.enter_machine(Machine::Closed, now);
        self.rules.window.reset();
    }

    fn open(&mut self, opened: Opened, now: Instant) {
        let policy = &self.rules.policy;
        let jitter = policy.preset.jitter() * (2.0 * fastrand::f64() - 1.0);
        let until = now + policy.cooling.mul_f64(1.0 + jitter);
        self.enter_machine(Machine::Open { opened, until }, now);
    }

    /// What time alone changes.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Change> {
        match (self.forced, self.machine) {
            (Some((_, until)), _) if now >= until => {
                self.forced = None;
                self.close(now);
                Some(self.closed(Closing::ForcingEnded))
            }
            (None, Machine::Open { opened, until }) if now >= until => {
                let half_open = Machine::HalfOpen {
                    opened,
                    next_probe: until,
                    successes: 0,
                };
                self.enter_machine(half_open, now);
                Some(Change::HalfOpened)
            }
            _ => None,
        }
    }

    pub(super) fn enter(&mut self, now: Instant) -> (Result<Permit, Refusal>, Option<Change>) {
        let change = self.advance(now);
        (self.admit(now), change)
    }

    fn admit(&mut self, now: Instant) -> Result<Permit, Refusal> {
        let left = |until: Instant| until.saturating_duration_since(now);
        let permit = self.permit();
        match (self.forced, &mut self.machine) {
            (Some((Forced::Open, until)), _) => Err(Refusal::Forced { left: left(until) }),
            (Some((Forced::Closed, _)), _) | (None, Machine::Closed) => Ok(permit),
            (None, Machine::Open { opened, until }) => Err(Refusal::Open {
                opened: *opened,
                next_probe: left(*until),
            }),
            (
                None,
                Machine::HalfOpen {
                    opened, next_probe, ..
                },
            ) => {
                if now < *next_probe {
                    return Err(Refusal::Open {
                        opened: *opened,
                        next_probe: left(*next_probe),
                    });
                }
                *next_probe = now + PROBE_EVERY;
                Ok(self.stamped(Mode::Probe))
            }
        }
    }

    /// A call failed while closed; `before` it so many had failed in a row.
    pub(super) fn failed(&mut self, at: Instant, touched: Touched, before: u32) -> Option<Change> {
        self.rules.window.add(at, 1, 1);
        if before == 0 || self.first == 0 {
            (self.first, self.several) = (touched.endpoint, false);
        } else if touched.endpoint != 0 {
            self.several |= touched.endpoint != self.first;
        }
        let cause = self.judge(at, before.saturating_add(1), touched.pickable)?;
        let opened = Opened {
            cause,
            failed_probes: 0,
        };
        self.open(opened, at);
        Some(Change::Opened(opened))
    }

    /// Whether that is reason to open, and which.
    fn judge(&self, at: Instant, run: u32, pickable: usize) -> Option<Cause> {
        let policy = &self.rules.policy;
        let (calls, bad) = self.rules.window.totals(at);
        if calls >= u64::from(policy.min_samples) && policy.error_rate.is_reached(bad, calls) {
            let window = policy.window;
            return Some(Cause::Rate { calls, bad, window });
        }
        let enough = policy.consecutive > 0 && run >= policy.consecutive;
        (enough && (self.several || pickable <= 1)).then_some(Cause::Run { calls: run })
    }

    pub(super) fn probe_succeeded(&mut self, permit: &Permit, at: Instant) -> Option<Change> {
        let is_of = self.is_of(permit);
        let Machine::HalfOpen { successes, .. } = &mut self.machine else {
            return None;
        };
        if !is_of {
            return None;
        }
        *successes += 1;
        if *successes < SUCCESSES {
            return None;
        }
        self.close(at);
        Some(Change::Closed(Closing::Probes))
    }

    pub(super) fn probe_failed(&mut self, permit: &Permit, at: Instant) -> Option<Change> {
        let Machine::HalfOpen { mut opened, .. } = self.machine else {
            return None;
        };
        if !self.is_of(permit) {
            return None;
        }
        opened.failed_probes = opened.failed_probes.saturating_add(1);
        self.open(opened, at);
        Some(Change::Reopened(opened))
    }

    pub(super) fn force(&mut self, to: Forced, until: Instant, now: Instant) -> Change {
        self.forced = Some((to, until));
        self.close(now);
        Change::Forced(to, until.saturating_duration_since(now))
    }

    pub(super) fn reset(&mut self, now: Instant) -> Change {
        self.forced = None;
        self.close(now);
        self.closed(Closing::Reset)
    }

    pub(super) fn set_policy(&mut self, policy: &BreakerPolicy, now: Instant) -> Option<Change> {
        if self.rules.policy == *policy {
            return None;
        }
        self.rules = Arc::new(Rules::new(policy));
        let since = self.since;
        self.close(now);
        Some(match self.forced {
            Some((to, until)) => {
                self.since = since;
                Change::StaysForced(to, until.saturating_duration_since(now))
            }
            None => self.closed(Closing::Policy),
        })
    }

    /// Closed, or off where the policy has no breaker.
    fn closed(&self, why: Closing) -> Change {
        match self.rules.policy.enabled {
            true => Change::Closed(why),
            false => Change::Off(why),
        }
    }

    pub(super) fn snapshot(&self, run: u32, now: Instant) -> Snapshot {
        let (calls, bad) = self.rules.window.totals(now);
        let left = |until: Instant| until.saturating_duration_since(now);
        let (opened, next_probe, probe_successes) = match self.machine {
            Machine::Closed => (None, None, 0),
            Machine::Open { opened, until } => (Some(opened), Some(left(until)), 0),
            Machine::HalfOpen {
                opened,
                next_probe,
                successes,
            } => (Some(opened), Some(left(next_probe)), successes),
        };
        let open_until = match self.machine {
            Machine::Open { until, .. } => Some(until),
            Machine::Closed | Machine::HalfOpen { .. } => None,
        };
        Snapshot {
            state: self.state(),
            since: self.since,
            generation: self.generation,
            calls,
            bad,
            policy: self.rules.policy.clone(),
            run,
            several: run > 0 && self.several,
            opened,
            open_until,
            next_probe,
            probe_successes,
            forced_until: self.forced.map(|(_, until)| until),
        }
    }
}
