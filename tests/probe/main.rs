//! Probes of real servers, of a process that was stopped, and of what a firewall and a bare host do to a connect.
#![cfg(unix)]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

#[cfg(target_os = "linux")]
mod host;
mod servers;

#[cfg(target_os = "linux")]
#[path = "../support/netns.rs"]
mod netns;

use tidegate::probe::{Plan, Seen, probe};
use tidegate::registry::DialAddr;

/// What is seen once it is as it should be: a server that starts, or a busy machine, may take several probes.
async fn eventually(addr: &DialAddr, plan: &Plan, is_it: impl Fn(&Seen) -> bool) -> Seen {
    let mut seen = probe(addr, plan).await;
    for _ in 0..30 {
        if is_it(&seen) {
            break;
        }
        seen = probe(addr, plan).await;
    }
    assert!(is_it(&seen), "{seen:?}");
    seen
}
