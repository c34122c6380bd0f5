//! A thousand registrations, a tenth of them black holes; and a million.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use etcd_client::{Client, Txn, TxnOp};
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::lab::{ETCD, Lab, PREFIX, output, sh, value};
use crate::netns::inside;
use crate::told::Told;

/// Connections that the doctor may have at a time.
const AT_ONCE: usize = 64;
/// Services that the registrations belong to.
const SERVICES: usize = 20;
/// What it should take, and what the test allows for a busy machine.
const GOAL: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(50);

#[test]
fn a_thousand_registrations_are_looked_at_side_by_side_and_never_more_than_64_at_a_time() {
    let name = "scale::a_thousand_registrations_are_looked_at_side_by_side_and_never_more_than_64_at_a_time";
    inside(name, || async {
        let mut lab = many(1000, 10).await;
        serve();
        let (told, took, most) = watched(&mut lab, &[]).await;
        let summary = &told.json["summary"];
        assert_eq!(summary["registrations"], 1000, "{summary}");
        assert_eq!(
            (&summary["reachable"], &summary["wrong"]),
            (&900.into(), &100.into())
        );
        let services = (0..SERVICES).map(|n| told.codes(&format!("service-{n}")));
        let codes: Vec<String> = services.flatten().collect();
        assert_eq!(codes.iter().filter(|code| *code == "P02").count(), 100);
        assert!(most <= AT_ONCE, "{most} connections at a time");
        assert!(
            most > AT_ONCE / 4,
            "{most} connections at a time: not side by side, or not counted"
        );
        assert!(took < PATIENCE, "{took:?}");
        eprintln!(
            "1,000 registrations in {took:.2?} (goal {GOAL:?}), {most} connections at a time at most"
        );
        let (said, _) = lab.doctor_says(&["service-7"]).await;
        assert!(
            said.contains("45 reachable; the slowest connect took "),
            "{said}"
        );
        assert!(said.lines().count() < 60, "{said}");
    });
}

#[test]
fn far_hosts_idle_connections_and_calls_open_no_more_either() {
    let name = "scale::far_hosts_idle_connections_and_calls_open_no_more_either";
    inside(name, || async {
        let mut lab = many(150, 15).await;
        serve();
        // Every other first packet of a connect is lost: half of them take a second, and are measured again.
        sh(
            "iptables -w -A INPUT -p tcp --dport 8888 --syn -m statistic --mode nth --every 2 --packet 0 -j DROP",
        );
        let (told, took, most) = watched(&mut lab, &["--idle=500ms", "--call"]).await;
        let summary = &told.json["summary"];
        assert_eq!(summary["registrations"], 150, "{summary}");
        assert!(most <= AT_ONCE, "{most} connections at a time");
        assert!(most > AT_ONCE / 4, "{most} connections at a time");
        eprintln!("150 far ones, idle and called, in {took:.2?}, {most} connections at most");
    });
}

#[test]
#[ignore = "a million keys take a minute to put"]
fn a_million_keys_cost_the_doctor_neither_memory_nor_time_without_end() {
    let name = "scale::a_million_keys_cost_the_doctor_neither_memory_nor_time_without_end";
    inside(name, || async {
        let lab = Lab::new().await;
        let filling = (0..8).map(|part| fill(lab.client.clone(), part * 1000..(part + 1) * 1000));
        join_all(filling).await;
        let began = Instant::now();
        let mut command = lab.command_on_caller("sh");
        let binary = env!("CARGO_BIN_EXE_tidegate");
        let line = format!(
            "{binary} doctor --json --etcd {ETCD} >report & \
             while s=$(grep VmHWM /proc/$!/status 2>/dev/null); do hwm=$s; sleep 0.05; done; \
             wait $!; code=$?; tail -c 200 report; echo; echo $hwm; exit $code"
        );
        command.args(["-c", &line]).current_dir(lab.path("."));
        let told = output(command).await;
        let said = String::from_utf8_lossy(&told.stdout).into_owned();
        eprintln!("a million keys: {:.2?}, {said}", began.elapsed());
        assert_eq!(told.status.code(), Some(1), "{said}");
        let mut words = said.split_ascii_whitespace().rev();
        let kib: usize = words.nth(1).and_then(|it| it.parse().ok()).unwrap();
        assert!(kib < 1024 * 1024, "{kib} KiB");
    });
}

/// Puts 125,000 keys, as 1,000 transactions.
async fn fill(mut client: Client, part: Range<usize>) {
    for n in part {
        let put = |m: usize| {
            let address = format!("10.{}.{}.{m}:8888", 100 + n / 250, n % 250);
            let key = format!("{PREFIX}/item-{}/{address}", n % 20);
            TxnOp::put(key, value("tcp", &address, 10), None)
        };
        let puts: Vec<TxnOp> = (0..125).map(put).collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
}

/// So many registrations of some services, on hosts behind a link, every so manieth of which is a black hole.
async fn many(all: usize, hole: usize) -> Lab {
    let mut lab = Lab::new().await;
    sh(
        "ip route add local 10.78.0.0/16 dev lo; ip route add local 10.79.0.0/16 dev lo; \
        iptables -w -A INPUT -d 10.79.0.0/16 -j DROP",
    );
    lab.on_caller("ip route add 10.78.0.0/15 via 10.77.0.1");
    for n in 0..all {
        let net = if n % hole == 0 { 79 } else { 78 };
        let address = format!("10.{net}.{}.{}:8888", n / 200, n % 200 + 1);
        let key = format!("{PREFIX}/service-{}/{address}", n / (all / SERVICES));
        lab.put_key(&key, &value("tcp", &address, 10)).await;
    }
    lab
}

/// A server at all the hosts that takes connections, and closes none before its caller does.
fn serve() {
    let server = std::net::TcpListener::bind("0.0.0.0:8888").unwrap();
    server.set_nonblocking(true).unwrap();
    let server = TcpListener::from_std(server).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 64];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
            });
        }
    });
}

/// What the doctor says, what it takes, and the most connections that it has at a time.
async fn watched(lab: &mut Lab, args: &[&str]) -> (Told, Duration, usize) {
    let watch = Watch::start(lab.pid());
    let began = Instant::now();
    let told = lab.doctor(args).await;
    let took = began.elapsed();
    (told, took, watch.stop())
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
