use proptest::prelude::*;
use tokio::time::Duration;

use super::*;

fn policy(percent: u32, min_per_second: u32) -> RetryBudget {
    RetryBudget {
        percent,
        min_per_second,
    }
}

/// How many resends there are in it, all taken.
fn drain(budget: &Budget, now: Instant, policy: RetryBudget) -> u64 {
    std::iter::repeat_with(|| budget.withdraw(now, policy))
        .take_while(|taken| *taken)
        .count() as u64
}

fn deposit(budget: &Budget, now: Instant, calls: u64) {
    (0..calls).for_each(|_| budget.deposit(now));
}

#[test]
fn there_is_a_share_of_the_calls_and_a_minimum() {
    for (percent, min_per_second, calls, there) in [
        (20, 10, 0, 100),
        (20, 10, 1_000, 300),
        (20, 0, 1_000, 200),
        (20, 0, 4, 0),
        (20, 0, 5, 1),
        (0, 0, 1_000, 0),
        (0, 1, 1_000, 10),
        (1_000, 0, 3, 30),
    ] {
        let (budget, now, policy) = (
            Budget::default(),
            Instant::now(),
            policy(percent, min_per_second),
        );
        deposit(&budget, now, calls);
        assert_eq!(budget.tokens(now, policy), there);
        assert_eq!(
            drain(&budget, now, policy),
            there,
            "{percent} {min_per_second} {calls}"
        );
        assert_eq!(budget.tokens(now, policy), 0);
    }
}

#[test]
fn calls_and_resends_are_forgotten_after_ten_seconds() {
    let (budget, start, policy) = (Budget::default(), Instant::now(), policy(20, 0));
    let at = |ms| start + Duration::from_millis(ms);
    deposit(&budget, at(100), 1_000);
    assert_eq!(drain(&budget, at(200), policy), 200);
    deposit(&budget, at(9_000), 1_000);
    assert_eq!(budget.tokens(at(9_400), policy), 200);
    // The first calls have gone, the resends that they paid for have not.
    assert_eq!(budget.tokens(at(10_000), policy), 0);
    assert_eq!(budget.tokens(at(11_000), policy), 200);
    assert_eq!(budget.tokens(at(21_000), policy), 0);
}

#[test]
fn other_percentages_hold_at_once_and_for_what_was_counted_before() {
    let (budget, now) = (Budget::default(), Instant::now());
    deposit(&budget, now, 1_000);
    assert_eq!(drain(&budget, now, policy(20, 0)), 200);
    assert_eq!(budget.tokens(now, policy(50, 0)), 300);
    assert_eq!(budget.tokens(now, policy(10, 0)), 0);
}

#[test]
fn threads_do_not_spend_the_same_token() {
    let (budget, now) = (Budget::default(), Instant::now());
    deposit(&budget, now, 5_000);
    let spent: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| drain(&budget, now, policy(20, 0))))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .sum()
    });
    assert_eq!(spent, 1_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whenever_one_is_sent_again_those_of_ten_seconds_are_at_most_a_fifth_of_their_calls_and_a_hundred(
        steps in prop::collection::vec((0u64..400, 0u64..30, 0u64..60), 1..200),
    ) {
        let (budget, start, policy) = (Budget::default(), Instant::now(), policy(20, 10));
        let mut log: Vec<(u64, u64, u64)> = Vec::new();
        let mut ms = 0;
        for (pause, calls, wanted) in steps {
            ms += pause;
            let now = start + Duration::from_millis(ms);
            deposit(&budget, now, calls);
            let resent = (0..wanted).filter(|_| budget.withdraw(now, policy)).count() as u64;
            log.push((ms, calls, resent));
            let late = log.iter().filter(|(at, ..)| ms - at <= 10_000);
            let (calls, resends) = late.fold((0, 0), |sum, step| (sum.0 + step.1, sum.1 + step.2));
            prop_assert!(resent == 0 || resends * 5 <= calls + 500, "{resends} of {calls}");
        }
    }
}
