#![allow(clippy::unwrap_used)]
use super::outage::{LATE, PATIENCE, SOON};
use super::*;

mod any_sequence;
mod checks;
mod detectors;
mod way_back;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Endpoints that know of each other.
fn endpoints(n: usize) -> (Vec<Health>, Arc<Peers>) {
    let peers: Arc<Peers> = Arc::default();
    let all = (0..n).map(|_| Health::new(peers.clone())).collect();
    (all, peers)
}

fn health() -> Health {
    Health::new(Arc::default())
}

/// Reports this charge `n` times, while others succeed; what came of the last one.
fn report(health: &Health, charge: Charge, n: usize) -> Learned {
    let rules = EjectionPolicy::default();
    let mut last = Learned::default();
    for _ in 0..n {
        last = health.observe(charge, &rules, Instant::now());
        others_succeed(health);
    }
    last
}

/// Tries elsewhere: witnesses.
fn others_succeed(health: &Health) {
    (0..4).for_each(|_| health.peers.tries(false));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_down_at_its_first_failed_connect_and_up_at_the_first_that_succeeds() {
    let health = health();
    assert_eq!(health.state(), State::Up);
    assert!(health.connect_failed(Outcome::ConnectRefused, "refused", Instant::now(), 0.0));
    assert_eq!(health.state(), State::Down);
    assert!(!health.connect_failed(Outcome::ConnectRefused, "refused", Instant::now(), 0.0));
    assert_eq!(health.outage().unwrap().failures, 2);
    assert!(health.connected());
    assert!(health.state() == State::Up && health.next_connect().is_none());
    assert!(!health.connected());
}

#[tokio::test(start_paused = true)]
async fn background_connects_wait_250_ms_doubling_to_800_then_to_5_s_after_a_minute() {
    let health = health();
    let start = Instant::now();
    let mut waits = Vec::new();
    let mut now = start;
    while now < start + secs(90) {
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
        let health = health();
        let now = Instant::now();
        health.connect_failed(Outcome::ConnectRefused, "", now, jitter);
        assert_eq!(health.next_connect().unwrap() - now, ms(wait));
    }
}
