//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    /// Settles one of the permits that are held.
    Settle(usize, Outcome),
    /// Drops one of them.
    Drop(usize),
    Wait(u64),
    Upkeep,
    Force(Forced, u64),
    Reset,
    Policy(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Ok),
        6 => Just(Outcome::Reset),
        1 => Just(Outcome::ReadDeadline),
        1 => Just(Outcome::ClientGone),
    ];
    prop_oneof![
        20 => Just(Step::Enter),
        20 => (any::<usize>(), outcome).prop_map(|(i, outcome)| Step::Settle(i, outcome)),
        3 => any::<usize>().prop_map(Step::Drop),
        6 => (1u64..120).prop_map(Step::Wait),
        2 => (200u64..1_500).prop_map(Step::Wait),
        2 => Just(Step::Upkeep),
        1 => (1u64..2_000).prop_map(|n| Step::Force(Forced::Open, n)),
        1 => (1u64..2_000).prop_map(|n| Step::Force(Forced::Closed, n)),
        1 => Just(Step::Reset),
        1 => (4u32..6).prop_map(Step::Policy),
    ]
}

fn quick(min_samples: u32) -> BreakerPolicy {
    BreakerPolicy {
        min_samples,
        consecutive: 3,
        ..BreakerPolicy::default()
    }
}

/// What must never be seen, as seen so far.
struct Watch {
    bench: Bench,
    held: Vec<Permit>,
    generation: u32,
    state: State,
    last_probe: Option<Instant>,
}

impl Watch {
    fn new() -> Self {
        Self {
            bench: Bench::new(&quick(4)),
            held: Vec::new(),
            generation: 0,
            state: State::Closed,
            last_probe: None,
        }
    }

    fn act(&mut self, step: Step) {
        let now = self.bench.now;
        let bench = &mut self.bench;
        match step {
            Step::Enter => self.enter(),
            Step::Settle(i, outcome) if !self.held.is_empty() => {
                let permit = self.held.swap_remove(i % self.held.len());
                bench.settle(permit, outcome, i as u32 % 3);
            }
            Step::Drop(i) if !self.held.is_empty() => {
                drop(self.held.swap_remove(i % self.held.len()));
            }
            Step::Settle(..) | Step::Drop(_) => {}
            Step::Wait(n) => bench.wait(ms(n)),
            Step::Upkeep => bench.breaker.upkeep(now),
            Step::Force(to, n) => bench.breaker.force(to, now + ms(n), now),
            Step::Reset => bench.breaker.reset(now),
            Step::Policy(n) => bench.breaker.set_policy(&quick(n), now),
        }
    }

    fn enter(&mut self) {
        let now = self.bench.now;
        let Ok(permit) = self.bench.enter() else {
            return;
        };
        if permit.is_probe() {
            let since = self.last_probe.map(|last| now - last);
            assert!(since.is_none_or(|it| it >= ms(200)), "{since:?}");
            self.last_probe = Some(now);
        }
        self.held.push(permit);
    }

    /// The state as it is, without what time would change.
    fn check(&mut self) {
        let core = self.bench.breaker.core.lock();
        let snapshot = core.snapshot(0, self.bench.now);
        assert_eq!(self.bench.breaker.word.load(Relaxed), core.permit().word());
        drop(core);
        assert!(snapshot.generation >= self.generation);
        let state = snapshot.state.unwrap();
        if state != self.state {
            assert!(snapshot.generation > self.generation, "{state:?}");
        }
        let opened = matches!(state, State::Open | State::HalfOpen);
        assert!(!opened || snapshot.opened.is_some());
        (self.generation, self.state) = (snapshot.generation, state);
    }

    /// However it stands: left alone, it lets calls through, and good ones close it.
    fn recovers(&mut self) {
        self.held.clear();
        for _ in 0..40 {
            self.bench.wait(ms(200));
            if let Ok(permit) = self.bench.enter() {
                self.bench.settle(permit, Outcome::Ok, 1);
            }
        }
        assert_eq!(self.bench.state(), State::Closed);
    }
}

proptest! {
    #[test]
    fn probes_keep_their_distance_generations_grow_and_nothing_blocks_for_good(
        steps in proptest::collection::vec(step(), 1..250),
    ) {
        let mut watch = Watch::new();
        for step in steps {
            watch.act(step);
            watch.check();
        }
        watch.recovers();
    }
}
