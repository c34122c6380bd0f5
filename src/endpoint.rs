//! One instance of a service: its address, load, health, places and pooled connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::diagnosis::Watch;
use crate::finding::plain;
use crate::health::{Health, Peers};
use crate::metrics::EndpointMetrics;
use crate::registry::DialAddr;
use crate::upstream::Pool;

mod load;
mod set;
mod tags;
mod waiters;

pub use load::Load;
pub use set::{Chance, Choice, EndpointSet, Member, Part, Pick, Scope, Step};
pub use tags::Tags;
pub use waiters::{LineId, Waiters, Waiting};

/// The most orphans that one endpoint may hold places for.
pub const MAX_ORPHANS: u32 = 64;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// One instance that calls can be sent to. Shared by the sets of endpoints that follow each other, and kept over them.
pub struct Endpoint {
    /// A number of its own, never used again.
    pub id: u32,
    /// Where it is dialled.
    pub addr: DialAddr,
    /// The same, as text: for errors, logs and labels. A path may hold anything: what would not be seen is escaped.
    pub name: Arc<str>,
    /// Latency and calls in flight, for the pick.
    pub load: Load,
    /// Up, on probation, down or ejected.
    pub health: Health,
    /// Its idle connections.
    pub pool: Pool,
    /// Its series.
    pub metrics: EndpointMetrics,
    /// What was found wrong with it.
    pub watch: Watch,
    /// Wakes its background connect: the registry put it again.
    pub again: Notify,
    /// Those who wait for a place at any endpoint of the service.
    pub waiters: Arc<Waiters>,
    busy: AtomicU32,
    orphans: AtomicU32,
    removed: AtomicBool,
    /// What checks its health.
    checks: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Endpoint {
    /// An endpoint of `service` at `addr`, up, with nothing known of it.
    pub fn new(
        service: &str,
        addr: impl Into<DialAddr>,
        waiters: Arc<Waiters>,
        peers: Arc<Peers>,
    ) -> Arc<Self> {
        let addr = addr.into();
        let name: Arc<str> = plain(&addr.to_string()).into();
        let metrics = EndpointMetrics::new(service, &name);
        metrics.state("up");
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            addr,
            load: Load::default(),
            health: Health::new(peers),
            pool: Pool::default(),
            metrics,
            watch: Watch::default(),
            again: Notify::new(),
            waiters,
            busy: AtomicU32::new(0),
            orphans: AtomicU32::new(0),
            removed: AtomicBool::new(false),
            checks: Mutex::new(None),
            name,
        })
    }

    /// A place for one more call, if fewer than `limit` are taken (0: no limit).
    #[inline]
    pub fn place(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let busy = self.busy.fetch_add(1, Relaxed);
        if limit > 0 && busy as usize >= limit {
            self.busy.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Place {
            endpoint: self.clone(),
            orphan: false,
        })
    }

    /// Calls in flight on it, orphans among them.
    #[inline]
    pub fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// Orphans among the calls in flight.
    pub fn orphans(&self) -> u32 {
        self.orphans.load(Relaxed)
    }

    /// The registry no longer has it: nothing is pooled any more.
    pub fn remove(&self) {
        self.removed.store(true, Relaxed);
        self.health.set_registered(false);
        self.again.notify_one();
        self.pool.clear();
        self.set_checks(None);
    }

    /// What checks its health from now on, until it is replaced or the endpoint is gone.
    pub fn set_checks(&self, task: Option<AbortOnDropHandle<()>>) {
        *self.checks.lock() = task;
    }

    /// The registry has it again.
    pub fn restore(&self) {
        self.removed.store(false, Relaxed);
        self.health.set_registered(true);
    }

    /// Whether the registry no longer has it.
    #[inline]
    pub fn is_removed(&self) -> bool {
        self.removed.load(Relaxed)
    }
}

/// A place among an endpoint's calls; free again when dropped.
pub struct Place {
    endpoint: Arc<Endpoint>,
    orphan: bool,
}

impl Place {
    /// The endpoint it is at.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Keeps the place for a call whose caller is gone. `None` if the endpoint has enough of those.
    pub fn orphan(mut self) -> Option<Self> {
        if self.endpoint.orphans.fetch_add(1, Relaxed) >= MAX_ORPHANS {
            self.endpoint.orphans.fetch_sub(1, Relaxed);
            return None;
        }
        self.orphan = true;
        Some(self)
    }
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        self.endpoint.busy.fetch_sub(1, Relaxed);
        if self.orphan {
            self.endpoint.orphans.fetch_sub(1, Relaxed);
        }
        self.endpoint.waiters.ring();
    }
}
