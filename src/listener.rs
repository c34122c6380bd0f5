//! Listening sockets: accept, limits, and what the sessions of one listener share ([`Door`]).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::config;
use crate::metrics::{CallCounters, ListenerMetrics, ServiceMetrics};
use crate::outcome::Outcome;
use crate::platform::{self, Side};
use crate::protocol::Looks;
use crate::route::Routes;
use crate::session::{self, Client};

/// How long accept rests when the process has no descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// What the connections of one listener share.
pub struct Door {
    /// The listener's name.
    pub name: Arc<str>,
    /// The address it is bound to.
    pub addr: SocketAddr,
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
    connections: AtomicUsize,
    calls: AtomicU64,
    said: Mutex<HashSet<Looks>>,
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
        addr: SocketAddr,
        routes: Arc<Routes>,
        limits: Sizes,
    ) -> Arc<Self> {
        let name = config.name.clone();
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
            connections: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            said: Mutex::default(),
            name,
        })
    }

    /// The listener's config, as it is now.
    pub fn config(&self) -> Arc<config::Listener> {
        self.config.load_full()
    }

    /// Another config, after a reload.
    pub fn set_config(&self, config: config::Listener) {
        self.config.store(Arc::new(config));
        self.said.lock().clear();
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

    /// Client connections now.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// One of tidegate's limits was met before a service was known.
    pub fn refused(&self, limit: &'static str) {
        self.none.refused(limit);
    }

    /// Says once, for each protocol, what becomes of it here.
    pub fn say_once(&self, looks: Looks, what: &str) {
        if self.said.lock().insert(looks) {
            tracing::warn!(listener = %self.name, protocol = looks.label(), "a connection looks like {looks}: it {what}");
        }
    }
}

/// Accepts until the door is closed; then takes in what has come before that, and ends.
pub async fn accept(listener: TcpListener, door: Arc<Door>) {
    let mut drain = door.drain.clone();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = drain.closing() => break,
        };
        match accepted {
            Ok((stream, peer)) => take_in(stream, peer, &door, &mut full),
            Err(error) if platform::is_emfile(&error) => {
                tracing::error!(listener = %door.name, "cannot accept: {error}; raise the limit of open files (ulimit -n)");
                door.unrouted
                    .count(Outcome::Overloaded as usize, Outcome::Overloaded.label());
                sleep(NO_DESCRIPTOR).await;
            }
            Err(error) => tracing::debug!(listener = %door.name, "accept: {error}"),
        }
    }
    take_in_the_rest(listener, &door, &mut full);
}

/// Those whom the system has let in already: closing the socket would reset them. (What tokio knows of the socket is a
/// cache, and may not hold them yet.)
fn take_in_the_rest(listener: TcpListener, door: &Arc<Door>, full: &mut bool) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            take_in(stream, peer, door, full);
        }
    }
}

fn take_in(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>, full: &mut bool) {
    let limit = door.config().max_connections;
    let Some(guest) = Guest::enter(door, limit) else {
        if !std::mem::replace(full, true) {
            tracing::warn!(listener = %door.name, "closing new connections: {limit} are open, max_connections");
        }
        door.refused("connections");
        return;
    };
    *full = false;
    if let Err(error) = platform::tune_stream(&stream, Side::Client) {
        tracing::debug!(client.addr = %peer, "the caller left at once: {error}");
        return;
    }
    let client = Box::new(Client::new(stream, peer, door));
    let door = door.clone();
    tokio::spawn(async move {
        session::serve(client, door).await;
        drop(guest);
    });
}

/// A client connection, counted.
struct Guest(Arc<Door>);

impl Guest {
    fn enter(door: &Arc<Door>, limit: usize) -> Option<Self> {
        if door.connections.fetch_add(1, Relaxed) >= limit {
            door.connections.fetch_sub(1, Relaxed);
            return None;
        }
        door.metrics.connections.inc();
        door.metrics.connections_total.inc();
        Some(Self(door.clone()))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
        self.0.metrics.connections.dec();
    }
}

/// The end of a listener: first its connections are told (`close`), then what is left is cut (`cut`).
#[derive(Default)]
pub struct Drain {
    state: Arc<DrainState>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

#[derive(Default)]
struct DrainState {
    closing: AtomicBool,
    cutting: AtomicBool,
    bell: Notify,
}

impl Clone for Drain {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            wait: None,
        }
    }
}

impl Drain {
    /// No more connections; those that are open end after the call under way.
    pub fn close(&self) {
        self.state.closing.store(true, Relaxed);
        self.state.bell.notify_waiters();
    }

    /// Whatever is still open is cut.
    pub fn cut_now(&self) {
        self.state.cutting.store(true, Relaxed);
        self.close();
    }

    /// Whether the door is closed.
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.state.closing.load(Relaxed)
    }

    /// Whether the door is closed; if not, the task is woken when it is. Registers the task once: it costs nothing
    /// afterwards, so a `Drain` belongs to one task.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() && !self.is_closing() {
            let state = self.state.clone();
            let mut wait: Pin<Box<dyn Future<Output = ()> + Send + Sync>> =
                Box::pin(async move { state.bell.notified().await });
            let _ = wait.as_mut().poll(cx);
            self.wait = Some(wait);
        }
        if self.is_closing() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Ends when the door is closed.
    pub async fn closing(&mut self) {
        std::future::poll_fn(|cx| self.poll_closing(cx)).await;
    }

    /// Ends when what is still open is to be cut.
    pub async fn cut(&self) {
        loop {
            let bell = self.state.bell.notified();
            if self.state.cutting.load(Relaxed) {
                return;
            }
            bell.await;
        }
    }
}
