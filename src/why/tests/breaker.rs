use super::*;
use crate::breaker::{Breaker, Forced, Touched};
use crate::config::{BreakerPolicy, Preset};
use crate::outcome::{End, Outcome};
use crate::why::breaker::sentence;

struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(policy: &BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(&"item".into(), &"Get".into(), policy),
            now: Instant::now(),
        }
    }

    /// So many calls that end so, at these endpoints in turn.
    fn calls(&self, n: u32, outcome: Outcome, at: &[u32]) {
        for endpoint in at.iter().cycle().take(n as usize) {
            let permit = self.breaker.enter(self.now).unwrap();
            let end = End {
                outcome,
                at: self.now,
            };
            let touched = Touched {
                endpoint: *endpoint,
                pickable: 3,
            };
            self.breaker.settle(&permit, end, || touched);
        }
    }

    fn said(&self) -> String {
        sentence(&self.breaker.snapshot(self.now), 3, &clock(self.now))
    }
}

/// Good calls, bad calls with a good one behind each so that no run begins, and bad ones in a row.
fn with(policy: &BreakerPolicy, good: u32, bad: u32, run: u32, at: &[u32]) -> Bench {
    let bench = Bench::new(policy);
    bench.calls(good, Outcome::Ok, &[1]);
    for _ in 0..bad {
        bench.calls(1, Outcome::Reset, &[1]);
        bench.calls(1, Outcome::Ok, &[1]);
    }
    bench.calls(run, Outcome::Reset, at);
    bench
}

#[tokio::test(start_paused = true)]
async fn closed_says_which_rule_is_not_fulfilled_and_by_how_much() {
    let ours = BreakerPolicy::default();
    let no_run = BreakerPolicy {
        consecutive: 0,
        ..ours.clone()
    };
    for (policy, good, bad, run, at, said) in [
        (&ours, 0, 0, 0, &[1][..], "no call within 2s"),
        (&ours, 5, 0, 0, &[1], "none of 5 calls failed within 2s"),
        (
            &ours,
            180,
            12,
            0,
            &[1],
            "6 % of 204 calls failed within 2s, error_rate is 50 %",
        ),
        (
            &no_run,
            5,
            0,
            8,
            &[1],
            "62 % failed, but 13 of 20 samples within 2s",
        ),
        (
            &ours,
            30,
            0,
            7,
            &[1],
            "19 % of 37 calls failed within 2s, error_rate is 50 %; 7 failures in a row of 10, all at one of 3 endpoints",
        ),
        (
            &ours,
            30,
            0,
            7,
            &[1, 2],
            "19 % of 37 calls failed within 2s, error_rate is 50 %; 7 failures in a row of 10",
        ),
        (
            &ours,
            0,
            0,
            14,
            &[1],
            "100 % failed, but 14 of 20 samples within 2s; 14 failures in a row of 10, all at one of 3 endpoints",
        ),
        (
            &ours,
            1,
            0,
            1,
            &[1],
            "50 % failed, but 2 of 20 samples within 2s; 1 failure in a row of 10, all at one of 3 endpoints",
        ),
    ] {
        let bench = with(policy, good, bad, run, at);
        assert_eq!(bench.said(), format!("closed: {said}"));
    }
}

#[tokio::test(start_paused = true)]
async fn open_and_half_open_say_why_and_what_comes_next() {
    let mut bench = Bench::new(&Preset::Kitex.policy());
    bench.calls(78, Outcome::Ok, &[1]);
    bench.calls(122, Outcome::Reset, &[1, 2]);
    bench.now += ms(3_000);
    assert_eq!(
        bench.said(),
        "open since 12:03:04Z, 61 % of 200 calls failed in 10s, half-open in 2.0s"
    );
    bench.now += ms(2_000);
    let cause = "61 % of 200 calls failed in 10s";
    assert_eq!(
        bench.said(),
        format!("half-open: 0 of 2 probes succeeded, next probe now; {cause}")
    );
    bench.calls(1, Outcome::Ok, &[1]);
    bench.now += ms(100);
    assert_eq!(
        bench.said(),
        format!("half-open: 1 of 2 probes succeeded, next probe in 0.1s; {cause}")
    );
    bench.now += ms(100);
    bench.calls(1, Outcome::Reset, &[1]);
    assert_eq!(
        bench.said(),
        format!("open since 12:03:07Z, {cause}, a probe failed since, half-open in 5.0s")
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_opened_it_is_told_as_one() {
    let bench = with(&BreakerPolicy::default(), 0, 0, 10, &[1, 2]);
    let said = bench.said();
    assert!(
        said.starts_with("open since 12:03:07Z, 10 calls in a row failed, half-open in "),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_or_the_policy_decided_is_told_as_that() {
    let mut bench = Bench::new(&BreakerPolicy::default());
    let until = bench.now + ms(600_000);
    bench.breaker.force(Forced::Open, until, bench.now);
    bench.now += ms(60_000);
    assert_eq!(bench.said(), "forced open for another 9m, by request");
    bench.breaker.force(Forced::Closed, until, bench.now);
    assert_eq!(
        bench.said(),
        "forced closed for another 9m, by request, nothing is counted"
    );
    let off = BreakerPolicy {
        enabled: false,
        ..BreakerPolicy::default()
    };
    assert_eq!(Bench::new(&off).said(), "off: the policy has no breaker");
}
