//! The circuit breaker of one method of one service: refuses calls while most of them would fail anyway.
//!
//! ```text
//!            rate or run reached                    cooling is over
//!   closed ──────────────────────▶ open ──────────────────────────▶ half-open
//!     ▲                              ▲                                │    │
//!     │                              └───────── a probe fails ────────┘    │
//!     └──────────────────────────── two probes succeed ────────────────────┘
//! ```
//!
//! - **closed → open** is judged when a call fails, never else: the window holds at least `min_samples` calls and
//!   `error_rate` of them failed; or `consecutive` calls in a row failed, any success between them ending the run, and
//!   they touched at least two endpoints, or the only one there is. (A run at one endpoint of several is that
//!   endpoint's, and ejection's to deal with.)
//! - **open** refuses for `cooling`. **half-open** lets the first call through as a probe, then one per 200 ms; by time,
//!   not by how many are in flight, so that a probe that never ends blocks nothing. Two successes close it, and the
//!   window begins anew; a failure opens it again for another `cooling`; what counts as nothing changes nothing.
//! - A call takes a [`Permit`] that carries the breaker's **generation**. Each change of state is a new generation, and
//!   an answer to an older one moves nothing.
//! - **Forced** open or closed by a person, until an instant; then it begins closed afresh.
//!
//! A method has one if it has a slot of its own. The rules are those of Kitex's `CBSuite` at the service level
//! (`pkg/circuitbreak`, `cloud/circuitbreaker`), and with `preset = "kitex"` so are the numbers. What differs: Kitex
//! counts each try, we count each call, once, with its outcome. There a late error counts in every state, and a late
//! success may close a newer half-open; here the generation stops both. Kitex knows no run beside the rate.
//!
//! While it is closed a call costs one load on its way in, and one add to the window on its way out. Everything else is
//! behind a short lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::BreakerPolicy;
use crate::metrics::BreakerMetrics;
use crate::outcome::End;

mod core;
mod rules;
mod said;
#[cfg(test)]
mod tests;

use self::core::Core;
use rules::{Rules, Verdict};
use said::Change;
/// Probes that have to succeed until it closes.
pub const PROBES: u32 = self::core::SUCCESSES;

pub(crate) use said::ahead;
pub use said::{Cause, Forced, Opened, Refusal, Snapshot, State};

/// The breaker of one method.
pub struct Breaker {
    service: Arc<str>,
    method: Arc<str>,
    metrics: BreakerMetrics,
    /// What a call has to know: the generation and the [`Mode`], as a permit packs them.
    word: AtomicU64,
    /// Failed calls in a row. A success only ever stores 0, and only if it is not 0 already.
    run: AtomicU32,
    rules: ArcSwap<Rules>,
    core: Mutex<Core>,
}

/// What a call has to know of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    /// Closed: come in, and report how it ended.
    Free,
    /// There is no breaker to speak of: come in, nothing is counted.
    Off,
    /// Open, half-open or forced: ask under the lock.
    Ask,
    /// Of a permit only: it is a probe.
    Probe,
}

/// A call that was let in. Dropping it unsettled says nothing of how it ended, and blocks nothing.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    generation: u32,
    mode: Mode,
}

impl Permit {
    /// Of a call that no breaker looks at.
    pub const UNCOUNTED: Self = Self {
        generation: 0,
        mode: Mode::Off,
    };

    /// As a breaker's word has it.
    #[inline]
    fn of(word: u64) -> Self {
        let mode = match word & 3 {
            0 => Mode::Free,
            1 => Mode::Off,
            2 => Mode::Ask,
            _ => Mode::Probe,
        };
        let generation = (word >> 2) as u32;
        Self { generation, mode }
    }

    #[inline]
    fn word(&self) -> u64 {
        u64::from(self.generation) << 2 | self.mode as u64
    }

    /// Whether the call is a probe: it must not be sent twice.
    #[inline]
    pub fn is_probe(&self) -> bool {
        self.mode == Mode::Probe
    }

    /// The generation of the breaker that let it in.
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

/// Where a failed call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The number of the endpoint that it touched last; 0 where there was none.
    pub endpoint: u32,
    /// How many endpoints may be picked.
    pub pickable: usize,
}

impl Breaker {
    /// A closed breaker of this method of this service.
    pub fn new(service: &Arc<str>, method: &Arc<str>, policy: &BreakerPolicy) -> Self {
        let rules = Arc::new(Rules::new(policy));
        let core = Core::new(rules.clone(), Instant::now());
        let metrics = BreakerMetrics::new(service, method);
        metrics.state(core.state().map(State::label));
        Self {
            service: service.clone(),
            method: method.clone(),
            metrics,
            word: AtomicU64::new(core.permit().word()),
            run: AtomicU32::new(0),
            rules: ArcSwap::new(rules),
            core: Mutex::new(core),
        }
    }

    /// Lets a call in.
    ///
    /// # Errors
    ///
    /// It is open, or half-open and it is not yet time for the next probe.
    #[inline]
    pub fn enter(&self, now: Instant) -> Result<Permit, Refusal> {
        let permit = Permit::of(self.word.load(Relaxed));
        if permit.mode == Mode::Ask {
            return self.change(|core| core.enter(now));
        }
        Ok(permit)
    }

    /// A call that was let in has ended. `touched` is asked only if it failed.
    #[inline]
    pub fn settle(&self, permit: &Permit, end: End, touched: impl FnOnce() -> Touched) {
        if matches!(permit.mode, Mode::Off | Mode::Ask) {
            return;
        }
        let rules = self.rules.load();
        match (rules.verdict(end.outcome), permit.mode) {
            (Verdict::Nothing, _) => {}
            (Verdict::Success, Mode::Probe) => {
                self.change(|core| ((), core.probe_succeeded(permit, end.at)));
            }
            (Verdict::Failure, Mode::Probe) => {
                self.change(|core| ((), core.probe_failed(permit, end.at)));
            }
            (Verdict::Success, _) => self.succeeded(permit, &rules, end.at),
            (Verdict::Failure, _) => self.failed(permit, end.at, touched()),
        }
    }

    #[inline]
    fn succeeded(&self, permit: &Permit, rules: &Rules, at: Instant) {
        if self.word.load(Relaxed) == permit.word() {
            rules.window.add(at, 1, 0);
            if self.run.load(Relaxed) != 0 {
                self.run.store(0, Relaxed);
            }
        }
    }

    #[cold]
    fn failed(&self, permit: &Permit, at: Instant, touched: Touched) {
        self.change(|core| {
            if !core.is_of(permit) {
                return ((), None);
            }
            let before = self.run.fetch_add(1, Relaxed);
            ((), core.failed(at, touched, before))
        });
    }

    /// What the passing of time alone changes, so that what is shown is true though no call comes.
    pub fn upkeep(&self, now: Instant) {
        if Permit::of(self.word.load(Relaxed)).mode == Mode::Ask {
            self.change(|core| ((), core.advance(now)));
        }
    }

    /// Opens or closes it until then, whatever the calls say.
    pub fn force(&self, to: Forced, until: Instant, now: Instant) {
        self.change(|core| ((), Some(core.force(to, until, now))));
    }

    /// Closed afresh, and forced no longer.
    pub fn reset(&self, now: Instant) {
        self.change(|core| ((), Some(core.reset(now))));
    }

    /// Another policy, after a reload. The same one keeps all state; a changed one starts it closed afresh, though what
    /// a person has forced stays so.
    pub fn set_policy(&self, policy: &BreakerPolicy, now: Instant) {
        self.change(|core| {
            let change = core.set_policy(policy, now);
            if change.is_some() {
                self.rules.store(core.rules().clone());
            }
            ((), change)
        });
    }

    /// Its state, and the numbers behind it.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.upkeep(now);
        self.core.lock().snapshot(self.run.load(Relaxed), now)
    }

    /// The one way in which the state changes: what calls and metrics see follows under the same lock, the log after it.
    #[cold]
    fn change<T>(&self, act: impl FnOnce(&mut Core) -> (T, Option<Change>)) -> T {
        let mut core = self.core.lock();
        let before = core.state();
        let (value, change) = act(&mut core);
        if change.is_some() {
            self.run.store(0, Relaxed);
            self.word.store(core.permit().word(), Relaxed);
            let after = core.state();
            if after != before {
                self.metrics.state(after.map(State::label));
                after.iter().for_each(|to| self.metrics.entered(to.label()));
            }
        }
        drop(core);
        if let Some(change) = change {
            change.log(&self.service, &self.method);
        }
        value
    }
}
