#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{advance, timeout};

use super::*;
use crate::config::Config;
use crate::registry::{Instance, Rewrites, Suspicious};

fn known(addresses: &[&str]) -> Known {
    let instances = addresses.iter().map(|address| {
        Arc::new(Instance {
            address: (*address).to_owned(),
            network: "tcp".to_owned(),
            key: format!("p/item/{address}"),
            weight: 10,
            tags: BTreeMap::new(),
            revision: 1,
            notes: Vec::new(),
        })
    });
    let set = ReadSet {
        instances: instances.collect(),
        skipped: Vec::new(),
        at: Instant::now(),
        stale: false,
    };
    Known::Read(Arc::new(set))
}

/// `follow` with everything around it in the test's hands.
struct Bench {
    known: watch::Sender<Known>,
    policy: watch::Sender<MemberPolicy>,
    again: Arc<Notify>,
    answer: Arc<Mutex<Vec<IpAddr>>>,
    lookups: Arc<AtomicUsize>,
    applied: mpsc::Receiver<Arc<Members>>,
}

fn start(first: Known) -> Bench {
    let (known, known_rx) = watch::channel(first);
    let (policy, policy_rx) = watch::channel(MemberPolicy::default());
    let (sender, applied) = mpsc::channel(64);
    let again = Arc::new(Notify::new());
    let answer: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let lookups: Arc<AtomicUsize> = Arc::default();
    let (counted, answered) = (Arc::clone(&lookups), Arc::clone(&answer));
    let lookup: Lookup = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let ips = answered.lock().clone();
        Box::pin(async move { Ok(ips) })
    });
    let apply = move |members| sender.try_send(members).unwrap();
    let notify = Arc::clone(&again);
    tokio::spawn(follow_with(
        "item".into(),
        known_rx,
        policy_rx,
        Arc::default(),
        notify,
        lookup,
        apply,
    ));
    Bench {
        known,
        policy,
        again,
        answer,
        lookups,
        applied,
    }
}

impl Bench {
    async fn next(&mut self) -> Arc<Members> {
        timeout(Duration::from_secs(120), self.applied.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn next_list(&mut self) -> Vec<String> {
        self.next()
            .await
            .list
            .iter()
            .map(|member| member.dial.to_string())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn sets_are_applied_as_they_come_and_only_when_they_differ() {
    let mut bench = start(Known::Unread);
    assert!(!bench.next().await.known);
    bench.known.send_replace(known(&["10.0.0.1:1"]));
    assert_eq!(bench.next_list().await, ["10.0.0.1:1"]);
    bench.known.send_replace(known(&["10.0.0.1:1"]));
    tokio::task::yield_now().await;
    bench
        .known
        .send_replace(known(&["10.0.0.1:1", "10.0.0.2:1"]));
    assert_eq!(
        bench.next_list().await,
        ["10.0.0.1:1", "10.0.0.2:1"],
        "the same set again was not applied"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_passed_on() {
    let mut bench = start(Known::Denied("grant it".into()));
    let members = bench.next().await;
    assert_eq!(
        (members.known, members.denied.as_deref()),
        (false, Some("grant it"))
    );
    bench.known.send_replace(known(&["10.0.0.1:1"]));
    assert_eq!(bench.next().await.denied, None);
}

#[tokio::test(start_paused = true)]
async fn a_grace_ends_by_itself() {
    let mut bench = start(known(&["10.0.0.1:1"]));
    bench.next().await;
    bench.known.send_replace(known(&[]));
    let kept = bench.next().await;
    assert!(kept.list[0].last_resort);
    let before = Instant::now();
    assert!(bench.next().await.list.is_empty());
    assert_eq!(before.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_adopted_at_once() {
    let mut bench = start(known(&["127.0.0.1:1"]));
    assert_eq!(bench.next_list().await, ["127.0.0.1:1"]);
    bench.policy.send_replace(MemberPolicy {
        suspicious: Suspicious::Refuse,
        ..MemberPolicy::default()
    });
    assert!(bench.next().await.list.is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_are_resolved_at_once_every_thirty_seconds_and_when_asked() {
    let mut bench = start(Known::Unread);
    bench.next().await;
    *bench.answer.lock() = vec!["10.0.0.1".parse().unwrap()];
    bench.known.send_replace(known(&["item:80"]));
    assert!(
        !bench.next().await.known,
        "as good as unread while the only name is being resolved"
    );
    let members = bench.next().await;
    assert_eq!((members.known, members.list.len()), (true, 1));

    *bench.answer.lock() = vec!["10.0.0.2".parse().unwrap()];
    let before = Instant::now();
    assert_eq!(bench.next_list().await, ["10.0.0.2:80"]);
    assert_eq!(before.elapsed().as_secs(), 30);

    *bench.answer.lock() = vec!["10.0.0.3".parse().unwrap()];
    let before = Instant::now();
    bench.again.notify_one();
    assert_eq!(bench.next_list().await, ["10.0.0.3:80"]);
    assert!(before.elapsed() <= RESOLVE_GAP);
}

#[tokio::test(start_paused = true)]
async fn asking_often_does_not_resolve_often() {
    let mut bench = start(known(&["item:80"]));
    bench.next().await;
    for _ in 0..100 {
        bench.again.notify_one();
        advance(Duration::from_millis(50)).await;
        tokio::task::yield_now().await;
    }
    let lookups = bench.lookups.load(Ordering::Relaxed);
    assert!((2..=7).contains(&lookups), "{lookups} in 5 s");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_unix_socket_is_used_within_a_second_of_being_there_and_stays_though_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("item.sock");
    let mut bench = start(known(&["10.0.0.1:1", path.to_str().unwrap()]));
    assert_eq!(bench.next_list().await, ["10.0.0.1:1"]);
    std::fs::write(&path, "no socket").unwrap();
    advance(Duration::from_secs(3)).await;
    tokio::task::yield_now().await;
    assert!(bench.applied.try_recv().is_err());
    std::fs::remove_file(&path).unwrap();
    let socket = tokio::net::UnixListener::bind(&path).unwrap();
    let before = Instant::now();
    let both = ["10.0.0.1:1".to_owned(), format!("unix:{}", path.display())];
    assert_eq!(bench.next_list().await, both);
    assert!(before.elapsed() <= sockets::LOOK_EVERY);

    // Gone, it is an instance that cannot be dialled: nothing for the registry to say.
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    bench.again.notify_one();
    advance(Duration::from_secs(3)).await;
    assert!(bench.applied.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_registry() {
    let mut bench = start(known(&["10.0.0.1:1"]));
    bench.next().await;
    drop(bench.known);
    assert!(bench.applied.recv().await.is_none());
}

/// The default policy with these rules.
fn with_rules(rules: &str) -> MemberPolicy {
    let rest = "[[listener]]\nname='l'\nlisten='127.0.0.1:18890'\n";
    let config = Config::from_str("dev.toml", &format!("{rules}\n{rest}")).unwrap();
    MemberPolicy {
        rewrites: Arc::new(Rewrites::new(&config.rewrites)),
        ..MemberPolicy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn other_rules_are_adopted_at_once_and_their_host_names_resolved() {
    let mut bench = start(known(&["10.0.0.1:1"]));
    assert_eq!(bench.next_list().await, ["10.0.0.1:1"]);
    let to_ip = with_rules("[[rewrite]]\nservice='*'\nhost='192.0.2.9'\n");
    bench.policy.send_replace(to_ip);
    assert_eq!(bench.next_list().await, ["192.0.2.9:1"]);

    *bench.answer.lock() = vec!["192.0.2.8".parse().unwrap()];
    let to_name = with_rules("[[rewrite]]\ncidr='10.0.0.0/8'\nhost='gw.example'\nport=2\n");
    bench.policy.send_replace(to_name);
    assert!(!bench.next().await.known, "being resolved");
    assert_eq!(bench.next_list().await, ["192.0.2.8:2"]);
    assert_eq!(bench.lookups.load(Ordering::Relaxed), 1);

    // And no more once nothing leads to it.
    bench.policy.send_replace(with_rules(""));
    assert_eq!(bench.next_list().await, ["10.0.0.1:1"]);
    advance(RESOLVE_EVERY * 2).await;
    tokio::task::yield_now().await;
    assert_eq!(bench.lookups.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_to_a_name_is_resolved_step_by_step() {
    let mut bench = start(Known::Unread);
    bench.next().await;
    *bench.answer.lock() = vec!["10.0.0.1".parse().unwrap()];
    let rule = with_rules("[[rewrite]]\ncidr='10.0.0.0/8'\nhost='gw.example'\nport=2\n");
    bench.policy.send_replace(rule);
    bench.known.send_replace(known(&["item:80"]));
    let is_there = |members: &Members| {
        let first = members.list.first();
        first.is_some_and(|member| member.dial.to_string() == "10.0.0.1:2")
    };
    let mut members = bench.next().await;
    while !is_there(&members) {
        members = bench.next().await;
    }
    let registered = members.list[0].registered;
    assert_eq!(registered, Some("10.0.0.1:80".parse().unwrap()));
}
