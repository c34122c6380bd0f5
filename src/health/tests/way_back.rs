//! How an endpoint comes back.

use super::*;

use Charge::{Exception, Success, Timeout};

fn eject(health: &Health, jitter: f64) -> Duration {
    let rules = EjectionPolicy::default();
    let now = Instant::now();
    let ejection = health
        .eject(Reason::FailureRate, &rules, now, jitter)
        .unwrap();
    ejection.until - now
}

/// Through probation, until it is up.
fn recover(health: &Health) {
    assert!(health.release(Instant::now()));
    report(health, Success, PASSES as usize);
    assert_eq!(health.state(), State::Up);
}

#[tokio::test(start_paused = true)]
async fn an_ejection_lasts_5_s_doubling_to_60_and_is_jittered_by_a_tenth() {
    let (all, _) = endpoints(2);
    let mut times = Vec::new();
    for _ in 0..6 {
        times.push(eject(&all[0], 0.0));
        all[0].release(Instant::now());
    }
    assert_eq!(times, [5, 10, 20, 40, 60, 60].map(secs));
    assert_eq!(eject(&all[1], -1.0), ms(4_500));
    all[1].release(Instant::now());
    assert_eq!(eject(&all[1], 1.0), ms(11_000));
}

#[tokio::test(start_paused = true)]
async fn each_minute_of_being_up_takes_one_step_off_the_time() {
    // (minutes up, the fourth ejection's time): three before it make it 40 s.
    for (minutes, time) in [(0, 40), (1, 20), (2, 10), (3, 5), (9, 5)] {
        let (all, _) = endpoints(2);
        for _ in 0..3 {
            eject(&all[0], 0.0);
            all[0].release(Instant::now());
        }
        report(&all[0], Success, PASSES as usize);
        tokio::time::advance(secs(60) * minutes).await;
        assert_eq!(eject(&all[0], 0.0), secs(time), "{minutes} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn five_successes_in_a_row_end_the_probation_after_an_ejection() {
    let (all, _) = endpoints(2);
    eject(&all[0], 0.0);
    assert_eq!(all[0].state(), State::Ejected);
    assert!(all[0].release(Instant::now()));
    assert_eq!(all[0].state(), State::Probation);
    assert_eq!(report(&all[0], Success, 4).state, None);
    assert_eq!(report(&all[0], Success, 1).state, Some(State::Up));
    assert!(
        !all[0].release(Instant::now()),
        "it is not ejected any more"
    );
}

#[tokio::test(start_paused = true)]
async fn any_failure_on_probation_ejects_again_by_the_same_detector() {
    for charge in [Exception, Timeout, Charge::Failure] {
        let (all, _) = endpoints(2);
        report(&all[0], Exception, 3);
        eject(&all[0], 0.0);
        all[0].release(Instant::now());
        report(&all[0], Success, 4);
        let learned = report(&all[0], charge, 1);
        assert_eq!(learned.eject, Some(Reason::FailureRate), "{charge:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_average_is_kept_over_an_ejection_and_what_still_ends_then_changes_nothing() {
    let (all, _) = endpoints(2);
    report(&all[0], Exception, 7);
    let before = all[0].snapshot().score.average();
    eject(&all[0], 0.0);
    report(&all[0], Success, 50);
    report(&all[0], Timeout, 50);
    all[0].release(Instant::now());
    assert_eq!(all[0].snapshot().score.average(), before);
}

#[tokio::test(start_paused = true)]
async fn its_share_grows_over_slow_start_after_an_ejection_and_not_after_being_down() {
    let (all, _) = endpoints(2);
    let share = || all[0].share(secs(10), Instant::now());
    eject(&all[0], 0.0);
    recover(&all[0]);
    assert_eq!(share(), 0.1);
    tokio::time::advance(secs(5)).await;
    assert_eq!(share(), 0.5);
    tokio::time::advance(secs(5)).await;
    assert_eq!(share(), 1.0);
    assert!(!all[0].is_plain());
    all[0].upkeep(secs(10), Instant::now());
    assert!(all[0].is_plain());
    all[1].connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
    all[1].connected();
    assert_eq!(all[1].share(secs(10), Instant::now()), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_ejected_endpoint_that_goes_down_is_ejected_still_when_it_is_back() {
    let (all, peers) = endpoints(2);
    eject(&all[0], 0.0);
    all[0].connect_failed(Outcome::ConnectTimeout, "", Instant::now(), 0.0);
    assert_eq!(all[0].state(), State::Down);
    assert_eq!(
        (peers.count(State::Down), peers.count(State::Ejected)),
        (1, 0)
    );
    all[0].connected();
    assert_eq!(all[0].state(), State::Ejected);
    // Unless nobody was there any more: then it is another process that comes back.
    all[0].connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
    all[0].connected();
    assert_eq!(all[0].state(), State::Up);
}

#[tokio::test(start_paused = true)]
async fn being_down_ends_a_run_and_an_overdue_probation() {
    let (all, _) = endpoints(2);
    report(&all[0], Timeout, 4);
    assert_eq!(all[0].state(), State::Probation);
    all[0].connect_failed(Outcome::ConnectTimeout, "", Instant::now(), 0.0);
    all[0].connected();
    assert_eq!(all[0].state(), State::Up);
    assert_eq!(report(&all[0], Timeout, 1).eject, None);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_goes_and_comes_again_in_the_registry_counts_only_while_it_is_there() {
    let (all, peers) = endpoints(3);
    report(&all[0], Exception, 5);
    all[0].set_registered(false);
    assert_eq!(peers.total(), 2);
    assert_eq!(all[1].snapshot().mean_of_others, 0.0);
    report(&all[0], Exception, 5);
    assert_eq!(all[1].snapshot().mean_of_others, 0.0);
    all[0].set_registered(true);
    assert_eq!(peers.total(), 3);
    assert!(all[1].snapshot().mean_of_others > 0.1);
}

#[tokio::test(start_paused = true)]
async fn with_ejection_switched_off_everybody_is_pardoned() {
    let (all, peers) = endpoints(4);
    eject(&all[0], 0.0);
    report(&all[1], Timeout, 1);
    all.iter().for_each(|health| {
        health.pardon();
    });
    assert_eq!(peers.count(State::Up), 4);
}
