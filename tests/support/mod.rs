//! What the tests of whole calls share.
#![allow(unreachable_pub)]
#![allow(dead_code)]

use std::net::SocketAddr;

pub mod proxy;

/// A loopback port that nobody listens on.
pub fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
}
