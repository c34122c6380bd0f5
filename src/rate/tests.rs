#![allow(clippy::unwrap_used)]
use tokio::time::advance;

use super::*;

fn limit(per_second: u32, burst: u32) -> RateLimit {
    RateLimit { per_second, burst }
}

/// How many tokens there are now.
fn drain(rate: &Rate) -> usize {
    std::iter::repeat_with(|| rate.take())
        .take_while(Result::is_ok)
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_bucket_begins_full_and_fills_at_its_rate() {
    for (per_second, burst, full, after_100_ms) in [
        (100, 0, 100, 10),
        (100, 5, 5, 5),
        (10, 20, 20, 1),
        (1, 3, 3, 0),
    ] {
        let rate = Rate::new(limit(per_second, burst)).unwrap();
        assert_eq!(drain(&rate), full, "{per_second}/{burst}");
        advance(Duration::from_millis(100)).await;
        assert_eq!(drain(&rate), after_100_ms, "{per_second}/{burst}");
        advance(Duration::from_secs(3600)).await;
        assert_eq!(drain(&rate), full, "never fuller than full");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_bucket_says_when_the_next_call_passes() {
    let rate = Rate::new(limit(4, 1)).unwrap();
    rate.take().unwrap();
    assert_eq!(rate.take(), Err(Duration::from_millis(250)));
    advance(Duration::from_millis(200)).await;
    assert_eq!(rate.take(), Err(Duration::from_millis(50)));
    advance(Duration::from_millis(50)).await;
    rate.take().unwrap();
}

#[tokio::test(start_paused = true)]
async fn over_any_time_no_more_calls_pass_than_the_burst_and_the_rate() {
    let rate = Rate::new(limit(1_000, 50)).unwrap();
    let mut passed = 0;
    for _ in 0..2_000 {
        advance(Duration::from_micros(fastrand::u64(..3_000))).await;
        passed += drain(&rate);
    }
    let most = 50 + rate.bucket.clock().now().as_millis() as usize;
    assert!(
        (most * 9 / 10..=most).contains(&passed),
        "{passed} of {most}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_extremes_of_the_range_are_limits_like_others() {
    let rate = Rate::new(limit(10_000_000, 1)).unwrap();
    assert_eq!(drain(&rate), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(drain(&rate), 1);
    let rate = Rate::new(limit(1, 10_000_000)).unwrap();
    for _ in 0..1_000 {
        rate.take().unwrap();
    }
    assert!(Rate::new(limit(0, 5)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slot_keeps_its_bucket_while_the_limit_is_the_same() {
    let slot = RateSlot::default();
    assert!(slot.of(limit(0, 0)).is_none());
    let first = slot.of(limit(10, 0)).unwrap();
    assert_eq!(drain(&first), 10);
    assert!(slot.of(limit(10, 0)).unwrap().take().is_err());
    assert!(slot.of(limit(11, 0)).unwrap().take().is_ok());
    assert!(slot.of(limit(0, 0)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_over_its_methods_limit_takes_nothing_of_the_services() {
    let rates = Rates {
        method: Rate::new(limit(1, 0)),
        service: Rate::new(limit(5, 0)),
    };
    assert!(rates.take().is_ok());
    for _ in 0..10 {
        assert!(rates.take().is_err_and(|too_many| too_many.of_method));
    }
    assert_eq!(drain(rates.service.as_ref().unwrap()), 4);
}
