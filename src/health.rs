//! An endpoint's state: up, on probation, down or ejected. One state machine, told what happened, asked for the state.
//!
//! - **down**: a connect failed. At once, outside of any cap: nobody can use it. The way back is a connect. Or its
//!   health checks failed in a row ([`Checks`]); the way back is that they pass.
//! - **probation**: one try was overdue, or an ejection ran out, or tries fail and no other endpoint was tried meanwhile. A
//!   flag that the pick reads: one call at a time.
//! - **ejected**: tries fail, and those of the other endpoints do not ([`Score`], `witness`). Bounded by
//!   [`Peers::held`], for a time that doubles; the way back is probation.
//!
//! An endpoint of which nothing bad is known costs two atomic adds per try.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::EjectionPolicy;
use crate::outcome::{Charge, Outcome};

mod checks;
mod inner;
mod outage;
mod peers;
mod score;
#[cfg(test)]
mod simulation;
mod snapshot;
mod state;
pub mod success_rate;
#[cfg(test)]
mod tests;
mod witness;

pub use checks::{Check, Checked, Checks, Missed};
use inner::Inner;
pub use outage::{Found, Outage};
pub use peers::{Census, Held, Peers};
pub use score::{Reason, Score, TIMES_OTHERS, mixed};
pub use snapshot::{Cause, Ejection, Probation, Snapshot};
pub use state::State;

/// Successes in a row that end the probation after an ejection.
pub const PASSES: u32 = 5;
/// One step down of the ejection time for each so long a time of being up.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Times are jittered by a tenth.
const JITTER: f64 = 0.1;

/// Something to remember: not every success is let through unseen.
const WATCHED: u8 = 1 << 4;
/// Its share grows: it is back from an ejection.
const SLOW: u8 = 1 << 5;
const STATE: u8 = 0b1111;

/// The state of one endpoint.
pub struct Health {
    /// The state, and [`WATCHED`] and [`SLOW`]: what a pick and a success read.
    flags: AtomicU8,
    /// Tries and successes of the interval under way, for the success rate: two counts of 32 bits.
    tally: AtomicU64,
    peers: Arc<Peers>,
    inner: Mutex<Inner>,
}

/// What came of a try.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Learned {
    /// The state it is in now, where that changed.
    pub state: Option<State>,
    /// It should be ejected, if the caps allow it: [`Health::eject`].
    pub eject: Option<Reason>,
    /// It should be, and the caps do not allow it: said once.
    pub held: Option<(Reason, Held)>,
}

impl Health {
    /// A registered endpoint, up, with nothing known of it.
    pub fn new(peers: Arc<Peers>) -> Self {
        peers.moved(None, Some((State::Up, 0)));
        Self {
            flags: AtomicU8::new(State::Up as u8),
            tally: AtomicU64::new(0),
            peers,
            inner: Mutex::new(Inner::new()),
        }
    }

    /// The state.
    #[inline]
    pub fn state(&self) -> State {
        State::ALL[usize::from(self.flags.load(Relaxed) & STATE) % State::ALL.len()]
    }

    /// Whether the pick has to look closer: it is on probation, or its share grows.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.flags.load(Relaxed) & (STATE | SLOW) == State::Up as u8
    }

    /// The share of its calls that an endpoint gets now: less than 1 while it grows.
    pub fn share(&self, slow_start: Duration, now: Instant) -> f64 {
        if self.flags.load(Relaxed) & SLOW == 0 {
            return 1.0;
        }
        let since = self.inner.lock().slow_since;
        since.map_or(1.0, |since| share(since, slow_start, now))
    }

    /// A try ended, with this charge.
    #[inline]
    pub fn observe(&self, charge: Charge, rules: &EjectionPolicy, now: Instant) -> Learned {
        match charge {
            Charge::Down | Charge::Nothing => return Learned::default(),
            Charge::Success => self.tally.fetch_add((1 << 32) | 1, Relaxed),
            _ => self.tally.fetch_add(1 << 32, Relaxed),
        };
        let plain = self.flags.load(Relaxed) & (STATE | WATCHED) == State::Up as u8;
        if !rules.enabled {
            return Learned::default();
        }
        if plain && charge == Charge::Success {
            self.peers.tries(false);
            return Learned::default();
        }
        self.learn(charge, rules, now)
    }

    #[cold]
    fn learn(&self, charge: Charge, rules: &EjectionPolicy, now: Instant) -> Learned {
        let mut learned = Learned::default();
        let state = self.change(|inner, peers| {
            if !inner.state().is_picked() || !inner.registered {
                // What was under way when it went changes nothing: the average is kept over an ejection.
                return;
            }
            let before = inner.score.raw();
            inner.count(charge != Charge::Success, peers);
            inner.score.add(charge);
            if charge == Charge::Success {
                inner.held = None;
                inner.passed(rules, now);
                return;
            }
            let others = peers.mean_of_others(before);
            if charge == Charge::Timeout && inner.probation.is_none() {
                inner.probation = Some(Probation {
                    since: now,
                    cause: Cause::Overdue,
                });
            }
            let found = match &mut inner.probation {
                Some(Probation {
                    cause: Cause::Returned(reason, passes),
                    ..
                }) => {
                    *passes = 0;
                    Some(*reason)
                }
                _ => inner.score.found(rules),
            };
            let Some(reason) = found.filter(|_| inner.score.stands_out(others)) else {
                return;
            };
            match peers.held(rules) {
                None if inner.is_witnessed(reason, peers) => learned.eject = Some(reason),
                None => inner.doubt(now),
                Some(held) => learned.held = inner.hold(reason, held),
            }
        });
        learned.state = state;
        learned
    }

    /// Ejects it at `now`, if it is neither ejected nor gone; the caller has checked the caps and keeps others from
    /// ejecting meanwhile. Returns when it comes back. `jitter` is between -1 and 1.
    pub fn eject(
        &self,
        reason: Reason,
        rules: &EjectionPolicy,
        now: Instant,
        jitter: f64,
    ) -> Option<Ejection> {
        let mut ejected = None;
        self.change(|inner, peers| {
            if inner.ejection.is_some() || !inner.registered {
                return;
            }
            let forgiven = inner.up_since.map_or(0, |since| {
                now.saturating_duration_since(since).as_secs() / FORGIVEN.as_secs()
            });
            inner.step = inner
                .step
                .saturating_sub(forgiven.min(u64::from(u32::MAX)) as u32);
            let doubled = rules
                .base_ejection_time
                .mul_f64(2f64.powi(inner.step.min(30) as i32));
            let time = doubled
                .min(rules.max_ejection_time)
                .mul_f64(1.0 + JITTER * jitter);
            // No further than to the longest time.
            inner.step += u32::from(doubled < rules.max_ejection_time);
            let ejection = Ejection {
                since: now,
                until: now + time,
                reason,
                again: reason != Reason::SuccessRate && inner.is_back(),
                score: inner.score,
            };
            inner.ejection = Some(ejection);
            inner.count_from_now(peers);
            inner.probation = None;
            inner.held = None;
            inner.up_since = None;
            inner.slow_since = None;
            ejected = Some(ejection);
        });
        ejected
    }

    /// The caps did not allow it after all. True if that is news.
    pub fn hold(&self, reason: Reason, held: Held) -> bool {
        self.inner.lock().hold(reason, held).is_some()
    }

    /// The ejection ends: on probation from now on. True if it was ejected.
    pub fn release(&self, now: Instant) -> bool {
        let mut was = false;
        self.change(|inner, _| {
            let Some(ejection) = inner.ejection.take() else {
                return;
            };
            was = true;
            inner.score.break_run();
            inner.probation = Some(Probation {
                since: now,
                cause: Cause::Returned(ejection.reason, 0),
            });
        });
        was
    }

    /// A check that began then has passed: an ejection older than that ends (Envoy's
    /// `successful_active_health_check_uneject_host`). True if there was one.
    pub fn release_from_before(&self, began: Instant, now: Instant) -> bool {
        let since = self.inner.lock().ejection.map(|ejection| ejection.since);
        since.is_some_and(|since| since <= began) && self.release(now)
    }

    /// Forgets ejection and probation: the policy no longer wants them. True if the state changed.
    pub fn pardon(&self) -> bool {
        self.change(|inner, _| {
            (inner.ejection, inner.probation, inner.held) = (None, None, None);
            (inner.score, inner.slow_since) = (Score::default(), None);
        })
        .is_some()
    }

    /// A connect failed at `now`. True if that is news: the endpoint was not down until then, or by its checks alone,
    /// which then still keep it down. `jitter` is between -1 and 1.
    pub fn connect_failed(
        &self,
        outcome: Outcome,
        detail: &str,
        now: Instant,
        jitter: f64,
    ) -> bool {
        let mut first = false;
        self.change(|inner, _| {
            if inner.is_kept_by_checks() {
                first = inner.set_unreachable(true);
                return;
            }
            first = inner.outage.is_none();
            let outage = Outage::after(inner.outage.as_ref(), outcome, detail, now, jitter);
            inner.outage = Some(outage);
            if outcome == Outcome::ConnectRefused {
                // Nobody is there: what comes back is another process, and owes nothing for this one.
                inner.ejection = None;
            }
        });
        first
    }

    /// A connect succeeded. True if that is news: the endpoint was down until then, and a connect ends that, or its
    /// checks alone keep it down from now on.
    pub fn connected(&self) -> bool {
        if self.state() != State::Down {
            return false;
        }
        let mut news = false;
        self.change(|inner, _| {
            news = match inner.is_kept_by_checks() {
                true => inner.set_unreachable(false),
                false => inner.back(),
            };
        });
        news
    }

    /// Whether it is called where no endpoint is up: only its checks speak against it, and they may be wrong.
    pub fn is_last_resort(&self) -> bool {
        let inner = self.inner.lock();
        let outage = inner.outage.as_ref();
        outage.is_some_and(Outage::is_by_checks_alone) && inner.ejection.is_none()
    }

    /// Whether the registry has it. One that it has not counts for nothing.
    pub fn set_registered(&self, registered: bool) {
        self.change(|inner, _| inner.registered = registered);
    }

    /// When it may be back: the next background connect or check, or the end of its ejection. `None` while calls go to it.
    pub fn returns_at(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        let connect = inner.outage.as_ref().map(|outage| outage.next);
        connect.or_else(|| inner.ejection.map(|ejection| ejection.until))
    }

    /// When the next background connect is due; `None` unless it is down by a connect.
    pub fn next_connect(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        let outage = inner.outage.as_ref();
        outage
            .filter(|outage| outage.found == Found::ByConnect)
            .map(|outage| outage.next)
    }

    /// The end of its ejection.
    pub fn ejected_until(&self) -> Option<Instant> {
        self.inner.lock().ejection.map(|ejection| ejection.until)
    }

    /// Why it is down.
    pub fn outage(&self) -> Option<Outage> {
        self.inner.lock().outage.clone()
    }

    /// Tries and successes since this was last asked.
    pub fn take_tally(&self) -> (u32, u32) {
        let tally = self.tally.swap(0, Relaxed);
        let tally = ((tally >> 32) as u32, tally as u32);
        self.inner.lock().tally = tally;
        tally
    }

    /// Ends the growth of its share when its time is over, so that the pick need not look closer.
    pub fn upkeep(&self, slow_start: Duration, now: Instant) {
        if self.flags.load(Relaxed) & SLOW == 0 {
            return;
        }
        self.change(|inner, _| {
            inner.slow_since = inner
                .slow_since
                .filter(|since| now.saturating_duration_since(*since) < slow_start);
        });
    }

    /// Everything behind the state.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        // Of the others' sum it is a part itself only where it is registered, and picked.
        let counted = inner.registered && inner.state().is_picked();
        let (without, average) = if counted {
            (1, inner.score.raw())
        } else {
            (0, 0)
        };
        Snapshot {
            state: inner.state(),
            score: inner.score,
            mean_of_others: self.peers.mean(without, average),
            outage: inner.outage.clone(),
            checks: inner.checks.clone(),
            probation: inner.probation,
            ejection: inner.ejection,
            held: inner.held,
            slow_since: inner.slow_since,
            tally: inner.tally,
            census: self.peers.census(),
        }
    }

    /// Changes what is known, and what follows from it: the flags, and the sums over all endpoints. Returns the new
    /// state where that is another one.
    fn change(&self, change: impl FnOnce(&mut Inner, &Peers)) -> Option<State> {
        let mut inner = self.inner.lock();
        let was = inner.standing();
        change(&mut inner, &self.peers);
        let (is, state) = (inner.standing(), inner.state());
        self.peers.moved(was, is);
        let mut flags = state as u8;
        if !inner.score.is_clean() || inner.held.is_some() {
            flags |= WATCHED;
        }
        if inner.slow_since.is_some() {
            flags |= SLOW;
        }
        let before = self.flags.swap(flags, Relaxed);
        (before & STATE != flags & STATE).then_some(state)
    }
}

/// The share of its calls that an endpoint gets that came back from an ejection at `since`, growing over `slow_start`; a
/// tenth at least, so that it is tried at all (Envoy's `min_weight_percent`).
pub fn share(since: Instant, slow_start: Duration, now: Instant) -> f64 {
    let grown = now.saturating_duration_since(since);
    if grown >= slow_start {
        return 1.0;
    }
    (grown.as_secs_f64() / slow_start.as_secs_f64()).max(0.1)
}
