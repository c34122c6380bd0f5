//! Real processes: the binary itself, etcd, Prometheus, instances that are killed, signals. All on loopback, bounded in
//! count and time; nothing asserts speed, figures are printed (`--nocapture` shows them).
#![cfg(unix)]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]
// Real processes and signals take real time, and a thread that waits.
#![allow(clippy::disallowed_methods)]

#[path = "../support/etcd.rs"]
mod etcd;
mod instance;
mod load;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/prometheus.rs"]
mod prometheus;

mod black_hole;
mod killed;
mod registry;
mod reload;
mod scarce;
mod scrape;
mod stale;
mod stop;
mod storm;
mod syscalls;
mod why;
