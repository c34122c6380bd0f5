//! The firewall's rules that redirect connections, with the real tools, each test in a network namespace of its own.
#![cfg(target_os = "linux")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod bench;
#[path = "../support/netns.rs"]
mod netns;
mod peer;

mod place;
mod traffic;
mod trouble;
