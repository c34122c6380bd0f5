//! Listening sockets: accept, limits, and what the sessions of one listener share ([`Door`]).

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::config::{self, ListenAddr};
use crate::metrics::{CallCounters, ListenerMetrics, ServiceMetrics};
use crate::outcome::Outcome;
use crate::platform::{self, Bound, Listener, Peer, Side, Stream};
use crate::protocol::Looks;
use crate::route::Routes;
use crate::session::{self, Client};
use crate::upstream::own::Watch;

mod drain;
mod guests;

pub use drain::Drain;
pub use guests::Over;
use guests::{Guest, Guests, Unwelcome};

/// How long accept rests when the process has no descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// What the connections of one listener share.
pub struct Door {
    /// The listener's name.
    pub name: Arc<str>,
    /// The address it is bound to.
    pub addr: ListenAddr,
    /// Where its calls may go.
    pub routes: Arc<Routes>,
    /// Its series.
    pub metrics: ListenerMetrics,
    /// Calls that ended before they had a service.
    pub unrouted: CallCounters,
    /// Sizes of frames.
    pub limits: Sizes,
    /// Its end.
    pub drain: Drain,
    config: ArcSwap<config::Listener>,
    counters: Mutex<HashMap<ServiceAndMethod, Arc<CallCounters>>>,
    none: ServiceMetrics,
    guests: Guests,
    calls: AtomicU64,
    said: Mutex<HashSet<Looks>>,
    turned_back: Mutex<HashSet<&'static str>>,
    /// While the listener is transparent, our own connections are told from others.
    watch: Mutex<Option<Watch>>,
    accepting: AtomicBool,
}

type ServiceAndMethod = (Arc<str>, Arc<str>);

/// Sizes of frames, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// A frame over this is refused.
    pub max_frame: usize,
    /// A frame up to this is held whole.
    pub hold: usize,
}

impl Door {
    /// The shared part of a listener bound to `addr`.
    pub fn new(
        config: config::Listener,
        addr: ListenAddr,
        routes: Arc<Routes>,
        limits: Sizes,
    ) -> Arc<Self> {
        let name = config.name.clone();
        let watch = config.transparent.then(Watch::new);
        Arc::new(Self {
            addr,
            routes,
            metrics: ListenerMetrics::new(&name),
            unrouted: CallCounters::new(&name, "none", "none"),
            limits,
            drain: Drain::default(),
            config: ArcSwap::from_pointee(config),
            counters: Mutex::default(),
            none: ServiceMetrics::new("none"),
            guests: Guests::default(),
            calls: AtomicU64::new(0),
            said: Mutex::default(),
            turned_back: Mutex::default(),
            watch: Mutex::new(watch),
            accepting: AtomicBool::new(true),
            name,
        })
    }

    /// The listener's config, as it is now.
    pub fn config(&self) -> Arc<config::Listener> {
        self.config.load_full()
    }

    /// Another config, after a reload.
    pub fn set_config(&self, config: config::Listener) {
        *self.watch.lock() = config.transparent.then(Watch::new);
        self.config.store(Arc::new(config));
        self.said.lock().clear();
        self.turned_back.lock().clear();
    }

    /// The counters of calls by outcome of a method, made when first asked for.
    pub fn counters(&self, service: &Arc<str>, method: &Arc<str>) -> Arc<CallCounters> {
        let key = (service.clone(), method.clone());
        let mut counters = self.counters.lock();
        counters
            .entry(key)
            .or_insert_with(|| Arc::new(CallCounters::new(&self.name, service, method)))
            .clone()
    }

    /// Forgets the counters of a service that is followed no more.
    pub fn forget(&self, service: &str) {
        self.counters
            .lock()
            .retain(|(name, _), _| &**name != service);
    }

    /// A call has come in.
    #[inline]
    pub fn count_call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// Calls that have come in so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Whether its socket is still open: a socket's file goes with it.
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Relaxed)
    }

    /// Its socket is closed.
    pub fn stopped(&self) {
        self.accepting.store(false, Relaxed);
    }

    /// Client connections now.
    pub fn connections(&self) -> usize {
        self.guests.open()
    }

    /// One of tidegate's limits was met before a call named its service: counted under the listener's own, if it has one.
    pub fn refused(&self, limit: &'static str) {
        let (config, table) = (self.config(), self.routes.table());
        let fixed = config.service.as_ref();
        match fixed.and_then(|name| table.services.get(name)) {
            Some(routed) => routed.followed.cluster.metrics.refused(limit),
            None => self.none.refused(limit),
        }
    }

    /// A redirected connection's own destination was dialled, with this result.
    pub fn dialled(&self, result: &'static str) {
        self.none.connect(result);
    }

    /// Whether connections are turned back for this for the first time, since the config was loaded: the log says it
    /// once.
    pub fn is_first(&self, why: &'static str) -> bool {
        self.turned_back.lock().insert(why)
    }

    /// Says once, for each protocol, what becomes of it here.
    pub fn say_once(&self, looks: Looks, what: &str) {
        if self.said.lock().insert(looks) {
            tracing::warn!(listener = %self.name, protocol = looks.label(), "a connection looks like {looks}: it {what}");
        }
    }
}

/// Binds the address of a listener, or the admin's; a unix socket's file gets the mode `mode`. Returns the real address,
/// too: with the port that the system chose where it was 0.
///
/// # Errors
///
/// See [`Bound::tcp`] and [`Bound::unix`].
pub fn bind(addr: &ListenAddr, mode: u32) -> io::Result<(ListenAddr, Bound)> {
    let bound = match addr {
        ListenAddr::Tcp(addr) => Bound::tcp(*addr)?,
        ListenAddr::Unix(path) => Bound::unix(path, mode)?,
    };
    let real = bound.local_addr()?.map(ListenAddr::Tcp);
    Ok((real.unwrap_or_else(|| addr.clone()), bound))
}

/// Accepts until the door is closed; then takes in what has come before that, and ends.
pub async fn accept(listener: Listener, door: Arc<Door>) {
    let mut drain = door.drain.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = drain.closing() => break,
        };
        match accepted {
            Ok((stream, peer)) => take_in(stream, peer, &door),
            Err(error) if platform::is_emfile(&error) => {
                tracing::error!(listener = %door.name, "cannot accept: {error}; raise the limit of open files (ulimit -n)");
                door.unrouted
                    .count(Outcome::Overloaded as usize, Outcome::Overloaded.label());
                sleep(NO_DESCRIPTOR).await;
            }
            Err(error) => tracing::debug!(listener = %door.name, "accept: {error}"),
        }
    }
    listener.end(|stream, peer| take_in(stream, peer, &door));
}

fn take_in(stream: Stream, peer: Peer, door: &Arc<Door>) {
    let entered = Guest::enter(door, peer.addr().map(|addr| addr.ip()));
    // Over a limit, a few are told so in an answer to their first call; the others are just closed.
    let told = match &entered {
        Ok(_) => None,
        Err(over) => match Unwelcome::enter(door) {
            Some(place) => Some(place),
            None => return door.metrics.closed(over.closed().label()),
        },
    };
    if let Err(error) = stream.tune(Side::Client) {
        tracing::debug!(client.addr = %peer, "the caller left at once: {error}");
        return;
    }
    let client = Box::new(Client::new(stream, peer, door));
    let door = door.clone();
    tokio::spawn(async move {
        match entered {
            Ok(_guest) => session::serve(client, door).await,
            Err(over) => session::turn_away(client, door, over).await,
        }
        drop(told);
    });
}
