#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::config::{Counted, Preset, Share};
use crate::outcome::Outcome;

mod any;
mod closed;
mod forced;
mod open;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A breaker on a clock of its own.
struct Bench {
    breaker: Breaker,
    now: Instant,
    pickable: usize,
}

impl Bench {
    fn new(policy: &BreakerPolicy) -> Self {
        let breaker = Breaker::new(&"item".into(), &"Get".into(), policy);
        Self {
            breaker,
            now: Instant::now(),
            pickable: 2,
        }
    }

    fn preset(preset: Preset) -> Self {
        Self::new(&preset.policy())
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
    }

    fn enter(&self) -> Result<Permit, Refusal> {
        self.breaker.enter(self.now)
    }

    #[allow(clippy::needless_pass_by_value)] // It is used up.
    fn settle(&self, permit: Permit, outcome: Outcome, endpoint: u32) {
        let (at, pickable) = (self.now, self.pickable);
        let touched = || Touched { endpoint, pickable };
        self.breaker.settle(&permit, End { outcome, at }, touched);
    }

    /// So many calls that end so, at the endpoints 1 and 2 in turn.
    fn calls(&self, n: u32, outcome: Outcome) {
        for i in 0..n {
            self.settle(self.enter().unwrap(), outcome, i % 2 + 1);
        }
    }

    fn ok(&self, n: u32) {
        self.calls(n, Outcome::Ok);
    }

    fn fail(&self, n: u32) {
        self.calls(n, Outcome::Reset);
    }

    /// Good and bad calls in turn, so that no run begins.
    fn mixed(&self, pairs: u32) {
        for _ in 0..pairs {
            self.ok(1);
            self.fail(1);
        }
    }

    fn state(&self) -> State {
        self.breaker.snapshot(self.now).state.unwrap()
    }

    fn counted(&self) -> (u64, u64) {
        let snapshot = self.breaker.snapshot(self.now);
        (snapshot.calls, snapshot.bad)
    }

    /// Opened by the rate, just now.
    fn opened(preset: Preset) -> Self {
        let bench = Self::preset(preset);
        bench.mixed(preset.policy().min_samples / 2);
        assert_eq!(bench.state(), State::Open);
        bench
    }

    /// Waits until it would let a probe through, and not longer.
    fn cool(&mut self) {
        let until = self.breaker.snapshot(self.now).open_until.unwrap();
        self.now = until;
    }

    /// How long until a call is let through.
    fn refused(&self) -> Duration {
        match self.enter() {
            Err(Refusal::Open { next_probe, .. }) => next_probe,
            other => panic!("{other:?}"),
        }
    }
}
