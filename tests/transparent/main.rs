//! Redirected connections: a client that dials an instance's own address, real iptables and nftables that send it to a
//! transparent listener instead, and what becomes of its calls. Each test runs in a network namespace of its own, where
//! it may give the host any address.
#![cfg(target_os = "linux")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

mod cost;
mod host;
#[path = "../support/netns.rs"]
mod netns;

mod instances;
mod local_first;
mod strangers;
mod turned_back;
