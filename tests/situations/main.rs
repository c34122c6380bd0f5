//! What `tidegate doctor` says of a fault that is really there: two hosts in network namespaces of their own, real
//! sockets, a real firewall and a real etcd. Verdicts are compared by code, never by prose.
#![cfg(target_os = "linux")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

mod lab;
#[path = "../support/netns.rs"]
mod netns;
mod servers;
mod told;

mod etcd;
mod healthy;
mod page;
mod running;
mod scale;
mod story;
mod wrong;
