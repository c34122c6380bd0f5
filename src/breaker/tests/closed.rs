//! What opens a breaker, and what counts.

use super::*;

#[test]
fn half_of_twenty_calls_in_two_seconds_open_it() {
    let policy = BreakerPolicy {
        consecutive: 0,
        ..BreakerPolicy::default()
    };
    let bench = Bench::new(&policy);
    bench.ok(10);
    bench.mixed(4);
    bench.fail(1);
    assert_eq!((bench.counted(), bench.state()), ((19, 5), State::Closed));
    bench.fail(8);
    assert_eq!((bench.counted(), bench.state()), ((27, 13), State::Closed));
    bench.fail(1);
    let snapshot = bench.breaker.snapshot(bench.now);
    let cause = Cause::Rate {
        calls: 28,
        bad: 14,
        window: ms(2_000),
    };
    assert_eq!(snapshot.opened.unwrap().cause, cause);
    assert_eq!(snapshot.state, Some(State::Open));
}

#[test]
fn fewer_than_min_samples_say_nothing_of_the_rate() {
    let bench = Bench::preset(Preset::Tidegate);
    bench.mixed(9);
    bench.ok(1);
    assert_eq!((bench.counted(), bench.state()), ((19, 9), State::Closed));
    bench.fail(1);
    assert_eq!(bench.state(), State::Open, "10 of 20");
}

#[test]
fn the_kitex_preset_takes_two_hundred_calls_in_ten_seconds_and_no_run() {
    let bench = Bench::preset(Preset::Kitex);
    bench.fail(199);
    assert_eq!(
        (bench.counted(), bench.state()),
        ((199, 199), State::Closed)
    );
    bench.fail(1);
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!(snapshot.open_until, Some(bench.now + ms(5_000)), "exactly");
    let text = snapshot.opened.unwrap().to_string();
    assert_eq!(text, "100 % of 200 calls failed in 10s");
}

#[test]
fn it_is_judged_at_a_failed_call_only() {
    let bench = Bench::preset(Preset::Tidegate);
    bench.mixed(5);
    bench.fail(5);
    bench.ok(4);
    assert_eq!((bench.counted(), bench.state()), ((19, 10), State::Closed));
    bench.ok(1);
    assert_eq!(bench.state(), State::Closed, "10 of 20, but a success");
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench.mixed(9);
    bench.wait(ms(2_100));
    bench.mixed(9);
    assert_eq!((bench.counted(), bench.state()), ((18, 9), State::Closed));
}

#[test]
fn ten_failures_in_a_row_at_two_endpoints_open_it() {
    let mut bench = Bench::preset(Preset::Tidegate);
    // Slow enough that the window never has twenty.
    for _ in 0..9 {
        bench.settle(bench.enter().unwrap(), Outcome::Reset, 7);
        bench.wait(ms(300));
    }
    assert_eq!(bench.state(), State::Closed);
    bench.settle(bench.enter().unwrap(), Outcome::ReadDeadline, 8);
    let opened = bench.breaker.snapshot(bench.now).opened.unwrap();
    assert_eq!(opened.cause, Cause::Run { calls: 10 });
    assert_eq!(opened.to_string(), "10 calls in a row failed");
}

#[test]
fn a_run_at_one_endpoint_of_several_is_that_endpoints() {
    let mut bench = Bench::preset(Preset::Tidegate);
    for _ in 0..40 {
        bench.settle(bench.enter().unwrap(), Outcome::Reset, 7);
        bench.wait(ms(300));
    }
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.breaker.snapshot(bench.now).run, 40);
    bench.settle(bench.enter().unwrap(), Outcome::Reset, 8);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_run_at_the_only_endpoint_opens_it() {
    for pickable in [0, 1] {
        let mut bench = Bench::preset(Preset::Tidegate);
        bench.pickable = pickable;
        for _ in 0..10 {
            assert_eq!(bench.state(), State::Closed);
            // 0: none was reached at all.
            bench.settle(bench.enter().unwrap(), Outcome::ConnectRefused, 0);
            bench.wait(ms(300));
        }
        assert_eq!(bench.state(), State::Open);
    }
}

#[test]
fn any_success_ends_a_run_and_what_counts_as_nothing_does_not() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench.fail(9);
    bench.ok(1);
    bench.wait(ms(2_100));
    bench.fail(9);
    bench.calls(5, Outcome::Deadline);
    bench.calls(5, Outcome::ClientGone);
    assert_eq!(bench.breaker.snapshot(bench.now).run, 9);
    bench.fail(1);
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_new_run_forgets_the_endpoints_of_the_one_before() {
    let mut bench = Bench::preset(Preset::Tidegate);
    bench.fail(9);
    bench.ok(1);
    for _ in 0..15 {
        bench.wait(ms(300));
        bench.settle(bench.enter().unwrap(), Outcome::Reset, 1);
    }
    assert_eq!(bench.state(), State::Closed);
}

#[test]
fn a_late_answer_of_an_older_generation_moves_nothing() {
    let mut bench = Bench::preset(Preset::Tidegate);
    let (late, later) = (bench.enter().unwrap(), bench.enter().unwrap());
    bench.mixed(10);
    bench.cool();
    let probe = bench.enter().unwrap();
    assert!(probe.is_probe());
    bench.settle(late, Outcome::Reset, 1);
    assert_eq!(bench.state(), State::HalfOpen, "a failure does not open it");
    bench.settle(probe, Outcome::Ok, 1);
    bench.settle(later, Outcome::Ok, 1);
    assert_eq!(
        bench.state(),
        State::HalfOpen,
        "a success does not close it"
    );
    assert_eq!(bench.breaker.snapshot(bench.now).probe_successes, 1);
}

/// What each outcome is by the rules of a policy.
fn verdicts(policy: &BreakerPolicy) -> impl Fn(Outcome) -> Verdict + use<> {
    let rules = Rules::new(policy);
    move |outcome| rules.verdict(outcome)
}

#[test]
fn what_counts_by_default() {
    let verdict = verdicts(&BreakerPolicy::default());
    use Outcome as O;
    for good in [O::Ok, O::DeclaredException, O::BizStatus] {
        assert_eq!(verdict(good), Verdict::Success, "{good:?}");
    }
    for bad in [
        O::Exception,
        O::ConnectRefused,
        O::ConnectTimeout,
        O::Unreachable,
        O::ResolveFailed,
        O::StaleConnection,
        O::Reset,
        O::ClosedEarly,
        O::ReplyCut,
        O::ReadDeadline,
        O::DeadlineOverdue,
        O::ClientGoneOverdue,
        O::BadReply,
    ] {
        assert_eq!(verdict(bad), Verdict::Failure, "{bad:?}");
    }
    for neither in [
        O::Deadline,
        O::ClientGone,
        O::BreakerOpen,
        O::NoEndpoints,
        O::Overloaded,
        O::RateLimited,
        O::FrameTooLarge,
        O::Draining,
        O::LoopDetected,
    ] {
        assert_eq!(verdict(neither), Verdict::Nothing, "{neither:?}");
    }
}

#[test]
fn the_kitex_preset_counts_every_timeout_and_else_the_same() {
    let (ours, kitex) = (
        verdicts(&Preset::Tidegate.policy()),
        verdicts(&Preset::Kitex.policy()),
    );
    for outcome in Outcome::ALL {
        let differs = *outcome == Outcome::Deadline;
        assert_eq!(ours(*outcome) != kitex(*outcome), differs, "{outcome:?}");
    }
    assert_eq!(kitex(Outcome::Deadline), Verdict::Failure);
}

#[test]
fn a_policy_says_what_counts() {
    let all = |is| Counted {
        declared_exception: is,
        biz_status: is,
        exception: is,
        timeout: is,
    };
    for preset in [Preset::Tidegate, Preset::Kitex] {
        let counting = |counts| BreakerPolicy {
            counts,
            ..preset.policy()
        };
        let verdict = verdicts(&counting(all(true)));
        assert_eq!(verdict(Outcome::DeclaredException), Verdict::Failure);
        assert_eq!(verdict(Outcome::BizStatus), Verdict::Failure);
        let verdict = verdicts(&counting(all(false)));
        assert_eq!(verdict(Outcome::Exception), Verdict::Success);
        for timeout in [
            Outcome::ReadDeadline,
            Outcome::DeadlineOverdue,
            Outcome::Deadline,
        ] {
            assert_eq!(verdict(timeout), Verdict::Nothing);
        }
        assert_eq!(verdict(Outcome::Reset), Verdict::Failure, "always");
    }
}

#[test]
fn every_key_of_the_policy_is_read() {
    let policy = BreakerPolicy {
        window: ms(500),
        min_samples: 4,
        error_rate: Share::millionths(750_000),
        consecutive: 0,
        cooling: ms(100),
        ..BreakerPolicy::default()
    };
    let mut bench = Bench::new(&policy);
    bench.fail(2);
    bench.wait(ms(525));
    bench.ok(1);
    bench.fail(2);
    assert_eq!((bench.counted(), bench.state()), ((3, 2), State::Closed));
    bench.fail(1);
    assert_eq!(bench.state(), State::Open, "3 of 4");
    let cooling = bench.refused();
    assert!((ms(90)..=ms(110)).contains(&cooling), "{cooling:?}");
}
