//! What differs between operating systems, behind one face.
//!
//! tidegate runs on Linux in production and on the developer's own machine, be it Linux, macOS or
//! Windows. Everything the three disagree about is here; nothing outside this module names `libc`,
//! `std::os` or one system's signals (`./dev lint` checks it). What a system lacks answers `None`,
//! so that a caller has one code path and a plain sentence for the user.
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | reload and log events by signal | yes | yes | no: `POST /reload` |
//! | [`tcp_stats`] | yes | – | – |
//! | [`original_dst`] | yes | – | – |
//! | [`set_mark`] | yes | – | – |
//! | [`process_stats`] | yes | yes | – |
//! | [`interfaces`] | yes | yes | – |
//! | [`raise_fd_limit`] | yes | yes | – (no such limit) |
//! | [`who_listens`] | yes | – | – |
//! | [`user_id`], [`group_id`] | yes | yes | – |
//! | [`connections_at`], [`lacks_ipv6`] | yes | – | – |
//! | unix sockets ([`MAX_SOCKET_PATH`]) | yes, and abstract names | yes | – |
//!
//! Linux is what the tests run on; the other two are type-checked by `./dev platforms`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

mod dial;
#[cfg(target_os = "linux")]
mod linux;
mod listen;
#[cfg(not(any(target_os = "linux", windows)))]
mod macos;
#[cfg(unix)]
mod socket_file;
mod stream;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(any(target_os = "linux", windows)))]
use macos as system;
#[cfg(windows)]
use windows as system;

pub use dial::{connect_unix, has_socket};
pub use listen::{Bound, Listener};
pub use stream::{Peer, ReadHalf, Stream, WriteHalf};
pub use system::{AsStream, LATE_REFUSAL, MAX_SOCKET_PATH, Signals};

/// Connections the kernel may hold ready for a listener; the kernel clamps it to its own maximum.
pub const BACKLOG: i32 = 4096;

/// Silence on a connection before the first keepalive probe; then one each
/// [`KEEPALIVE_INTERVAL`], and after [`KEEPALIVE_PROBES`] unanswered ones the connection is dead.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between keepalive probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered keepalive probes after which a connection is dead.
pub const KEEPALIVE_PROBES: u32 = 3;
/// How long bytes written upstream may stay unacknowledged before the connection is dead: a host
/// that vanished is found then, not after the kernel's 15 minutes. The sum of the keepalive's
/// times, so that neither timer undercuts the other. Linux only.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// What the operating system, or the person at the terminal, asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Load the configuration again: `SIGHUP`. Windows: only `POST /reload`.
    Reload,
    /// Open the log files again, after a rotation: `SIGUSR1`. Not on Windows.
    ReopenLogs,
    /// Drain and end: `SIGTERM`, `SIGINT`; Windows: Ctrl-C, Ctrl-Break, close, shutdown. A second
    /// one is just another `Stop`: what it means is the caller's to decide.
    Stop,
}

/// Which side of tidegate a stream is on: it decides how a dead peer is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A caller's connection.
    Client,
    /// A connection to an instance.
    Upstream,
}

/// What the kernel knows of one TCP connection. Every count is a total over the connection's life
/// whose start is the kernel's business: only the difference of two readings means anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpStats {
    /// Payload bytes sent, retransmitted ones counted again each time. Unchanged since a write:
    /// nothing of it has left this host.
    pub bytes_sent: u64,
    /// Those of [`bytes_sent`](Self::bytes_sent) that were retransmissions.
    pub bytes_retransmitted: u64,
    /// Payload bytes the peer's host has acknowledged. Advanced since a write: its host has some
    /// of it. *Not* advanced proves nothing by itself: a peer that aborts right after reading
    /// looks the same.
    pub bytes_acked: u64,
    /// The smoothed round trip.
    pub round_trip: Duration,
}

/// What an idle upstream connection turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Open, with nothing to read: good for a call.
    Quiet,
    /// The peer has closed or reset it, or it failed.
    Closed,
    /// The peer has sent bytes that nobody asked for.
    Data,
}

/// The process in figures, for the `process_*` metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessStats {
    /// User and system time spent, in seconds.
    pub cpu_seconds: f64,
    /// Memory resident, in bytes.
    pub resident_bytes: u64,
    /// Address space mapped, in bytes.
    pub virtual_bytes: u64,
    /// File descriptors open now.
    pub open_fds: u64,
    /// The soft limit on open file descriptors; `u64::MAX` where there is none.
    pub max_fds: u64,
    /// When the process began, in seconds since 1970.
    pub start_time_seconds: f64,
    /// Threads of the process now.
    pub threads: u64,
}

/// One address of one of this host's network interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddr {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Leading bits of the address that name its network: 0 to 32, or 128 for IPv6.
    pub prefix_len: u8,
}

/// Prepares a listening socket, before its bind: on Unix an address left in `TIME_WAIT` can be
/// bound again; on Windows that option would let another process steal the port, so it stays off.
///
/// # Errors
/// The system's own, when it refuses the option.
pub fn tune_listener(socket: &Socket) -> io::Result<()> {
    system::reuse_address(socket)
}

/// Binds and listens on `addr`, non-blocking and tuned, with a backlog of [`BACKLOG`]. An
/// unspecified IPv6 address (`[::]`) takes IPv4 callers too, on every system.
///
/// # Errors
/// The system's own: [`io::ErrorKind::AddrInUse`] when another listener is there
/// ([`who_listens`] may know whose).
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    tune_listener(&socket)?;
    if addr.is_ipv6() {
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Prepares a TCP stream: no Nagle delay, keepalive, and towards an instance a limit on how long
/// bytes may stay unacknowledged ([`UNACKNOWLEDGED`]).
///
/// # Errors
/// The system's own; on a connection that is already dead some systems refuse every option.
pub fn tune_stream<S: AsStream>(stream: &S, side: Side) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    match side {
        Side::Upstream => system::limit_unacknowledged(&socket, UNACKNOWLEDGED),
        Side::Client => Ok(()),
    }
}

/// Takes away what [`tune_stream`] put on how long bytes may stay unacknowledged: a peer of another protocol may leave
/// its window shut for as long as it likes. A dead one is still found by keepalive.
pub fn lift_unacknowledged<S: AsStream>(stream: &S) {
    // Where the system refuses, the limit stays.
    let _ = system::limit_unacknowledged(&SockRef::from(stream), Duration::ZERO);
}

/// What the kernel has sent and seen acknowledged on a TCP stream: one system call, about 0.4 µs,
/// that answers after a reset too. `None` where the system cannot say, and for a Unix socket.
pub fn tcp_stats<S: AsStream>(stream: &S) -> Option<TcpStats> {
    system::tcp_stats(&SockRef::from(stream))
}

/// Looks at an idle connection, TCP or Unix, without waiting and without taking a byte. It asks
/// the kernel, since a runtime's readiness is a cache and misses a FIN that has just arrived.
pub fn peek_idle<S: AsStream>(stream: &S) -> Idle {
    match system::peek(&SockRef::from(stream)) {
        Ok(0) => Idle::Closed,
        Ok(_) => Idle::Data,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Idle::Quiet,
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Idle::Quiet,
        Err(_) => Idle::Closed,
    }
}

/// Where a redirected connection was really going, before the firewall's `REDIRECT`. `None` for a
/// connection that was not redirected (or with no connection tracking), and on other systems.
///
/// A caller that dials tidegate's own port may be given that very address: compare it with the
/// listener's before dialling.
pub fn original_dst<S: AsStream>(stream: &S) -> Option<SocketAddr> {
    system::original_dst(&SockRef::from(stream))
}

/// Marks a socket's packets for the firewall (Linux, `SO_MARK`).
///
/// # Errors
/// The system's own, without `CAP_NET_ADMIN` or `CAP_NET_RAW`; [`io::ErrorKind::Unsupported`] on other systems.
pub fn set_mark<S: AsStream>(socket: &S, mark: u32) -> io::Result<()> {
    system::set_mark(&SockRef::from(socket), mark)
}

/// The process in figures. `None` where the system's ways are not known here.
pub fn process_stats() -> Option<ProcessStats> {
    system::process_stats()
}

/// The addresses of this host's interfaces; on Windows, of those that are up, by the names that people see. Empty where
/// they cannot be read: the caller then knows nothing, which is not the same as "this host has no such address".
pub fn interfaces() -> Vec<InterfaceAddr> {
    system::interfaces()
}

/// Raises the limit on open file descriptors as far as the process may (soft to hard), and returns
/// the limit that holds then. `None` where there is no such limit.
///
/// # Errors
/// The system's own, when it refuses; the limit is then what it was.
pub fn raise_fd_limit() -> io::Result<Option<u64>> {
    system::raise_fd_limit()
}

/// Whether an error says that the process, or the host, is out of file descriptors. It is
/// tidegate's own trouble: charge no endpoint with it.
pub fn is_emfile(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| system::OUT_OF_DESCRIPTORS.contains(&code))
}

/// Whether a connect failed since this host has no local port (or address) left to dial from. It
/// is tidegate's own trouble: charge no endpoint with it.
pub fn no_local_port(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| system::OUT_OF_PORTS.contains(&code))
}

/// Whether a host name could not be looked up since the resolver gives no answer: nothing is known of the name then.
pub fn is_unanswered(error: &io::Error) -> bool {
    system::is_unanswered(error)
}

/// The file that names this host's resolvers; `None` where they are a setting of the network.
pub fn resolvers() -> Option<&'static str> {
    system::RESOLVERS
}

/// Who listens on `addr`, in words such as `nginx (pid 4711)`, for "the address is in use". Best
/// effort: `None` where the system has no way, or nobody is found.
pub fn who_listens(addr: SocketAddr) -> Option<String> {
    system::who_listens(addr)
}

/// How many connections are open at a local port: a listener's, whatever its address. 0 where nobody can tell.
pub fn connections_at(port: u16) -> usize {
    system::connections_at(port)
}

/// Whether the kernel is known to have no IPv6 at all.
pub fn lacks_ipv6() -> bool {
    system::lacks_ipv6()
}

/// The number of a user that is listed in `/etc/passwd`; others (LDAP) are not found.
///
/// # Errors
/// The list cannot be read.
pub fn user_id(name: &str) -> io::Result<Option<u32>> {
    system::id_in("/etc/passwd", name)
}

/// The number of a group that is listed in `/etc/group`; others are not found.
///
/// # Errors
/// The list cannot be read.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    system::id_in("/etc/group", name)
}

#[cfg(test)]
mod tests;
