//! `tidegate doctor` and `tidegate resolve`: the real binary, a real etcd, real sockets.
#![cfg(unix)]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]
// Real processes take real time, and a thread that waits.
#![allow(clippy::disallowed_methods)]

mod ask;
#[path = "../support/etcd.rs"]
mod etcd;
#[path = "../support/process.rs"]
mod process;

mod print;
mod recent;
mod registrations;
mod registries;
mod resolve;
