//! Whatever happens, in whatever order: enough are left, and the sums are right.

use proptest::prelude::*;

use super::*;
use crate::config::HealthCheck;

#[derive(Clone, Copy, Debug)]
enum Event {
    Ended(usize, Charge),
    ConnectFailed(usize),
    Connected(usize),
    Checked(usize, bool),
    Registered(usize, bool),
    TimePasses(u64),
}

fn event(n: usize) -> impl Strategy<Value = Event> {
    let charge = prop_oneof![
        2 => Just(Charge::Success),
        3 => Just(Charge::Exception),
        3 => Just(Charge::Timeout),
        2 => Just(Charge::Failure),
        1 => Just(Charge::Nothing),
    ];
    prop_oneof![
        20 => (0..n, charge).prop_map(|(i, charge)| Event::Ended(i, charge)),
        2 => (0..n).prop_map(Event::ConnectFailed),
        2 => (0..n).prop_map(Event::Connected),
        4 => (0..n, any::<bool>()).prop_map(|(i, passed)| Event::Checked(i, passed)),
        1 => (0..n, any::<bool>()).prop_map(|(i, registered)| Event::Registered(i, registered)),
        2 => (1..20_000u64).prop_map(Event::TimePasses),
    ]
}

/// As the cluster does: ejects within the caps, releases those too many, ends ejections whose time is over.
struct World {
    all: Vec<Health>,
    registered: Vec<bool>,
    peers: Arc<Peers>,
    rules: EjectionPolicy,
    now: Instant,
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Ended(i, charge) => {
                let learned = self.all[i].observe(charge, &self.rules, self.now);
                if let Some(reason) = learned.eject {
                    assert_eq!(self.peers.held(&self.rules), None);
                    assert!(self.all[i].state().is_picked(), "no state is entered twice");
                    assert!(
                        self.all[i]
                            .eject(reason, &self.rules, self.now, 0.0)
                            .is_some()
                    );
                    assert!(
                        self.all[i]
                            .eject(reason, &self.rules, self.now, 0.0)
                            .is_none()
                    );
                }
            }
            Event::ConnectFailed(i) => {
                self.all[i].connect_failed(Outcome::ConnectRefused, "", self.now, 0.0);
            }
            Event::Connected(i) => {
                self.all[i].connected();
            }
            Event::Checked(i, passed) => {
                let missed = Missed {
                    outcome: Outcome::ReadDeadline,
                    detail: "".into(),
                };
                let result = if passed { Ok(()) } else { Err(missed) };
                self.all[i].checked(&result, &HealthCheck::default(), self.now);
                if passed {
                    self.all[i].release_from_before(self.now, self.now);
                }
            }
            Event::Registered(i, registered) => {
                self.registered[i] = registered;
                self.all[i].set_registered(registered);
            }
            Event::TimePasses(ms) => self.now += Duration::from_millis(ms),
        }
        for health in &self.all {
            if health
                .ejected_until()
                .is_some_and(|until| until <= self.now)
            {
                health.release(self.now);
            }
        }
        while self.peers.too_many_out(&self.rules) {
            let out = (0..self.all.len())
                .filter(|i| self.registered[*i] && self.all[*i].state() == State::Ejected);
            let next = out.min_by_key(|i| self.all[*i].ejected_until()).unwrap();
            assert!(self.all[next].release(self.now));
        }
    }

    fn check(&self) {
        let states: Vec<State> = (0..self.all.len())
            .filter(|i| self.registered[*i])
            .map(|i| self.all[i].state())
            .collect();
        for state in State::ALL {
            let n = states.iter().filter(|s| **s == state).count();
            assert_eq!(self.peers.count(state), n, "{state:?}");
        }
        let down = self.peers.count(State::Down);
        let picked = states.iter().filter(|s| s.is_picked()).count();
        let owed = self.rules.min_available.min(states.len() - down);
        assert!(
            picked >= owed,
            "{picked} of {states:?} are left, {owed} are owed"
        );
        let out = self.peers.count(State::Ejected) * 100;
        assert!(out <= self.rules.max_ejection_percent as usize * states.len());
        // What the others fail in the mean, added up anew.
        for i in
            (0..self.all.len()).filter(|i| self.registered[*i] && self.all[*i].state().is_picked())
        {
            let others: Vec<f64> = (0..self.all.len())
                .filter(|j| *j != i && self.registered[*j] && self.all[*j].state().is_picked())
                .map(|j| self.all[j].snapshot().score.average())
                .collect();
            let mean = others.iter().sum::<f64>() / others.len().max(1) as f64;
            assert!((self.all[i].snapshot().mean_of_others - mean).abs() < 1e-6);
        }
    }
}

proptest! {
    #[test]
    fn enough_endpoints_are_left_and_the_sums_are_right(
        n in 1usize..6,
        percent in prop_oneof![Just(10u32), Just(50), Just(100)],
        min_available in 0usize..4,
        events in prop::collection::vec(event(6), 1..400),
    ) {
        let (all, peers) = endpoints(n);
        let rules = EjectionPolicy { max_ejection_percent: percent, min_available, ..EjectionPolicy::default() };
        let mut world = World { registered: vec![true; n], all, peers, rules, now: Instant::now() };
        for event in events {
            let event = match event {
                Event::Ended(i, charge) => Event::Ended(i % n, charge),
                Event::ConnectFailed(i) => Event::ConnectFailed(i % n),
                Event::Connected(i) => Event::Connected(i % n),
                Event::Checked(i, passed) => Event::Checked(i % n, passed),
                Event::Registered(i, registered) => Event::Registered(i % n, registered),
                passes @ Event::TimePasses(_) => passes,
            };
            world.happen(event);
            world.check();
        }
    }
}
