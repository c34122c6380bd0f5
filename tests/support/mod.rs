//! What the tests of whole calls share.
#![allow(unreachable_pub)]
#![allow(dead_code)]

use std::net::SocketAddr;

pub mod proxy;

/// A loopback port that nobody listens on.
pub fn free() -> SocketAddr {
    scripted::free()
}
