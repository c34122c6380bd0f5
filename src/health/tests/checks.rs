//! What follows from active health checks.

use super::*;
use crate::config::{CheckKind, HealthCheck};

fn rules() -> HealthCheck {
    HealthCheck {
        kind: CheckKind::Call,
        healthy_threshold: 2,
        ..HealthCheck::default()
    }
}

fn pass(health: &Health) -> Option<Checked> {
    health.checked(&Ok(()), &rules(), Instant::now())
}

fn miss(health: &Health) -> Option<Checked> {
    let missed = Missed {
        outcome: Outcome::ReadDeadline,
        detail: "no answer within 1s".into(),
    };
    health.checked(&Err(missed), &rules(), Instant::now())
}

fn down(times: u32) -> Option<Checked> {
    Some(Checked::Down(
        format!("health check failed {times} times: no answer within 1s").into(),
    ))
}

fn refuse(health: &Health) -> bool {
    health.connect_failed(Outcome::ConnectRefused, "refused", Instant::now(), 0.0)
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_make_it_down_and_passes_in_a_row_bring_it_back() {
    let health = health();
    assert_eq!((miss(&health), miss(&health)), (None, None));
    assert_eq!(pass(&health), None, "the run is broken");
    assert_eq!((miss(&health), miss(&health)), (None, None));
    assert_eq!(miss(&health), down(3));
    assert_eq!(health.state(), State::Down);
    assert_eq!(miss(&health), None, "said once");
    assert_eq!(health.outage().unwrap().failures, 4);
    assert_eq!((pass(&health), miss(&health)), (None, None));
    assert_eq!(health.outage().unwrap().failures, 1);
    assert_eq!(pass(&health), None);
    assert_eq!(pass(&health), Some(Checked::Back));
    assert_eq!(health.state(), State::Up);
}

#[tokio::test(start_paused = true)]
async fn no_connect_ends_what_checks_have_found_nor_is_one_made_in_the_background() {
    let health = health();
    (0..3).for_each(|_| drop(miss(&health)));
    assert_eq!(health.next_connect(), None);
    assert!(!health.connected());
    assert!(refuse(&health), "it cannot even be connected to");
    assert!(!refuse(&health), "said once");
    assert_eq!(health.outage().unwrap().found, Found::ByCheck);
    assert!(health.returns_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn it_is_a_last_resort_while_nothing_but_its_checks_speaks_against_it() {
    let health = health();
    assert!(!health.is_last_resort(), "it is up");
    (0..3).for_each(|_| drop(miss(&health)));
    assert!(health.is_last_resort() && health.snapshot().is_last_resort());
    refuse(&health);
    assert!(!health.is_last_resort(), "a connect failed");
    assert!(health.connected(), "a connect works again");
    assert!(health.is_last_resort() && health.state() == State::Down);
    let refused = Missed {
        outcome: Outcome::ConnectRefused,
        detail: "refused".into(),
    };
    assert_eq!(
        health.checked(&Err(refused), &rules(), Instant::now()),
        None
    );
    assert!(!health.is_last_resort(), "that of a check failed");
    health.require_check(Instant::now());
    assert!(!health.is_last_resort(), "it must pass first");
}

#[tokio::test(start_paused = true)]
async fn what_a_connect_has_found_one_pass_ends_and_no_failed_check_makes_its_own() {
    let health = health();
    assert!(refuse(&health));
    (0..5).for_each(|_| assert_eq!(miss(&health), None));
    assert_eq!(health.outage().unwrap().found, Found::ByConnect);
    assert!(health.next_connect().is_some());
    assert_eq!(pass(&health), Some(Checked::Back));
    refuse(&health);
    (0..5).for_each(|_| drop(miss(&health)));
    assert!(health.connected());
    assert_eq!(miss(&health), down(6), "it hangs, though it connects");
}

#[tokio::test(start_paused = true)]
async fn a_new_one_that_must_pass_first_is_down_until_its_first_pass() {
    let health = health();
    health.require_check(Instant::now());
    assert!(health.is_unchecked() && health.state() == State::Down);
    assert_eq!(&*health.outage().unwrap().detail, "not checked yet");
    assert!(!health.connected() && health.next_connect().is_none());
    assert_eq!((miss(&health), miss(&health)), (None, None));
    assert_eq!(miss(&health), down(3));
    assert!(health.is_unchecked());
    assert_eq!(pass(&health), Some(Checked::Back), "one is enough");
    assert!(!health.is_unchecked() && health.state() == State::Up);
}

#[tokio::test(start_paused = true)]
async fn rules_that_would_not_have_kept_it_down_leave_it_to_a_background_connect() {
    let off = HealthCheck::default();
    let required = HealthCheck {
        required: true,
        ..rules()
    };
    let (new, hung) = (health(), health());
    new.require_check(Instant::now());
    (0..3).for_each(|_| drop(miss(&hung)));
    assert!(!new.set_checks(&required, Instant::now()));
    assert!(!hung.set_checks(&required, Instant::now()));
    assert!(new.set_checks(&rules(), Instant::now()));
    assert!(!hung.set_checks(&rules(), Instant::now()));
    assert!(hung.set_checks(&off, Instant::now()));
    assert!(!hung.set_checks(&off, Instant::now()));
    for health in [new, hung] {
        assert_eq!(health.next_connect(), Some(Instant::now()));
        assert!(health.connected() && health.state() == State::Up);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_ends_an_ejection_that_is_older_than_the_check() {
    let (all, _) = endpoints(2);
    let before = Instant::now();
    tokio::time::advance(ms(1)).await;
    let rules = EjectionPolicy::default();
    all[0].eject(Reason::Consecutive, &rules, Instant::now(), 0.0);
    assert!(!all[0].release_from_before(before, Instant::now()));
    assert_eq!(all[0].state(), State::Ejected);
    assert!(all[0].release_from_before(Instant::now(), Instant::now()));
    assert_eq!(all[0].state(), State::Probation);
}

#[tokio::test(start_paused = true)]
async fn the_runs_and_the_last_check_are_there_to_be_shown() {
    let health = health();
    assert!(health.snapshot().checks.last.is_none());
    pass(&health);
    pass(&health);
    let checks = health.snapshot().checks;
    assert_eq!((checks.passes, checks.failures), (2, 0));
    tokio::time::advance(secs(1)).await;
    miss(&health);
    let checks = health.snapshot().checks;
    assert_eq!((checks.passes, checks.failures), (0, 1));
    let last = checks.last.unwrap();
    assert_eq!(last.at, Instant::now());
    assert_eq!(last.result.unwrap_err().outcome, Outcome::ReadDeadline);
}
