#![allow(clippy::unwrap_used)]
use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_down_at_its_first_failed_connect_and_up_at_the_first_that_succeeds() {
    let health = Health::default();
    assert!(health.is_up());
    assert!(health.connect_failed(Outcome::ConnectRefused, "refused", Instant::now(), 0.0));
    assert!(!health.is_up());
    assert!(!health.connect_failed(Outcome::ConnectRefused, "refused", Instant::now(), 0.0));
    assert_eq!(health.outage().unwrap().failures, 2);
    assert!(health.connected());
    assert!(health.is_up() && health.next_connect().is_none());
    assert!(!health.connected());
}

#[tokio::test(start_paused = true)]
async fn background_connects_wait_250_ms_doubling_to_800_then_to_5_s_after_a_minute() {
    let health = Health::default();
    let start = Instant::now();
    let mut waits = Vec::new();
    let mut now = start;
    while now < start + Duration::from_secs(90) {
        health.connect_failed(Outcome::ConnectTimeout, "", now, 0.0);
        let next = health.next_connect().unwrap();
        waits.push((now - start, next - now));
        now = next;
    }
    assert_eq!(
        waits[..4].iter().map(|w| w.1).collect::<Vec<_>>(),
        [ms(250), ms(500), ms(800), ms(800)]
    );
    for (at, wait) in &waits {
        assert!(
            *wait <= if *at < PATIENCE { SOON } else { LATE },
            "{wait:?} at {at:?}"
        );
    }
    assert_eq!(waits.last().unwrap().1, LATE);
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_jittered_by_a_tenth() {
    for (jitter, wait) in [(-1.0, 225), (1.0, 275)] {
        let health = Health::default();
        let now = Instant::now();
        health.connect_failed(Outcome::ConnectRefused, "", now, jitter);
        assert_eq!(health.next_connect().unwrap() - now, ms(wait));
    }
}
