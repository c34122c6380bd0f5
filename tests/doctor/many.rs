//! A thousand registrations, a tenth of them black holes, in a network namespace.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::ask::{Answer, instances, run};
use crate::netns::inside;

const ALL: usize = 1_000;
const HOLES: usize = 100;
const NAME: &str = "many::a_thousand_registrations_are_looked_at_in_seconds_by_few_connections";

/// Connections that are open, and the most there were.
#[derive(Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[test]
fn a_thousand_registrations_are_looked_at_in_seconds_by_few_connections() {
    inside(NAME, look);
}

/// Gives this host all the addresses, and drops what goes to some of them.
fn prepare() {
    let line = "ip addr add 10.9.0.1/16 dev lo && iptables -A OUTPUT -d 10.9.200.0/24 -j DROP";
    let done = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(done.success());
}

async fn look() {
    prepare();
    let open = Arc::<Open>::default();
    tokio::spawn(serve(open.clone()));
    let folder = tempfile::tempdir().unwrap();
    let mut file = String::new();
    for n in 0..ALL {
        let host = match n < HOLES {
            true => format!("10.9.200.{}", n + 1),
            false => format!("10.9.{}.{}", 1 + n / 200, 1 + n % 200),
        };
        writeln!(
            file,
            "[[instance]]\nservice = 'item'\naddress = '{host}:8888'"
        )
        .unwrap();
    }
    std::fs::write(folder.path().join("items.toml"), file).unwrap();
    let config = "[[registry]]\nname = 'file'\nkind = 'file'\npath = 'items.toml'\n";
    std::fs::write(folder.path().join("tidegate.toml"), config).unwrap();
    let begun = Instant::now();
    let answer: Answer = run(&folder, &["doctor", "--json"]).await;
    let took = begun.elapsed();
    let report = answer.json();
    let most = open.most.load(SeqCst);
    eprintln!("{ALL} registrations, {HOLES} black holes: {took:?}, {most} connections at most");
    assert_eq!(answer.code, 1);
    let sum = &report["summary"];
    assert_eq!(
        (&sum["reachable"], &sum["wrong"]),
        (&900.into(), &100.into()),
        "{sum}"
    );
    let holes = instances(&report)
        .into_iter()
        .filter(|it| it["codes"][0] == "P02");
    assert_eq!(holes.count(), HOLES);
    assert!(most <= 64, "{most} connections at once");
    // Ten times what it is to take.
    assert!(took < Duration::from_secs(50), "{took:?}");
    let text = run(&folder, &["doctor"]).await.out;
    assert!(
        text.contains("900 reachable; the slowest connect took "),
        "{text}"
    );
    assert!(text.lines().count() < 150, "{text}");
}

/// Takes connections, and holds each until it is closed.
async fn serve(open: Arc<Open>) {
    let listener = TcpListener::bind("0.0.0.0:8888").await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let open = open.clone();
        tokio::spawn(async move {
            let now = open.now.fetch_add(1, SeqCst) + 1;
            open.most.fetch_max(now, SeqCst);
            let mut bytes = [0; 64];
            while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
            open.now.fetch_sub(1, SeqCst);
        });
    }
}
