//! A thousand registrations, a tenth of them black holes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::lab::{Lab, PREFIX, sh, value};
use crate::netns::inside;

/// Connections that the doctor may have at a time.
const AT_ONCE: usize = 64;
/// What it should take, and what the test allows for a busy machine.
const GOAL: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(50);

#[test]
fn a_thousand_registrations_are_looked_at_side_by_side_and_never_more_than_64_at_a_time() {
    let name = "scale::a_thousand_registrations_are_looked_at_side_by_side_and_never_more_than_64_at_a_time";
    inside(name, || async {
        let mut lab = Lab::new().await;
        sh(
            "ip route add local 10.78.0.0/16 dev lo; ip route add local 10.79.0.0/16 dev lo; \
            iptables -w -A INPUT -d 10.79.0.0/16 -j DROP",
        );
        lab.on_caller("ip route add 10.78.0.0/15 via 10.77.0.1");
        let server = TcpListener::bind("0.0.0.0:8888").await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let _ = stream.readable().await;
                    sleep(Duration::from_millis(500)).await;
                });
            }
        });
        for n in 0..1000 {
            let net = if n % 10 == 0 { 79 } else { 78 };
            let address = format!("10.{net}.{}.{}:8888", n / 200, n % 200 + 1);
            let key = format!("{PREFIX}/service-{}/{address}", n % 20);
            lab.put_key(&key, &value("tcp", &address, 10)).await;
        }
        let watch = Watch::start(lab.pid());
        let began = Instant::now();
        let told = lab.doctor(&[]).await;
        let took = began.elapsed();
        let most = watch.stop();
        let summary = &told.json["summary"];
        assert_eq!(summary["registrations"], 1000, "{summary}");
        assert_eq!(
            (&summary["reachable"], &summary["wrong"]),
            (&900.into(), &100.into())
        );
        assert!(most <= AT_ONCE, "{most} connections at a time");
        assert!(
            most > AT_ONCE / 4,
            "{most} connections at a time: not side by side, or not counted"
        );
        assert!(took < PATIENCE, "{took:?}");
        eprintln!(
            "1,000 registrations in {took:.2?} (goal {GOAL:?}), {most} connections at a time at most"
        );
    });
}

/// Counts the connections that the caller's host has open, or is opening, over and over.
struct Watch {
    most: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(pid: u32) -> Self {
        let (most, over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, ended) = (most.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut before = HashSet::new();
            while !ended.load(Relaxed) {
                let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
                let now: HashSet<String> = table.lines().filter_map(open).collect();
                // A table is no snapshot: what is in two of them was there between the two.
                counted.fetch_max(now.intersection(&before).count(), Relaxed);
                before = now;
            }
        });
        Self { most, over, thread }
    }

    fn stop(self) -> usize {
        self.over.store(true, Relaxed);
        self.thread.join().unwrap();
        self.most.load(Relaxed)
    }
}

/// The two ends of a row of the kernel's table that is a connection to port 8888, established or being made.
fn open(row: &str) -> Option<String> {
    let mut fields = row.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let is_open = remote.ends_with(":22B8") && matches!(state, "01" | "02");
    is_open.then(|| format!("{local} {remote}"))
}
