//! What a redirected call costs beside a direct one. Nothing is asserted of it: the figures are printed (`--nocapture`).

use std::net::SocketAddr;

use scripted::{Framing, Header};

use crate::host::{Family, Host, MARK, call, dial, echo, instance, redirect};
use crate::netns::inside;

/// Few where the figures mean nothing anyway.
const CALLS: u32 = if cfg!(debug_assertions) {
    1_000
} else {
    20_000
};
const CONNECTIONS: u32 = CALLS / 20;

/// CPU time of tidegate's worker thread so far, in ticks of 10 ms.
fn worker_ticks() -> u64 {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if name.contains("(worker") || name.contains("(tidegate-worker") {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ticks
}

/// Microseconds of it for each of so many.
fn micros(ticks: u64, of: u32) -> f64 {
    ticks as f64 * 10_000.0 / f64::from(of)
}

async fn costs(to: SocketAddr) -> (f64, f64) {
    let mut client = dial(to, Framing::Framed).await;
    let before = worker_ticks();
    for _ in 0..CALLS {
        assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
    }
    let calls = worker_ticks() - before;
    let before = worker_ticks();
    for _ in 0..CONNECTIONS {
        assert_eq!(call(to, Framing::Framed, Header::default()).await, echo());
    }
    (
        micros(calls, CALLS),
        micros(worker_ticks() - before, CONNECTIONS),
    )
}

#[test]
fn a_redirected_call_takes_the_way_of_a_direct_one() {
    inside(
        "cost::a_redirected_call_takes_the_way_of_a_direct_one",
        || async {
            let at = Family::V4.instance(1);
            let server = instance(at).await;
            let direct = SocketAddr::from(([127, 0, 0, 1], 18890));
            let second = format!(
                "[[listener]]\nname = \"direct\"\nlisten = \"{direct}\"\nservice = \"item\"\n"
            );
            let host = Host::start(&[("item", at)], &second).await;
            redirect("", "8888", MARK);
            for round in 1..=3 {
                let ((a, b), (c, d)) = (costs(direct).await, costs(at).await);
                eprintln!(
                    "round {round}: CPU of the worker per call, direct {a:.1} us, redirected {c:.1} us; per connection \
                     with one call, direct {b:.0} us, redirected {d:.0} us"
                );
            }
            assert_eq!(host.redirects("service"), u64::from(3 * (CONNECTIONS + 1)));
            assert_eq!(server.calls(), u64::from(6 * (CALLS + CONNECTIONS)));
        },
    );
}
