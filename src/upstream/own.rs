//! The local addresses of our own connections: one that comes in at a transparent listener is a loop.
//!
//! They are remembered only while there is such a listener: nobody else asks.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::RwLock;

#[cfg(test)]
mod tests;

static WATCHED: AtomicUsize = AtomicUsize::new(0);
static OWN: LazyLock<RwLock<HashSet<SocketAddr>>> = LazyLock::new(RwLock::default);

/// Whether a connection from this address is one of ours.
#[must_use]
pub fn is_own(peer: SocketAddr) -> bool {
    OWN.read().contains(&canonical(peer))
}

/// While one of these lives, our own connections are remembered.
#[derive(Debug)]
pub struct Watch(());

impl Watch {
    /// Connections made from now on are remembered.
    #[must_use]
    pub fn new() -> Self {
        WATCHED.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Relaxed);
    }
}

/// A connection's local address; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Own(SocketAddr);

impl Own {
    /// Remembers it, if anybody asks. `local` is only called then.
    pub(super) fn remember(local: impl FnOnce() -> Option<SocketAddr>) -> Option<Self> {
        if WATCHED.load(Relaxed) == 0 {
            return None;
        }
        let local = canonical(local()?);
        OWN.write().insert(local);
        Some(Self(local))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.write().remove(&self.0);
    }
}

/// A `[::]` listener sees IPv4 callers at mapped addresses.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
