//! The config's tables once checked: values that cannot be wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::patterns::Patterns;
use super::policy::{CallPolicy, Policy};
use super::units;

/// `[runtime]`: the process as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// Threads that carry calls; 0: one per core. At most 1024.
    pub workers: usize,
    /// The largest frame that is carried, in bytes. 1 KiB to 1 GiB.
    #[serde(serialize_with = "units::size")]
    pub max_frame: usize,
    /// Up to this size a frame is held whole before it is passed on, in bytes; at most `max_frame`.
    #[serde(serialize_with = "units::size")]
    pub hold: usize,
    /// All held bytes together; `max_frame` to 1 TiB.
    #[serde(serialize_with = "units::size")]
    pub max_buffered: usize,
    /// Services that callers name and that are followed at once. 1 to 100,000.
    pub max_services: usize,
    /// Where last good sets are kept over a restart; `None`: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// How long listeners stay open once told to stop while calls still come. 0 to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub drain_delay: Duration,
    /// How long calls in flight are waited for after that. 0 to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub drain_timeout: Duration,
    /// The firewall mark of tidegate's own connections, which redirect rules let pass; 0: none. Linux only.
    pub mark: u32,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            workers: 1,
            max_frame: 16 << 20,
            hold: 1 << 20,
            max_buffered: 256 << 20,
            max_services: 256,
            state_dir: None,
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(20),
            mark: 0,
        }
    }
}

/// `[admin]`: the address for people and commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admin {
    /// Loopback, or a unix socket.
    pub listen: ListenAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 9901))),
        }
    }
}

/// `[metrics]`: a second address, for a Prometheus elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MetricsListen {
    /// Any address of this host.
    pub listen: SocketAddr,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// What is logged: a level, or directives such as `info,tidegate::registry=debug`.
    pub level: String,
    /// Where to; `None`: stderr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".into(),
            file: None,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// An address to listen on: TCP, or a unix socket's path written `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl ListenAddr {
    /// The address, where it is one of TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a text is no address to listen on.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected an IP address and a port, or unix:/path")]
pub struct NoListenAddr;

impl FromStr for ListenAddr {
    type Err = NoListenAddr;

    fn from_str(text: &str) -> Result<Self, NoListenAddr> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => text.parse().map(Self::Tcp).map_err(|_| NoListenAddr),
        }
    }
}

impl Serialize for ListenAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The mode of a listener's unix socket where none is written: its owner and group may connect.
pub const SOCKET_MODE: u32 = 0o660;

/// `[[listener]]`: one way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Unique among the listeners.
    #[serde(serialize_with = "units::text")]
    pub name: Arc<str>,
    /// Unique among everything that listens.
    pub listen: ListenAddr,
    /// The mode of a unix socket's file: who may connect. 0 to 0o777; `None` beside a TCP address.
    #[serde(
        serialize_with = "units::optional_octal",
        skip_serializing_if = "Option::is_none"
    )]
    pub socket_mode: Option<u32>,
    /// The service of every call that arrives here; `None`: each call names its own.
    #[serde(
        serialize_with = "units::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub service: Option<Arc<str>>,
    /// Where services that calls name are found, unless they have a `[[service]]` of their own.
    /// `None` where the listener has a fixed service, or where there is no registry.
    #[serde(
        serialize_with = "units::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub registry: Option<Arc<str>>,
    /// Names of the services that may be called here; `None`: of all. Never beside a fixed service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Patterns>,
    /// Takes connections that the firewall redirected: where each was going to says which service it means. Never
    /// beside a fixed service, and only with a registry. Linux only.
    pub transparent: bool,
    /// A redirected call goes to the instance that its caller dialled for as long as that one works. Only where
    /// `transparent`.
    pub sticky_destination: bool,
    /// What is spoken here.
    pub protocol: Protocol,
    /// Client connections at once. 1 to 1,000,000.
    pub max_connections: usize,
    /// Of them, from one source address. 0 to 1,000,000; 0 is no limit.
    pub max_connections_per_source: usize,
    /// Calls in flight of one client connection. 1 to 65,536.
    pub max_in_flight: usize,
    /// From a connection's first byte until its protocol is known. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub detect_timeout: Duration,
    /// For each 64 KiB of a frame, or to its end. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub frame_timeout: Duration,
    /// For each 64 KiB written to a client. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub client_write_timeout: Duration,
    /// How long a client connection may stay without a call. 1 ms to 30 days.
    #[serde(serialize_with = "units::duration")]
    pub client_idle_timeout: Duration,
}

impl Listener {
    /// A listener with the built-in limits, whose calls name their own service.
    pub fn new(name: &str, listen: impl Into<ListenAddr>) -> Self {
        let listen = listen.into();
        Self {
            name: name.into(),
            socket_mode: listen.tcp().is_none().then_some(SOCKET_MODE),
            listen,
            service: None,
            registry: None,
            services: None,
            transparent: false,
            sticky_destination: false,
            protocol: Protocol::default(),
            max_connections: 10_000,
            max_connections_per_source: 0,
            max_in_flight: 128,
            detect_timeout: Duration::from_secs(1),
            frame_timeout: Duration::from_secs(5),
            client_write_timeout: Duration::from_secs(10),
            client_idle_timeout: Duration::from_secs(3600),
        }
    }

    /// Whether calls that arrive here may be of the service `name`.
    #[must_use]
    pub fn may_know(&self, name: &str) -> bool {
        match (&self.service, &self.services) {
            (Some(fixed), _) => **fixed == *name,
            (None, Some(patterns)) => patterns.matches(name),
            (None, None) => true,
        }
    }
}

/// What a listener's clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The first bytes tell.
    #[default]
    Auto,
    /// The Thrift family; anything else is closed.
    Thrift,
    /// Bytes, carried both ways without a look.
    Opaque,
}

/// `[[service]]`: one service, where its instances are found and how its calls are carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique among the services.
    pub name: Arc<str>,
    /// Where its instances are found.
    pub source: Source,
    /// Complete: built-in values, `[defaults]` and its own table merged.
    pub policy: Policy,
    /// Methods that differ; each complete.
    pub methods: BTreeMap<String, CallPolicy>,
}

impl Service {
    /// The policy of a call of `method`.
    pub fn call_policy(&self, method: &str) -> &CallPolicy {
        self.methods.get(method).unwrap_or(&self.policy.call)
    }
}

/// Where a service's instances are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the registry of this name, which exists.
    Registry(Arc<str>),
    /// In the config itself; at least one.
    Static(Vec<StaticEndpoint>),
}

/// An instance that stands in the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaticEndpoint {
    /// `host:port`, IPv6 in brackets; `unix:/path`; on Linux `unix:@name`.
    pub address: String,
    /// Its share among the others. 1 to 1,000,000; 10 where not written, as in Kitex.
    pub weight: u32,
    /// Free to use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}
