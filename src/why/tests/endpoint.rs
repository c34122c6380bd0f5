use std::sync::Arc;

use super::*;
use crate::config::{EjectionPolicy, HealthCheck, Share};
use crate::health::success_rate::Judgement;
use crate::health::{Health, Held, Missed, Peers, Reason};
use crate::outcome::{Charge, Outcome};
use crate::why::endpoint::{is_kept, sentence, success_rate};

/// Endpoints of one service; the first is asked.
struct Bench {
    all: Vec<Health>,
    rules: EjectionPolicy,
    now: Instant,
}

impl Bench {
    fn new(n: usize) -> Self {
        let peers: Arc<Peers> = Arc::default();
        Self {
            all: (0..n).map(|_| Health::new(peers.clone())).collect(),
            rules: EjectionPolicy::default(),
            now: Instant::now(),
        }
    }

    fn tries(&self, nth: usize, charge: Charge, n: usize) {
        for _ in 0..n {
            self.all[nth].observe(charge, &self.rules, self.now);
        }
    }

    fn down(&self, nth: usize) {
        let health = &self.all[nth];
        health.connect_failed(Outcome::ConnectRefused, "refused by it", self.now, 0.0);
    }

    fn eject(&self, nth: usize, reason: Reason) {
        let ejection = self.all[nth].eject(reason, &self.rules, self.now, 0.0);
        assert!(ejection.is_some());
    }

    fn said(&self) -> String {
        sentence(&self.all[0].snapshot(), &self.rules, &clock(self.now))
    }

    fn kept(&self) -> bool {
        is_kept(&self.all[0].snapshot(), &self.rules)
    }
}

#[tokio::test(start_paused = true)]
async fn up_says_how_near_the_nearest_detector_is() {
    for (tries, said) in [
        (&[][..], "up: no failure of late"),
        (
            &[(Charge::Failure, 2)],
            "up: 2 of 5 failures in a row, failure average 0.10, ejected at 0.40",
        ),
        (
            &[(Charge::Exception, 3)],
            "up: 3 of 8 failures in a row, exceptions among them, failure average 0.14, ejected at 0.40",
        ),
        (
            &[(Charge::Exception, 2), (Charge::Failure, 3)],
            "up: 5 of 8 failures in a row, exceptions among them, failure average 0.23, ejected at 0.40",
        ),
        (
            &[(Charge::Failure, 3), (Charge::Success, 1)],
            "up: failure average 0.14, ejected at 0.40",
        ),
    ] {
        let bench = Bench::new(3);
        for (charge, n) in tries {
            bench.tries(0, *charge, *n);
        }
        assert_eq!(bench.said(), said);
        assert!(!bench.kept());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_there_is_not_has_no_number_beside_it() {
    let mut bench = Bench::new(3);
    (bench.rules.consecutive, bench.rules.failure_rate) = (0, Share::millionths(0));
    bench.tries(0, Charge::Failure, 6);
    assert_eq!(
        bench.said(),
        "up: 6 failures in a row, failure average 0.26"
    );
    bench.rules.enabled = false;
    assert_eq!(bench.said(), "up: ejection is off");
}

#[tokio::test(start_paused = true)]
async fn down_says_how_and_when_it_is_dialled_again() {
    let mut bench = Bench::new(3);
    bench.down(0);
    bench.now += ms(250);
    bench.down(0);
    bench.now += ms(100);
    assert_eq!(
        bench.said(),
        "down for 350ms: connect_refused 100ms ago (refused by it), 2 failed, next connect in 0.4s"
    );
    bench.now += ms(400);
    assert!(
        bench.said().ends_with(", next connect now"),
        "{}",
        bench.said()
    );
    bench.eject(0, Reason::Consecutive);
    assert!(
        bench.said().ends_with("; ejected for another 5.0s"),
        "{}",
        bench.said()
    );
}

#[tokio::test(start_paused = true)]
async fn ejected_names_its_detector_and_what_that_saw() {
    for (reason, charge, tries, seen) in [
        (
            Reason::Consecutive,
            Charge::Failure,
            5,
            "consecutive (5 failures in a row)",
        ),
        (
            Reason::FailureRate,
            Charge::Exception,
            11,
            "failure_rate (failure average 0.43)",
        ),
        (
            Reason::SuccessRate,
            Charge::Exception,
            1,
            "success_rate (failure average 0.05)",
        ),
    ] {
        let mut bench = Bench::new(3);
        bench.tries(0, charge, tries);
        bench.eject(0, reason);
        bench.now += ms(1_800);
        assert_eq!(
            bench.said(),
            format!("ejected since 12:03:05Z by {seen}, back on probation in 3.2s")
        );
        assert!(!bench.kept());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_failed_on_probation_says_so_and_one_that_must_be_checked_why_it_was_not() {
    let bench = Bench::new(3);
    bench.eject(0, Reason::Consecutive);
    bench.all[0].release(bench.now);
    bench.eject(0, Reason::Consecutive);
    let said = bench.said();
    assert!(
        said.contains("by consecutive (failed on probation after an ejection), back"),
        "{said}"
    );
    let bench = Bench::new(1);
    bench.all[0].require_check(bench.now);
    let missed = Missed {
        outcome: Outcome::ReadDeadline,
        detail: "no answer within 200ms".into(),
    };
    for _ in 0..11 {
        bench.all[0].checked(&Err(missed.clone()), &HealthCheck::default(), bench.now);
    }
    assert_eq!(
        bench.said(),
        "down: it has passed no health check since it was registered, 0us ago, and must before its first call; \
         health check failed 11 times: no answer within 200ms, 0us ago, next check in 5.0s"
    );
}

#[tokio::test(start_paused = true)]
async fn probation_says_what_ends_it() {
    let mut bench = Bench::new(3);
    bench.tries(0, Charge::Timeout, 1);
    bench.now += ms(200);
    assert_eq!(
        bench.said(),
        "probation since 200ms ago: a try was overdue; one success ends it; 1 of 5 failures in a row, failure average 0.05, ejected at 0.40"
    );
    let bench = Bench::new(3);
    bench.tries(0, Charge::Failure, 5);
    assert_eq!(
        bench.said(),
        "probation since 0us ago: it fails, and no other endpoint was tried meanwhile; one success ends it; \
         not ejected (5 failures in a row): what others say is not known yet"
    );
    let bench = Bench::new(3);
    bench.eject(0, Reason::Consecutive);
    bench.all[0].release(bench.now);
    bench.tries(0, Charge::Success, 2);
    assert_eq!(
        bench.said(),
        "probation after an ejection by consecutive: 2 of 5 successes in a row"
    );
}

#[tokio::test(start_paused = true)]
async fn after_an_ejection_its_share_grows() {
    let mut bench = Bench::new(3);
    bench.eject(0, Reason::Consecutive);
    bench.all[0].release(bench.now);
    bench.tries(0, Charge::Success, 5);
    bench.now += ms(3_400);
    assert_eq!(
        bench.said(),
        "up, slow start: 34 % of its share: no failure of late"
    );
    bench.now += ms(6_600);
    assert_eq!(bench.said(), "up: no failure of late");
}

#[tokio::test(start_paused = true)]
async fn not_ejected_says_which_cap_is_reached() {
    let bench = Bench::new(3);
    bench.eject(1, Reason::Consecutive);
    bench.tries(0, Charge::Failure, 5);
    assert_eq!(
        bench.said(),
        "up: not ejected (5 failures in a row): 1 of 3 is out already, max_ejection_percent is 50"
    );
    assert!(bench.kept());
    bench.all[1].release(bench.now);
    assert_eq!(
        bench.said(),
        "up: not ejected (5 failures in a row): nothing keeps it any more but the next failure"
    );

    let bench = Bench::new(3);
    bench.down(1);
    bench.down(2);
    bench.tries(0, Charge::Failure, 5);
    assert_eq!(
        bench.said(),
        "up: not ejected (5 failures in a row): min_available 1 must be left, and of 3 there is 1"
    );

    let bench = Bench::new(1);
    bench.all[0].hold(Reason::SuccessRate, Held::Last);
    assert_eq!(
        bench.said(),
        "up: not ejected (success_rate): min_available 1 must be left, and of 1 there is 1"
    );
}

#[tokio::test(start_paused = true)]
async fn not_ejected_says_that_the_others_fail_as_well() {
    let bench = Bench::new(3);
    for nth in 1..3 {
        bench.tries(nth, Charge::Exception, 6);
        bench.tries(nth, Charge::Success, 1);
    }
    bench.tries(0, Charge::Failure, 5);
    bench.tries(0, Charge::Failure, 4);
    assert_eq!(
        bench.said(),
        "up: not ejected (9 failures in a row): it fails 0.37, the others 0.25 in the mean: it must be 3 times that"
    );
    assert!(bench.kept());
}

#[test]
fn the_third_detector_says_whether_it_judges_at_all() {
    let rules = EjectionPolicy::default();
    let judged = Judgement {
        hosts: 5,
        threshold: Some(97.12),
        outliers: Vec::new(),
    };
    let few = Judgement {
        hosts: 3,
        threshold: None,
        outliers: Vec::new(),
    };
    let off = EjectionPolicy {
        success_rate_stdev_factor: 0,
        ..rules.clone()
    };
    let had = "99.2 % of 500 tries in the last 10s that were judged";
    for (tally, judged, rules, said) in [
        (
            (500, 496),
            &judged,
            &rules,
            format!("{had}; below 97.1 % it was an outlier"),
        ),
        (
            (500, 496),
            &few,
            &rules,
            format!("{had}; no outliers: 3 endpoints of 5 that it takes had 100 tries"),
        ),
        (
            (500, 496),
            &few,
            &off,
            format!("{had}; there is no such rule"),
        ),
        (
            (0, 0),
            &few,
            &off,
            "no try in the last 10s that were judged; there is no such rule".to_owned(),
        ),
    ] {
        assert_eq!(success_rate(tally, judged, rules), said);
    }
}
