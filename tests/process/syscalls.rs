//! What a call costs in system calls, as a count: two writes, two reads, and a share of a wait.

use std::process::{Command, Stdio};

use crate::load::{Load, Plan, instance};
use crate::process::{Tidegate, eventually, free, listener, send_signal, service};

const CALLERS: usize = 64;

/// Lines of `strace -c`: a system call's name and how often it was made.
fn counted(report: &str) -> Vec<(String, u64)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        Some(((*words.last()?).to_owned(), calls))
    };
    let all: Vec<_> = report.lines().filter_map(line).collect();
    all.into_iter()
        .filter(|(name, _)| name != "total")
        .collect()
}

/// Whether all threads of the process are traced by `tracer`.
fn is_traced(pid: u32, tracer: u32) -> bool {
    let traced = format!("TracerPid:\t{tracer}\n");
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.map(|thread| thread.unwrap().path()).all(|thread| {
        let status = std::fs::read_to_string(thread.join("status"));
        status.is_ok_and(|status| status.contains(&traced))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_two_writes_and_little_more_than_two_reads() {
    let server = instance().start().await.unwrap();
    let listen = free();
    let proxy = Tidegate::start(
        &(listener("item", listen, "item") + &service("item", &[server.address()], "")),
    );
    let load = Load::start(CALLERS, listen, &Plan::new("x"));
    load.more(500);
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-p", &proxy.pid().to_string(), "-o"])
        .arg(report.path())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace: apt-get install strace");
    eventually("strace has attached to every thread", || {
        is_traced(proxy.pid(), strace.id())
    });
    load.more(200);
    let before = server.calls();
    load.more(4_000);
    let calls = server.calls() - before;
    send_signal(strace.id(), "INT");
    strace.wait().unwrap();
    load.end().await.all_echoed();

    let text = std::fs::read_to_string(report.path()).unwrap();
    let made = counted(&text);
    let of = |names: &[&str]| {
        let n: u64 = made
            .iter()
            .filter(|(name, _)| names.contains(&&**name))
            .map(|(_, n)| n)
            .sum();
        n as f64 / calls as f64
    };
    let (writes, reads) = (
        of(&["sendto", "write", "writev"]),
        of(&["recvfrom", "read", "readv"]),
    );
    let all: u64 = made.iter().map(|(_, n)| n).sum();
    eprintln!(
        "{calls} calls traced: {writes:.2} writes, {reads:.2} reads, {:.2} in all",
        all as f64 / calls as f64
    );
    // Some calls run before and after those counted; a pooled connection idle for 10 ms is looked at once more, which
    // a traced process often is.
    assert!((1.9..2.6).contains(&writes), "{writes}:\n{text}");
    assert!((1.9..3.7).contains(&reads), "{reads}:\n{text}");
}
