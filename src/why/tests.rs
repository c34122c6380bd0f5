#![allow(clippy::unwrap_used)]

use super::*;

mod breaker;
mod endpoint;
mod service;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Now, which is 12:03:07 of some day.
fn clock(now: Instant) -> Clock {
    let wall = UNIX_EPOCH + Duration::from_secs(20_000 * DAY + 12 * 3600 + 3 * 60 + 7);
    Clock { now, wall }
}

#[tokio::test(start_paused = true)]
async fn a_moment_is_told_as_the_log_tells_it_and_says_when_it_was_not_today() {
    let then = Instant::now();
    for (ago, said) in [
        (0, "12:03:07Z"),
        (8, "12:02:59Z"),
        (12 * 3600 + 3 * 60 + 8, "23:59:59Z"),
        (DAY, "12:03:07Z a day ago"),
        (3 * DAY + 7, "12:03:00Z 3 days ago"),
    ] {
        let clock = clock(then + Duration::from_secs(ago));
        assert_eq!(clock.at(then), said);
    }
}

#[tokio::test(start_paused = true)]
async fn spans_are_as_coarse_as_people_want_them() {
    let then = Instant::now();
    for (span, past, coming) in [
        (ms(0), "0us", "now"),
        (ms(400), "400ms", "in 0.4s"),
        (ms(3_140), "3.1s", "in 3.2s"),
        (ms(119_000), "119s", "in 2m"),
        (ms(720_000), "12m", "in 12m"),
        (ms(4 * 3_600_000), "4h", "in 4h"),
    ] {
        assert_eq!(clock(then + span).since(then), past);
        assert_eq!(clock(then).coming(then + span), coming);
    }
}

#[test]
fn thousands_are_set_off() {
    let said = [0, 999, 1_000, 1_234_567].map(thousands);
    assert_eq!(said, ["0", "999", "1,000", "1,234,567"]);
}
