//! The client connections of a listener, counted: all of them, and those of each source address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::Door;
use crate::session::Closed;

/// Connections over a limit that are told so, at once and per listener: each is read for as long as it may take to tell
/// its protocol. The others are closed unheard.
const UNWELCOME: usize = 64;

/// The counts. What they hold grows with the connections that are open, and with nothing else.
#[derive(Default)]
pub(super) struct Guests {
    open: AtomicUsize,
    sources: Mutex<HashMap<IpAddr, Source>>,
    unwelcome: AtomicUsize,
    /// The log says once that there is no room, until there is again.
    full: AtomicBool,
}

/// What is known of an address while it has connections.
#[derive(Default)]
struct Source {
    open: usize,
    /// The log has named it; not again before it is gone.
    named: bool,
}

impl Guests {
    /// Connections now; those that are turned away are none.
    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// One more of this source, unless it has `limit` (0: no limit). Counted without a limit too: a reload may set one.
    fn arrive(&self, source: IpAddr, limit: usize) -> Result<(), FirstTime> {
        let mut sources = self.sources.lock();
        let known = sources.entry(source).or_default();
        if limit > 0 && known.open >= limit {
            let named = std::mem::replace(&mut known.named, true);
            return Err(FirstTime(!named));
        }
        known.open += 1;
        Ok(())
    }

    fn leave(&self, source: IpAddr) {
        if let Entry::Occupied(mut known) = self.sources.lock().entry(source) {
            known.get_mut().open -= 1;
            if known.get().open == 0 {
                known.remove();
            }
        }
    }
}

/// Whether a source is over its limit for the first time since it came.
struct FirstTime(bool);

/// The limit of a listener that a new connection is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// `max_connections`, which is this.
    Connections(usize),
    /// `max_connections_per_source`, which is this, and the source.
    PerSource(usize, IpAddr),
}

impl Over {
    /// Why the connection ends.
    pub fn closed(self) -> Closed {
        match self {
            Self::Connections(_) => Closed::MaxConnections,
            Self::PerSource(..) => Closed::MaxConnectionsPerSource,
        }
    }
}

/// A client connection, counted.
pub(super) struct Guest {
    door: Arc<Door>,
    source: Option<IpAddr>,
}

impl Guest {
    /// Lets a connection from `source` in, or says which limit it is over. Over a unix socket there is no source, and
    /// no limit of it.
    pub(super) fn enter(door: &Arc<Door>, source: Option<IpAddr>) -> Result<Self, Over> {
        door.metrics.connections_total.inc();
        let config = door.config();
        let (guests, source) = (&door.guests, source.map(|ip| ip.to_canonical()));
        let limit = config.max_connections_per_source;
        if let Some(source) = source
            && let Err(FirstTime(first)) = guests.arrive(source, limit)
        {
            if first {
                tracing::warn!(listener = %door.name, source = %source, "turning new connections of {source} away: it has {limit}, max_connections_per_source");
            }
            door.refused("connections_per_source");
            return Err(Over::PerSource(limit, source));
        }
        let limit = config.max_connections;
        if guests.open.fetch_add(1, Relaxed) >= limit {
            guests.open.fetch_sub(1, Relaxed);
            source.inspect(|&source| guests.leave(source));
            if !guests.full.swap(true, Relaxed) {
                tracing::warn!(listener = %door.name, "turning new connections away: {limit} are open, max_connections");
            }
            door.refused("connections");
            return Err(Over::Connections(limit));
        }
        guests.full.store(false, Relaxed);
        door.metrics.connections.inc();
        Ok(Self {
            door: door.clone(),
            source,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.door.guests.open.fetch_sub(1, Relaxed);
        self.source
            .inspect(|&source| self.door.guests.leave(source));
        self.door.metrics.connections.dec();
    }
}

/// A place among the connections over a limit that are told so.
pub(super) struct Unwelcome(Arc<Door>);

impl Unwelcome {
    /// `None` where there are enough of them.
    pub(super) fn enter(door: &Arc<Door>) -> Option<Self> {
        let place = Self(door.clone());
        (door.guests.unwelcome.fetch_add(1, Relaxed) < UNWELCOME).then_some(place)
    }
}

impl Drop for Unwelcome {
    fn drop(&mut self) {
        self.0.guests.unwelcome.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
