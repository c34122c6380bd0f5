//! One connect, with its timeout and its outcome.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::Conn;
use crate::outcome::Outcome;
use crate::platform::{self, Side, Stream};
use crate::registry::{self, DialAddr};

/// The firewall mark of our own connections; 0 is none.
static MARK: AtomicU32 = AtomicU32::new(0);

/// Marks the connections made from now on, so that the firewall can tell them from those it redirects; 0 is no mark.
///
/// # Errors
///
/// The system's own: Linux lets only a process with `CAP_NET_ADMIN` (or `CAP_NET_RAW`) do so, other systems none.
pub fn set_mark(mark: u32) -> io::Result<()> {
    if mark != 0 {
        platform::set_mark(&TcpSocket::new_v4()?, mark)?;
    }
    MARK.store(mark, Relaxed);
    Ok(())
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub struct ConnectError {
    /// What it is called.
    pub outcome: Outcome,
    /// What the system said.
    pub detail: Box<str>,
    /// The peer reset it.
    pub is_reset: bool,
}

/// Connects, within `limit`.
///
/// # Errors
///
/// What is this host's own doing (no descriptor, no local port) is `overloaded` and nobody's fault; the rest is the
/// endpoint's.
pub async fn connect(addr: &DialAddr, limit: Duration) -> Result<Box<Conn>, ConnectError> {
    dial(addr, limit)
        .await
        .map_err(|error| error.named(addr, limit))
}

/// Why there is no connection, as the system put it.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The address is one that is never dialled.
    Forbidden,
    /// Nobody answered in time.
    TimedOut,
    /// The system's own.
    System(io::Error),
}

/// What is said of an address that is never dialled.
pub(crate) const FORBIDDEN: &str = "a metadata or unspecified address is never dialled (R14, R01)";

/// Connects, within `limit`: the one way to an instance, for calls, checks and probes.
pub(crate) async fn dial(addr: &DialAddr, limit: Duration) -> Result<Box<Conn>, DialError> {
    // Looked at again here, after rewriting and resolving: whatever the registry says, these are never dialled.
    if addr.tcp().is_some_and(is_forbidden) {
        return Err(DialError::Forbidden);
    }
    match timeout(limit, open(addr)).await {
        Ok(Ok(stream)) => Ok(Conn::new(stream, Instant::now())),
        Ok(Err(error)) => Err(DialError::System(error)),
        Err(_) => Err(DialError::TimedOut),
    }
}

impl DialError {
    fn named(self, addr: &DialAddr, limit: Duration) -> ConnectError {
        let is_reset = match &self {
            DialError::System(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        };
        let (outcome, detail) = match self {
            DialError::Forbidden => (Outcome::LoopDetected, FORBIDDEN.into()),
            DialError::System(error) => (outcome(addr, &error), detail(addr, &error)),
            DialError::TimedOut => {
                let limit = crate::outcome::human(limit);
                let text = format!("no answer to the connect within {limit}");
                (Outcome::ConnectTimeout, text.into())
            }
        };
        ConnectError {
            outcome,
            detail,
            is_reset,
        }
    }
}

fn is_forbidden(addr: SocketAddr) -> bool {
    registry::forbidden(addr.ip()) || addr.ip().is_unspecified() || addr.port() == 0
}

async fn open(addr: &DialAddr) -> io::Result<Stream> {
    match addr {
        DialAddr::Tcp(addr) => dial_tcp(*addr).await.map(Stream::Tcp),
        DialAddr::Unix(path) => platform::connect_unix(path).await,
    }
}

async fn dial_tcp(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    match MARK.load(Relaxed) {
        0 => {}
        mark => platform::set_mark(&socket, mark)?,
    }
    let stream = socket.connect(addr).await?;
    // A simultaneous open on one's own port: the kernel found the port free and connected it to itself.
    if matches!((stream.local_addr(), stream.peer_addr()), (Ok(a), Ok(b)) if a == b) {
        return Err(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            "connected to itself: nobody listens",
        ));
    }
    // A peer that reset it at once makes some systems refuse: the first write will tell.
    let _ = platform::tune_stream(&stream, Side::Upstream);
    Ok(stream)
}

fn outcome(addr: &DialAddr, error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::ConnectRefused,
        io::ErrorKind::TimedOut => Outcome::ConnectTimeout,
        _ if is_ours(addr, error) => Outcome::Overloaded,
        _ => Outcome::Unreachable,
    }
}

/// Whether this host has no descriptor or no local port left.
pub(crate) fn is_ours(addr: &DialAddr, error: &io::Error) -> bool {
    platform::is_emfile(error)
        || platform::no_local_port(error) && !addr.tcp().is_some_and(has_no_source)
}

/// Whether this host has no address to dial this one from: without IPv6 the system says the same as without a port.
fn has_no_source(to: SocketAddr) -> bool {
    to.is_ipv6() && !sources().may_dial(to.ip())
}

/// Whether this host has an IPv6 address to dial others from, and itself; yes, where that cannot be read.
#[derive(Clone, Copy)]
struct Sources {
    outer: bool,
    loopback: bool,
    read: Instant,
}

impl Sources {
    fn read(now: Instant) -> Self {
        let interfaces = platform::interfaces();
        let any = |loopback: bool| {
            let is_one = |ip: IpAddr| ip.is_ipv6() && ip.is_loopback() == loopback;
            interfaces.is_empty() || interfaces.iter().any(|it| is_one(it.ip))
        };
        Self {
            outer: any(false),
            loopback: any(true),
            read: now,
        }
    }

    fn may_dial(self, to: IpAddr) -> bool {
        match to.is_loopback() {
            true => self.loopback,
            false => self.outer,
        }
    }
}

/// Connects that fail for want of ports come by the thousand: the interfaces are not read for each.
fn sources() -> Sources {
    const FRESH: Duration = Duration::from_secs(5);
    static KNOWN: Mutex<Option<Sources>> = Mutex::new(None);
    let (mut known, now) = (KNOWN.lock(), Instant::now());
    let is_fresh = |it: &Sources| now.saturating_duration_since(it.read) < FRESH;
    let sources = known.filter(is_fresh);
    *known.insert(sources.unwrap_or_else(|| Sources::read(now)))
}

/// What the system said; of a unix socket in words that say what to look at.
pub(crate) fn detail(addr: &DialAddr, error: &io::Error) -> Box<str> {
    match (addr, error.kind()) {
        (DialAddr::Unix(_), io::ErrorKind::NotFound) => {
            "there is no such socket on this host".into()
        }
        (DialAddr::Unix(_), io::ErrorKind::ConnectionRefused) => {
            "its file is there, and nobody listens on it".into()
        }
        _ => error.to_string().into(),
    }
}

impl ConnectError {
    /// The value of `result` in `tidegate_connects_total`.
    pub fn label(&self) -> &'static str {
        match self.outcome {
            Outcome::ConnectRefused => "refused",
            Outcome::ConnectTimeout => "timeout",
            Outcome::LoopDetected => "forbidden",
            _ if self.is_reset => "reset",
            _ => "unreachable",
        }
    }
}
