//! Builds everything from a [`Config`], changes it on a reload, and ends it gently.
//!
//! Two kinds of thread: `workers` carry calls, the control thread does the rest. An [`App`] is made and driven on the
//! control thread's runtime.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::buffer;
use crate::config::{self, Config, ListenAddr, Policy};
use crate::discovery::Discovery;
use crate::listener::{self, Door, Sizes, accept};
use crate::metrics;
use crate::platform;
use crate::registry::DialAddr;
use crate::route::{Routed, Routes, Table};
use crate::upstream::connect::set_mark;

mod breaker;
mod calls;
mod control;
mod reload;
pub mod run;
mod view;
mod why;
mod workers;

pub use reload::ReloadError;
use workers::Workers;

/// Calls are quiet when none came for so long.
const QUIET: Duration = Duration::from_secs(1);

/// A running tidegate.
pub struct App {
    config: ArcSwap<Config>,
    discovery: Arc<Discovery>,
    routes: Arc<Routes>,
    doors: Mutex<Vec<Arc<Door>>>,
    workers: Workers,
    draining: AtomicBool,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Why tidegate could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be listened on.
    #[error("listener {name}: cannot listen on {addr}: {error}{}", who.as_deref().map(|w| format!(" (used by {w})")).unwrap_or_default())]
    Bind {
        /// The listener.
        name: Arc<str>,
        /// The address.
        addr: ListenAddr,
        /// What the system said.
        error: io::Error,
        /// Who listens there, where that can be told.
        who: Option<String>,
    },
    /// The admin address, or the one for metrics.
    #[error("{name}: cannot listen on {listen}: {error}{}; write another address in {name} listen = \"…\"", who.as_deref().map(|w| format!(" (used by {w})")).unwrap_or_default())]
    Admin {
        /// The table of the config.
        name: &'static str,
        /// The address.
        listen: ListenAddr,
        /// What the system said.
        error: io::Error,
        /// Who listens there, where that can be told.
        who: Option<String>,
    },
    /// A registry whose options contradict each other.
    #[error("{0}")]
    Registry(String),
    /// The firewall mark of `[runtime] mark`.
    #[error(
        "cannot mark tidegate's own connections, runtime.mark = {mark}: {error}; it needs root or CAP_NET_ADMIN (in a pod: securityContext capabilities add NET_ADMIN), or leave the key out and exempt its user: tidegate iptables --uid"
    )]
    Mark {
        /// The mark.
        mark: u32,
        /// What the system said.
        error: io::Error,
    },
    /// Threads or their runtimes.
    #[error("cannot start the worker threads: {0}")]
    Workers(#[source] io::Error),
}

/// A socket that is bound, and not served yet.
struct Bound {
    config: config::Listener,
    socket: platform::Bound,
    addr: ListenAddr,
}

impl App {
    /// Starts everything the config names. On the control thread's runtime.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; nothing is left running then.
    pub fn start(config: Config) -> Result<Arc<Self>, StartError> {
        if let Err(error) = platform::raise_fd_limit() {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
        let mark = config.runtime.mark;
        set_mark(mark).map_err(|error| StartError::Mark { mark, error })?;
        let discovery = Discovery::new(Handle::current());
        let registries = discovery
            .open(&config.registries, &[], config.runtime.state_dir.as_deref())
            .map_err(StartError::Registry)?;
        let bound = bind(&config.listeners)?;
        discovery.set_registries(registries);
        discovery.set_own_listeners(bound.iter().map(|b| dialled(&b.addr)).collect());
        discovery.set_rewrites(&config.rewrites);
        buffer::set_limit(config.runtime.max_buffered);
        let routes = Routes::new(discovery.clone());
        routes.set_table(table(&config, &discovery, &HashMap::new()));
        routes.set_listeners(&config.listeners);
        let workers = Workers::start(config.runtime.workers).map_err(StartError::Workers)?;
        let app = Arc::new(Self {
            discovery,
            routes,
            doors: Mutex::default(),
            workers,
            draining: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::new(()),
            config: ArcSwap::from_pointee(config),
        });
        for socket in bound {
            app.open(socket);
        }
        metrics::process_wide().config_loaded();
        tokio::spawn(upkeep(Arc::downgrade(&app)));
        Ok(app)
    }

    /// The config in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The listeners, by name, with the addresses they are bound to.
    pub fn listeners(&self) -> Vec<(Arc<str>, ListenAddr)> {
        self.doors
            .lock()
            .iter()
            .map(|door| (door.name.clone(), door.addr.clone()))
            .collect()
    }

    /// Whether a service is registered at this address, or was until lately.
    pub fn knows(&self, addr: std::net::SocketAddr) -> bool {
        !self.discovery.index().services_at(addr).is_empty()
    }

    /// Serves a bound socket.
    fn open(&self, bound: Bound) {
        let runtime = &self.config.load().runtime;
        let sizes = Sizes {
            max_frame: runtime.max_frame,
            hold: runtime.hold,
        };
        let door = Door::new(bound.config, bound.addr, self.routes.clone(), sizes);
        self.doors.lock().push(door.clone());
        self.workers.handle().spawn(async move {
            match bound.socket.listen() {
                Ok(listener) => accept(listener, door.clone()).await,
                Err(error) => tracing::error!(listener = %door.name, "cannot serve: {error}"),
            }
            door.stopped();
        });
    }

    /// Whether tidegate is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Stops gently: `/readyz` says so at once; listeners stay open until no call came for a second, or `drain_delay`
    /// has passed; then clients are told, and every call whose first byte was read is answered, up to `drain_timeout`.
    /// Returns how many connections were cut.
    pub async fn drain(&self) -> usize {
        self.draining.store(true, Relaxed);
        metrics::process_wide().draining(true);
        let runtime = self.config().runtime.clone();
        tracing::info!(
            "stopping: listeners stay open until calls cease, {} at most",
            human(runtime.drain_delay)
        );
        self.until_quiet(runtime.drain_delay).await;
        let doors = self.doors.lock().clone();
        for door in &doors {
            door.drain.close();
        }
        tracing::info!(
            "stopping: no new connections; calls in flight have {}",
            human(runtime.drain_timeout)
        );
        let until = Instant::now() + runtime.drain_timeout;
        let accepting = || doors.iter().any(|door| door.is_accepting());
        while (open(&doors) > 0 || accepting()) && Instant::now() < until {
            sleep(Duration::from_millis(10)).await;
        }
        let cut = open(&doors);
        for door in &doors {
            door.drain.cut_now();
        }
        match cut {
            0 => tracing::info!("stopped: every call was answered"),
            n => tracing::warn!("stopped: connections cut after drain_timeout: {n}"),
        }
        cut
    }

    async fn until_quiet(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let calls = || {
            self.doors
                .lock()
                .iter()
                .map(|door| door.calls())
                .sum::<u64>()
        };
        let (mut seen, mut since) = (calls(), Instant::now());
        while Instant::now() < until && since.elapsed() < QUIET {
            sleep(Duration::from_millis(20)).await;
            let now = calls();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }
}

use crate::outcome::human;

fn open(doors: &[Arc<Door>]) -> usize {
    doors.iter().map(|door| door.connections()).sum()
}

/// Binds every listener, or none.
fn bind(listeners: &[config::Listener]) -> Result<Vec<Bound>, StartError> {
    listeners
        .iter()
        .map(|config| {
            let mode = config.socket_mode.unwrap_or(config::SOCKET_MODE);
            match listener::bind(&config.listen, mode) {
                Ok((addr, socket)) => Ok(Bound {
                    config: config.clone(),
                    socket,
                    addr,
                }),
                Err(error) => Err(StartError::Bind {
                    name: config.name.clone(),
                    addr: config.listen.clone(),
                    who: who(&config.listen),
                    error,
                }),
            }
        })
        .collect()
}

/// Who listens there, where that can be told.
fn who(listen: &ListenAddr) -> Option<String> {
    platform::who_listens(listen.tcp()?)
}

/// A listener's address as it would be dialled: that would be a loop.
fn dialled(addr: &ListenAddr) -> DialAddr {
    match addr {
        ListenAddr::Tcp(addr) => DialAddr::Tcp(*addr),
        ListenAddr::Unix(path) => DialAddr::Unix(path.as_path().into()),
    }
}

/// The services of a config; those in `kept` stay followed as they are, or keep their state where only the source
/// changed.
fn table(
    config: &Config,
    discovery: &Discovery,
    kept: &HashMap<Arc<str>, (Routed, bool)>,
) -> Table {
    let services = config
        .services
        .iter()
        .map(|service| {
            let policy = Arc::new(service.policy.clone());
            if let Some((old, _)) = kept.get(&service.name) {
                old.followed.cluster.set_named(false);
            }
            let followed = match kept.get(&service.name) {
                Some((old, true)) => {
                    let fixed = matches!(service.source, config::Source::Static(_));
                    old.followed.set_policy(&policy, fixed);
                    old.followed.clone()
                }
                Some((old, false)) => discovery.follow(service, &policy, Some(&old.followed)),
                None => discovery.follow(service, &policy, None),
            };
            for method in service.methods.keys() {
                followed.cluster.methods.adopt(method.as_bytes());
            }
            let methods = Arc::new(service.methods.clone().into_iter().collect());
            (
                service.name.clone(),
                Routed {
                    followed,
                    policy,
                    methods,
                },
            )
        })
        .collect();
    Table {
        services,
        defaults: Arc::new(policy_of(config)),
        max_services: config.runtime.max_services,
    }
}

fn policy_of(config: &Config) -> Policy {
    config.defaults.clone()
}

/// What the control thread does now and then.
async fn upkeep(app: std::sync::Weak<App>) {
    let mut round = 0u64;
    loop {
        sleep(metrics::UPKEEP).await;
        let Some(app) = app.upgrade() else { return };
        let now = Instant::now();
        for followed in app.routes.followed() {
            followed.cluster.upkeep(now);
        }
        app.routes.unrouted.upkeep(now);
        metrics::process_wide().buffered_bytes(buffer::used() as u64);
        metrics::upkeep();
        round += 1;
        if round.is_multiple_of(4) {
            app.discovery.index().sweep(now);
            let gone = app.routes.sweep(now);
            for door in app.doors.lock().iter() {
                gone.iter().for_each(|service| door.forget(service));
            }
        }
        if round.is_multiple_of(120) {
            app.discovery.look_at_interfaces();
        }
    }
}
