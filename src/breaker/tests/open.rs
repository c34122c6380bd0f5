//! Open, half-open, and back.

use super::*;

#[test]
fn an_open_breaker_refuses_until_it_has_cooled_and_then_lets_one_probe_through() {
    for (preset, least, most) in [
        (Preset::Tidegate, 900, 1_100),
        (Preset::Kitex, 5_000, 5_000),
    ] {
        let mut bench = Bench::opened(preset);
        let cooling = bench.refused();
        assert!(
            (ms(least)..=ms(most)).contains(&cooling),
            "{preset:?}: {cooling:?}"
        );
        bench.wait(cooling - ms(1));
        assert_eq!(bench.refused(), ms(1));
        bench.wait(ms(1));
        assert!(bench.enter().unwrap().is_probe());
        assert_eq!(bench.state(), State::HalfOpen);
        assert_eq!(bench.refused(), ms(200));
    }
}

#[test]
fn the_cooling_time_varies_by_a_tenth_up_and_down() {
    let times: Vec<Duration> = (0..200)
        .map(|_| Bench::opened(Preset::Tidegate).refused())
        .collect();
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least >= ms(900) && *most <= ms(1_100));
    assert!(*most - *least > ms(100), "{least:?} to {most:?}");
}

#[test]
fn half_open_lets_one_call_through_each_200_ms_whatever_became_of_those_before() {
    let mut bench = Bench::opened(Preset::Tidegate);
    bench.cool();
    let mut probes = Vec::new();
    for _ in 0..20 {
        if let Ok(probe) = bench.enter() {
            probes.push(probe);
        }
        bench.wait(ms(50));
    }
    assert_eq!(probes.len(), 5, "in a second, none of them answered");
    assert!(probes.iter().all(Permit::is_probe));
}

#[test]
fn two_successes_close_it_and_the_window_begins_anew() {
    for preset in [Preset::Tidegate, Preset::Kitex] {
        let mut bench = Bench::opened(preset);
        bench.cool();
        let first = bench.enter().unwrap();
        bench.settle(first, Outcome::Ok, 1);
        assert_eq!(bench.state(), State::HalfOpen);
        assert_eq!(bench.refused(), ms(200));
        bench.wait(ms(200));
        let second = bench.enter().unwrap();
        bench.settle(second, Outcome::BizStatus, 1);
        assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
        // It needs as many calls as ever to open again.
        let policy = preset.policy();
        bench.mixed(policy.min_samples / 2 - 1);
        assert_eq!(bench.state(), State::Closed);
    }
}

#[test]
fn a_failed_probe_opens_it_for_another_cooling_time() {
    let mut bench = Bench::opened(Preset::Kitex);
    bench.cool();
    let first = bench.enter().unwrap();
    bench.settle(first, Outcome::Ok, 1);
    bench.wait(ms(200));
    let second = bench.enter().unwrap();
    bench.settle(second, Outcome::ReadDeadline, 1);
    assert_eq!((bench.state(), bench.refused()), (State::Open, ms(5_000)));
    let opened = bench.breaker.snapshot(bench.now).opened.unwrap();
    assert_eq!(opened.failed_probes, 1);
    assert_eq!(
        opened.to_string(),
        "50 % of 200 calls failed in 10s, a probe failed since"
    );
    // The success before it is forgotten.
    bench.cool();
    let third = bench.enter().unwrap();
    bench.settle(third, Outcome::Ok, 1);
    assert_eq!(bench.breaker.snapshot(bench.now).probe_successes, 1);
    assert_eq!(bench.state(), State::HalfOpen);
}

#[test]
fn a_probe_that_says_nothing_leaves_it_half_open() {
    let mut bench = Bench::opened(Preset::Tidegate);
    bench.cool();
    for outcome in [
        Outcome::ClientGone,
        Outcome::Deadline,
        Outcome::NoEndpoints,
        Outcome::Overloaded,
    ] {
        let probe = bench.enter().unwrap();
        bench.settle(probe, outcome, 1);
        assert_eq!(bench.state(), State::HalfOpen, "{outcome:?}");
        bench.wait(ms(200));
    }
    drop(bench.enter().unwrap());
    assert_eq!(bench.state(), State::HalfOpen);
}

#[test]
fn probes_that_overlap_count_each_until_the_state_changes() {
    let mut bench = Bench::opened(Preset::Tidegate);
    bench.cool();
    let first = bench.enter().unwrap();
    bench.wait(ms(200));
    let second = bench.enter().unwrap();
    bench.wait(ms(200));
    let third = bench.enter().unwrap();
    bench.settle(first, Outcome::Ok, 1);
    bench.settle(second, Outcome::Ok, 1);
    assert_eq!(bench.state(), State::Closed);
    bench.settle(third, Outcome::Reset, 1);
    assert_eq!((bench.state(), bench.counted()), (State::Closed, (0, 0)));
}

#[test]
fn only_what_came_while_it_was_closed_is_in_the_window() {
    let mut bench = Bench::opened(Preset::Kitex);
    assert_eq!(bench.counted(), (200, 100));
    bench.cool();
    let probe = bench.enter().unwrap();
    bench.settle(probe, Outcome::Ok, 1);
    assert_eq!(bench.counted(), (200, 100));
}

#[test]
fn time_alone_makes_it_half_open_so_that_what_is_shown_is_true() {
    let mut bench = Bench::opened(Preset::Tidegate);
    bench.cool();
    bench.breaker.upkeep(bench.now - ms(1));
    assert_eq!(bench.breaker.core.lock().state(), Some(State::Open));
    bench.breaker.upkeep(bench.now);
    assert_eq!(bench.breaker.core.lock().state(), Some(State::HalfOpen));
    assert!(bench.enter().unwrap().is_probe(), "still due at once");
}

#[test]
fn a_refusal_says_why_and_for_how_long() {
    let opened = |failed_probes| Opened {
        cause: Cause::Rate {
            calls: 240,
            bad: 147,
            window: ms(2_000),
        },
        failed_probes,
    };
    let text = |opened, left| {
        let next_probe = ms(left);
        Refusal::Open { opened, next_probe }.to_string()
    };
    assert_eq!(
        text(opened(0), 560),
        "61 % of 240 calls failed in 2s, next probe in 0.6s"
    );
    assert_eq!(
        text(opened(3), 1_000),
        "61 % of 240 calls failed in 2s, 3 probes failed since, next probe in 1.0s"
    );
    for (left, says) in [
        (59_950, "60.0s"),
        (61_000, "2m"),
        (539_000, "9m"),
        (7_200_000, "120m"),
        (7_200_001, "3h"),
    ] {
        let left = ms(left);
        let said = Refusal::Forced { left }.to_string();
        assert_eq!(said, format!("forced open for another {says}"));
    }
}
