//! A registered address as text, read strictly: what cannot be read is named, never guessed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::platform::MAX_SOCKET_PATH;

#[cfg(test)]
mod tests;

/// What a registered address names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port. `:8888`, which Go reads as "this host", is the unspecified address.
    Socket(SocketAddr),
    /// A host name, to be resolved, and a port.
    Name(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Where an endpoint is dialled: an address with nothing left to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DialAddr {
    /// Over TCP.
    Tcp(SocketAddr),
    /// A unix socket of this host: its path, or an abstract name behind `@` (Linux).
    Unix(Arc<Path>),
}

impl DialAddr {
    /// The address, where it is one of TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            DialAddr::Tcp(socket) => Some(*socket),
            DialAddr::Unix(_) => None,
        }
    }

    /// The path or the abstract name, where it is a unix socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            DialAddr::Tcp(_) => None,
            DialAddr::Unix(path) => Some(path),
        }
    }
}

impl From<SocketAddr> for DialAddr {
    fn from(socket: SocketAddr) -> Self {
        DialAddr::Tcp(socket)
    }
}

impl PartialEq<SocketAddr> for DialAddr {
    fn eq(&self, socket: &SocketAddr) -> bool {
        self.tcp() == Some(*socket)
    }
}

impl fmt::Display for DialAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialAddr::Tcp(socket) => socket.fmt(out),
            DialAddr::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// Why an address cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is nothing.
    #[error("no address is given")]
    Empty,
    /// No colon.
    #[error("it has no port")]
    NoPort,
    /// The port is no number from 0 to 65535.
    #[error("its port is no number up to 65535")]
    BadPort,
    /// More than one colon outside of brackets.
    #[error("it is an IPv6 address without brackets")]
    NoBrackets,
    /// Brackets that hold no IPv6 address.
    #[error("its brackets hold no IPv6 address")]
    BadBrackets,
    /// A unix socket without an absolute path.
    #[error("a unix socket needs an absolute path, or an abstract name behind @")]
    NoPath,
    /// A path that no socket can have.
    #[error("its path is longer than a unix socket's may be, or holds a NUL byte")]
    BadPath,
    /// An abstract name, which only Linux has.
    #[error("abstract names of unix sockets exist on Linux only")]
    NoAbstractName,
    /// Neither an IP address nor a host name.
    #[error("its host is neither an IP address nor a host name")]
    BadHost,
}

/// Reads an address as a registry holds it.
///
/// Hosts whose last label is a number (`127.1`, `0x7f.1`, `10.0.0.300`) are refused: resolvers read
/// some of them as addresses, each in its own way.
///
/// # Errors
///
/// [`Malformed`] says what is wrong with it.
pub fn parse(address: &str) -> Result<Address, Malformed> {
    if address.is_empty() {
        return Err(Malformed::Empty);
    }
    if address.starts_with("unix:") || is_path(address) {
        return parse_path(address);
    }
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Ok(Address::Socket(socket));
    }
    if address.starts_with('[') {
        return Err(Malformed::BadBrackets);
    }
    let (host, port) = address.rsplit_once(':').ok_or(Malformed::NoPort)?;
    if host.contains(':') {
        return Err(Malformed::NoBrackets);
    }
    let port = read_port(port)?;
    if host.is_empty() {
        return Ok(Address::Socket((Ipv4Addr::UNSPECIFIED, port).into()));
    }
    if is_host_name(host) {
        return Ok(Address::Name(host.to_owned(), port));
    }
    Err(Malformed::BadHost)
}

/// Reads the address of a unix socket: an absolute path, an abstract name (`@name`), or either behind `unix:` or
/// `unix://`.
///
/// # Errors
///
/// [`Malformed`] says what is wrong with it.
pub fn parse_path(address: &str) -> Result<Address, Malformed> {
    let path = address.strip_prefix("unix:").unwrap_or(address);
    let path = path
        .strip_prefix("//")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path);
    // `unix://run/x` may be meant as relative.
    if !is_path(path) || path == "@" || path.starts_with("//") {
        return Err(Malformed::NoPath);
    }
    if path.contains('\0') || MAX_SOCKET_PATH.is_some_and(|max| path.len() > max) {
        return Err(Malformed::BadPath);
    }
    if path.starts_with('@') && !cfg!(target_os = "linux") {
        return Err(Malformed::NoAbstractName);
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

/// Whether a key of Kitex's registrar may end in this: an address of TCP, also an IPv6 one without its brackets.
pub(super) fn is_of_tcp(text: &str) -> bool {
    match parse(text) {
        Ok(address) => !matches!(address, Address::Unix(_)),
        Err(Malformed::NoBrackets) => bracketed(text).is_some(),
        Err(_) => false,
    }
}

/// An IPv6 address without brackets and a port, as they are meant.
fn bracketed(address: &str) -> Option<SocketAddr> {
    let (host, port) = address.rsplit_once(':')?;
    let host: Ipv6Addr = host.parse().ok()?;
    Some(SocketAddr::new(IpAddr::V6(host), read_port(port).ok()?))
}

fn is_path(text: &str) -> bool {
    text.starts_with(['/', '@'])
}

/// Digits only: `u16::from_str` alone would take `+80`.
fn read_port(port: &str) -> Result<u16, Malformed> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(Malformed::BadPort);
    }
    port.parse().map_err(|_| Malformed::BadPort)
}

fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(label) && !ends_in_a_number(host)
}

fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What to write instead of a malformed address.
pub(super) fn remedy(address: &str) -> String {
    if is_path(address) || address.starts_with("unix:") {
        return format!("register {address:?} as unix:/path, or delete it");
    }
    match bracketed(address) {
        Some(socket) => format!(
            "write it as {socket}: Kitex drops the brackets of an IPv6 listen address, so pass it to the etcd \
             registry with SetFixedAddress, or register an IPv4 address by KITEX_IP_TO_REGISTRY"
        ),
        None => format!("register {address:?} as HOST:PORT, or [IPV6]:PORT, or delete it"),
    }
}
