//! What a person or a reload does to a breaker.

use super::*;

#[test]
fn forced_open_refuses_everything_until_then_and_begins_closed_afresh() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench.mixed(9);
    let until = bench.now + ms(600_000);
    bench.breaker.force(Forced::Open, until, bench.now);
    assert_eq!(bench.state(), State::ForcedOpen);
    bench.wait(ms(599_999));
    assert_eq!(bench.enter(), Err(Refusal::Forced { left: ms(1) }));
    bench.wait(ms(1));
    let permit = bench.enter().unwrap();
    assert!(!permit.is_probe());
    assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
}

#[test]
fn forced_closed_lets_everything_through_and_counts_nothing() {
    let mut bench = Bench::opened(Preset::Tidegate);
    bench
        .breaker
        .force(Forced::Closed, bench.now + ms(10_000), bench.now);
    bench.fail(100);
    assert_eq!(
        (bench.state(), bench.counted()),
        (State::ForcedClosed, (0, 0))
    );
    let late = bench.enter().unwrap();
    bench.wait(ms(10_000));
    bench.settle(late, Outcome::Reset, 1);
    assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
}

#[test]
fn an_expired_forcing_shows_without_a_call() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench
        .breaker
        .force(Forced::Open, bench.now + ms(1_000), bench.now);
    bench.wait(ms(1_000));
    bench.breaker.upkeep(bench.now);
    assert_eq!(bench.breaker.core.lock().state(), Some(State::Closed));
}

#[test]
fn a_reset_ends_any_state_and_any_forcing() {
    let bench = Bench::opened(Preset::Tidegate);
    bench.breaker.reset(bench.now);
    assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
    bench
        .breaker
        .force(Forced::Open, bench.now + ms(1_000), bench.now);
    bench.breaker.reset(bench.now);
    assert!(bench.enter().is_ok());
    assert_eq!(bench.breaker.snapshot(bench.now).forced_until, None);
}

#[test]
fn an_answer_from_before_a_reset_moves_nothing() {
    let bench = Bench::preset(Preset::Tidegate);
    let late = bench.enter().unwrap();
    bench.breaker.reset(bench.now);
    bench.settle(late, Outcome::Reset, 1);
    assert_eq!(bench.counted(), (0, 0));
}

#[test]
fn the_same_policy_keeps_all_state_and_a_changed_one_starts_closed_afresh() {
    let mut policy = BreakerPolicy::default();
    let bench = Bench::opened(Preset::Tidegate);
    let generation = bench.breaker.snapshot(bench.now).generation;
    bench.breaker.set_policy(&policy.clone(), bench.now);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!(
        (snapshot.state, snapshot.generation),
        (Some(State::Open), generation)
    );
    policy.min_samples = 30;
    bench.breaker.set_policy(&policy, bench.now);
    assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
    bench.mixed(14);
    assert_eq!(bench.state(), State::Closed);
    bench.mixed(1);
    assert_eq!(bench.state(), State::Open, "the new policy holds");
}

#[test]
fn what_a_person_forced_outlives_a_changed_policy() {
    let bench = Bench::preset(Preset::Tidegate);
    let until = bench.now + ms(60_000);
    bench.breaker.force(Forced::Open, until, bench.now);
    bench
        .breaker
        .set_policy(&Preset::Kitex.policy(), bench.now + ms(5));
    let snapshot = bench.breaker.snapshot(bench.now + ms(5));
    assert_eq!(
        (snapshot.state, snapshot.since),
        (Some(State::ForcedOpen), bench.now)
    );
    assert_eq!(snapshot.forced_until, Some(until));
}

#[test]
fn switched_off_it_lets_everything_through_unless_a_person_forces_it() {
    let mut policy = BreakerPolicy::default();
    let bench = Bench::opened(Preset::Tidegate);
    policy.enabled = false;
    bench.breaker.set_policy(&policy, bench.now);
    bench.fail(100);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.calls), (None, 0));
    bench
        .breaker
        .force(Forced::Open, bench.now + ms(1_000), bench.now);
    assert!(bench.enter().is_err());
    bench.breaker.reset(bench.now);
    assert!(bench.enter().is_ok());
    policy.enabled = true;
    bench.breaker.set_policy(&policy, bench.now);
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn the_log_says_that_it_stays_forced_and_never_that_one_that_is_off_closed() {
    let mut policy = BreakerPolicy::default();
    let bench = Bench::new(&policy);
    let said = |act: &dyn Fn(&mut Core) -> Option<Change>| {
        let change = act(&mut bench.breaker.core.lock());
        change.map(|it| it.to_string()).unwrap_or_default()
    };
    let (now, until) = (bench.now, bench.now + ms(30_000));
    said(&|core| Some(core.force(Forced::Open, until, now)));
    policy.enabled = false;
    assert_eq!(
        said(&|core| core.set_policy(&policy, now)),
        "breaker stays forced open for another 30.0s: its policy changed"
    );
    assert_eq!(
        said(&|core| core.advance(until)),
        "breaker off: it was forced until now"
    );
    assert_eq!(
        said(&|core| Some(core.reset(until))),
        "breaker off: it was reset"
    );
    policy.enabled = true;
    assert_eq!(
        said(&|core| core.set_policy(&policy, until)),
        "breaker closed: its policy changed"
    );
}

/// The series of this method's breaker.
fn series(method: &str) -> Vec<String> {
    let text = crate::metrics::render();
    let of = format!("method=\"{method}\"");
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("tidegate_breaker_") && line.contains(&of))
        .map(|line| line.replace(&format!("service=\"item\",{of},"), ""))
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_metrics_show_the_state_it_is_in_and_count_each_change() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench.breaker = Breaker::new(
        &"item".into(),
        &"Measured".into(),
        &BreakerPolicy::default(),
    );
    assert_eq!(
        series("Measured"),
        ["tidegate_breaker_state{state=\"closed\"} 1"]
    );
    bench.mixed(10);
    bench.cool();
    for _ in 0..2 {
        let probe = bench.enter().unwrap();
        bench.settle(probe, Outcome::Ok, 1);
        bench.wait(ms(200));
    }
    // Renewed: no other state.
    for _ in 0..2 {
        bench
            .breaker
            .force(Forced::Open, bench.now + ms(1), bench.now);
    }
    assert_eq!(
        series("Measured"),
        [
            "tidegate_breaker_state{state=\"closed\"} 0",
            "tidegate_breaker_state{state=\"forced_open\"} 1",
            "tidegate_breaker_state{state=\"half_open\"} 0",
            "tidegate_breaker_state{state=\"open\"} 0",
            "tidegate_breaker_transitions_total{to=\"closed\"} 1",
            "tidegate_breaker_transitions_total{to=\"forced_open\"} 1",
            "tidegate_breaker_transitions_total{to=\"half_open\"} 1",
            "tidegate_breaker_transitions_total{to=\"open\"} 1",
        ]
    );
    let mut policy = BreakerPolicy::default();
    bench.breaker.reset(bench.now);
    policy.enabled = false;
    bench.breaker.set_policy(&policy, bench.now);
    let on = |line: &String| line.starts_with("tidegate_breaker_state") && line.ends_with(" 1");
    assert!(!series("Measured").iter().any(on), "off: in no state");
}
