#![allow(clippy::unwrap_used)]
use std::net::SocketAddr;

use scripted::{Act, Options, Server};

use super::*;
use crate::cluster::Dial;
use crate::cluster::Knowledge;
use crate::config::{Policy, Share};
use crate::health::State;

fn policy(checks: HealthCheck) -> Arc<Policy> {
    Arc::new(Policy {
        health_check: checks,
        ..Policy::default()
    })
}

/// Calls every 20 ms, down after two failures.
fn quick() -> HealthCheck {
    HealthCheck {
        kind: CheckKind::Call,
        method: "Ping".to_owned(),
        interval: Duration::from_millis(20),
        unhealthy_threshold: 2,
        ..HealthCheck::default()
    }
}

fn cluster(name: &str, checks: HealthCheck, addrs: &[SocketAddr]) -> Arc<Cluster> {
    let control = tokio::runtime::Handle::current();
    let cluster = Cluster::new(name, policy(checks), control, false);
    cluster.apply(dials(addrs), Knowledge::Read(None));
    cluster
}

fn dials(addrs: &[SocketAddr]) -> Vec<Dial> {
    let dial = |addr: &SocketAddr| Dial {
        addr: (*addr).into(),
        weight: 1,
        revision: 1,
        tags: Default::default(),
        here: false,
        origin: Default::default(),
    };
    addrs.iter().map(dial).collect()
}

async fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Serves, but closes without an answer.
async fn closing() -> Server {
    Server::start(Act::Close).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_whose_checks_fail_leaves_the_set_and_comes_back_with_them() {
    let ill = Options::script(|call| match call.nth {
        0..8 => Act::Close,
        _ => Act::Big(1),
    });
    let server = ill.start().await.unwrap();
    let well = Server::start(Act::Big(1)).await.unwrap();
    let cluster = cluster("ill", quick(), &[server.address(), well.address()]);
    let endpoint = cluster.endpoint(&server.address().into()).unwrap();
    assert_eq!(cluster.set().available(), 2);
    eventually("down", || cluster.set().available() == 1).await;
    let outage = endpoint.health.outage().unwrap();
    assert!(
        outage.detail.contains("closed without an answer"),
        "{outage:?}"
    );
    eventually("back", || cluster.set().available() == 2).await;
    assert!(server.calls() > 8);
}

#[tokio::test]
async fn the_checks_end_with_the_endpoint_and_with_the_service() {
    let (gone, left) = (closing().await, closing().await);
    let cluster = cluster("ends", quick(), &[gone.address(), left.address()]);
    eventually("checked", || gone.calls() > 0 && left.calls() > 0).await;
    cluster.apply(dials(&[left.address()]), Knowledge::Read(None));
    let slots = cluster.checks.clone();
    // Nothing holds the service but the test.
    eventually("alone", || Arc::strong_count(&cluster) == 1).await;
    drop(cluster);
    // Each task holds the slots.
    eventually("ended", || Arc::strong_count(&slots) == 1).await;
    let calls = (gone.calls(), left.calls());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((gone.calls(), left.calls()), calls);
}

#[tokio::test]
async fn rules_that_are_switched_off_leave_nobody_down() {
    let server = closing().await;
    let cluster = cluster("off", quick(), &[server.address()]);
    eventually("down", || cluster.peers.count(State::Down) == 1).await;
    cluster.set_policy(&policy(HealthCheck::default()));
    eventually("up", || cluster.peers.count(State::Up) == 1).await;
    let calls = server.calls();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.calls(), calls);
    cluster.set_policy(&policy(quick()));
    eventually("down again", || cluster.peers.count(State::Down) == 1).await;
}

#[tokio::test]
async fn what_a_check_by_older_rules_found_changes_nothing() {
    let server = closing().await;
    let cluster = cluster("older", HealthCheck::default(), &[server.address()]);
    let endpoint = cluster.endpoint(&server.address().into()).unwrap();
    let missed = Missed {
        outcome: Outcome::ReadDeadline,
        detail: "no answer".into(),
    };
    for _ in 0..5 {
        cluster.checked(&endpoint, &Err(missed.clone()), &quick(), Instant::now());
    }
    assert_eq!(endpoint.health.state(), State::Up);
}

#[tokio::test]
async fn what_is_this_hosts_own_doing_is_no_failure() {
    let server = closing().await;
    let slow = HealthCheck {
        interval: Duration::from_secs(3_600),
        jitter: Share::millionths(0),
        ..quick()
    };
    let cluster = cluster("ours", slow.clone(), &[server.address()]);
    let endpoint = cluster.endpoint(&server.address().into()).unwrap();
    let missed = Missed {
        outcome: Outcome::Overloaded,
        detail: "too many open files".into(),
    };
    for _ in 0..5 {
        cluster.checked(&endpoint, &Err(missed.clone()), &slow, Instant::now());
    }
    assert_eq!(endpoint.health.snapshot().checks.failures, 0);
}

/// Every loopback address is this host's own on Linux.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_endpoints_are_not_checked_in_one_moment_and_never_more_than_64_at_once() {
    let server = Options::always(Act::Delay(Duration::from_millis(30)))
        .listen(([0, 0, 0, 0], 0).into())
        .start()
        .await
        .unwrap();
    let port = server.address().port();
    let addrs: Vec<SocketAddr> = (1..=200).map(|n| ([127, 0, 1, n], port).into()).collect();
    let mut rules = HealthCheck {
        interval: Duration::from_secs(3_600),
        ..quick()
    };
    let spread = cluster("spread", rules.clone(), &addrs);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.seen().connections < 20);
    drop(spread);
    let before = server.seen().connections;
    rules.required = true;
    let cluster = cluster("bounded", rules, &addrs);
    let most = std::cell::Cell::new(0);
    eventually("all are checked", || {
        let under_way = AT_ONCE - cluster.checks.available_permits();
        most.set(most.get().max(under_way));
        server.seen().connections >= before + 200 && under_way == 0
    })
    .await;
    assert!((1..=AT_ONCE).contains(&most.get()));
}
