//! Our own connections, by both of their addresses: one that comes in at a transparent listener is a loop.
//!
//! Both count, since the system gives the same local address to connections that go to different places. They are
//! remembered only while there is such a listener: nobody else asks.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

#[cfg(test)]
mod tests;

static WATCHED: AtomicUsize = AtomicUsize::new(0);
static OWN: LazyLock<RwLock<HashMap<Ends, Arc<AtomicBool>>>> = LazyLock::new(RwLock::default);

/// Where a connection comes from, and where it was dialled to.
type Ends = (SocketAddr, SocketAddr);

/// Whether the connection from `peer` that was dialled to `origin` is one of ours. Whoever uses it is told so, since what
/// is heard on it then is no word of an instance.
#[must_use]
pub fn came_back(peer: SocketAddr, origin: SocketAddr) -> bool {
    let own = OWN.read();
    let flag = own.get(&(canonical(peer), canonical(origin)));
    flag.inspect(|it| it.store(true, Relaxed)).is_some()
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

/// A connection's two ends; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Own(Ends, Arc<AtomicBool>);

impl Own {
    /// Remembers it, if anybody asks. `ends` is only called then.
    pub(super) fn remember(ends: impl FnOnce() -> Option<Ends>) -> Option<Self> {
        if WATCHED.load(Relaxed) == 0 {
            return None;
        }
        let (local, to) = ends()?;
        let ends = (canonical(local), canonical(to));
        let flag = Arc::new(AtomicBool::new(false));
        OWN.write().insert(ends, flag.clone());
        Some(Self(ends, flag))
    }

    /// Whether it came back to us.
    pub(super) fn came_back(&self) -> bool {
        self.1.load(Relaxed)
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
