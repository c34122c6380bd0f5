//! What kind of address an instance was registered with: the first thing to know when it does not
//! answer.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use self::ranges::{in_container_range, in_machine_range, is_link_local, is_private, is_shared};
use super::{Address, Code, DialAddr};
use crate::metadata::forbidden;

mod interface;
mod ranges;
#[cfg(test)]
mod tests;

pub use interface::Interface;

/// The kinds of address. [`Class::suspicious`] and [`Class::dialable`] say what follows from each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 127.0.0.0/8 or ::1: each reader finds itself there.
    Loopback,
    /// 0.0.0.0, :: or port 0.
    Unspecified,
    /// 169.254.0.0/16 or fe80::/10.
    LinkLocal,
    /// No address at all, or one of a network that cannot be dialled.
    Malformed,
    /// One of our own listeners.
    OwnListener,
    /// A metadata address, see [`forbidden`].
    Forbidden,
    /// An address of one of this host's interfaces, but for those that lead to containers.
    ThisHost,
    /// RFC 1918, RFC 6598 (carrier-grade NAT, VPNs) and unique local IPv6.
    Private,
    /// A range that container engines use, or the network of a bridge of theirs here, the bridge's own address included:
    /// every host with Docker has 172.17.0.1.
    ContainerNetwork,
    /// Everything else.
    Public,
    /// A unix socket: used from when it was first seen on this host ([`Host::has_socket`]).
    UnixSocket,
    /// A host name without an address, yet.
    Unresolvable,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 12] = [
        Class::Loopback,
        Class::Unspecified,
        Class::LinkLocal,
        Class::Malformed,
        Class::OwnListener,
        Class::Forbidden,
        Class::ThisHost,
        Class::Private,
        Class::ContainerNetwork,
        Class::Public,
        Class::UnixSocket,
        Class::Unresolvable,
    ];

    /// The name used in logs, metrics and `/services`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Class::Loopback => "loopback",
            Class::Unspecified => "unspecified",
            Class::LinkLocal => "link_local",
            Class::Malformed => "malformed",
            Class::OwnListener => "own_listener",
            Class::Forbidden => "forbidden",
            Class::ThisHost => "this_host",
            Class::Private => "private",
            Class::ContainerNetwork => "container_network",
            Class::Public => "public",
            Class::UnixSocket => "unix_socket",
            Class::Unresolvable => "unresolvable",
        }
    }

    /// The finding that the class alone is.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        match self {
            Class::Loopback => Some(Code::R02),
            Class::Unspecified => Some(Code::R01),
            Class::LinkLocal => Some(Code::R03),
            Class::Malformed => Some(Code::R07),
            Class::OwnListener => Some(Code::R16),
            Class::Forbidden => Some(Code::R14),
            Class::Unresolvable => Some(Code::R17),
            Class::ThisHost
            | Class::Private
            | Class::ContainerNetwork
            | Class::Public
            | Class::UnixSocket => None,
        }
    }

    /// Means something else on every host: used as the policy `suspicious` says.
    #[must_use]
    pub fn suspicious(self) -> bool {
        matches!(self, Class::Loopback | Class::LinkLocal)
    }

    /// May be dialled at all.
    #[must_use]
    pub fn dialable(self) -> bool {
        match self {
            Class::Loopback
            | Class::LinkLocal
            | Class::ThisHost
            | Class::Private
            | Class::ContainerNetwork
            | Class::Public
            | Class::UnixSocket => true,
            Class::Unspecified
            | Class::Malformed
            | Class::OwnListener
            | Class::Forbidden
            | Class::Unresolvable => false,
        }
    }
}

/// What classification must know of this host. Plain data; changes are swapped in.
#[derive(Debug, Default)]
pub struct Host {
    interfaces: ArcSwap<Vec<Interface>>,
    own_listeners: ArcSwap<Vec<DialAddr>>,
    /// The unix sockets that were there when they were looked for.
    sockets: Mutex<HashSet<PathBuf>>,
}

impl Host {
    /// A host with these interface addresses and these listeners of ours.
    #[must_use]
    pub fn new(interfaces: Vec<Interface>, own_listeners: Vec<DialAddr>) -> Self {
        Host {
            interfaces: ArcSwap::from_pointee(interfaces),
            own_listeners: ArcSwap::from_pointee(own_listeners),
            sockets: Mutex::default(),
        }
    }

    /// Says anew which addresses tidegate itself listens on (after a reload).
    pub fn set_own_listeners(&self, listeners: Vec<DialAddr>) {
        self.own_listeners.store(Arc::new(listeners));
    }

    /// Says anew which addresses the host has.
    pub fn set_interfaces(&self, interfaces: Vec<Interface>) {
        self.interfaces.store(Arc::new(interfaces));
    }

    /// Notes that this unix socket was seen here.
    pub fn found_socket(&self, path: &Path) {
        self.sockets.lock().insert(path.to_owned());
    }

    /// Whether this unix socket was ever seen here. One that went since is an instance that stopped.
    #[must_use]
    pub fn has_socket(&self, path: &Path) -> bool {
        self.sockets.lock().contains(path)
    }

    fn is_own_socket(&self, path: &Path) -> bool {
        let listeners = self.own_listeners.load();
        let mut paths = listeners.iter().filter_map(DialAddr::path);
        paths.any(|own| own == path)
    }

    /// Whether dialling `address` would reach a listener of ours.
    #[must_use]
    pub fn is_own_listener(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let listeners = self.own_listeners.load();
        let mut sockets = listeners.iter().filter_map(DialAddr::tcp);
        sockets.any(|listener| {
            let on = listener.ip().to_canonical();
            listener.port() == address.port()
                && (on == ip || on.is_unspecified() && self.reaches_wildcard(on, ip))
        })
    }

    /// A wildcard listener takes what is sent to any address of this host, of its own family; `::`
    /// usually takes IPv4 as well.
    fn reaches_wildcard(&self, wildcard: IpAddr, ip: IpAddr) -> bool {
        (wildcard.is_ipv6() || ip.is_ipv4())
            && (ip.is_loopback() || ip.is_unspecified() || self.has(ip))
    }

    /// Whether one of this host's interfaces has the address.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.interfaces
            .load()
            .iter()
            .any(|interface| interface.ip.to_canonical() == ip)
    }

    /// Whether it is this host's own, on a bridge to containers, and on nothing else.
    #[must_use]
    pub fn is_own_bridge(&self, ip: IpAddr) -> bool {
        let (ip, interfaces) = (ip.to_canonical(), self.interfaces.load());
        let mut own = interfaces.iter().filter(|it| it.ip.to_canonical() == ip);
        self.has(ip) && own.all(Interface::is_container_bridge)
    }

    /// Whether the address means this host when it is dialled from here.
    #[must_use]
    pub fn is_here(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.has(ip)
    }

    /// Whether an interface of this host is in the address's network.
    #[must_use]
    pub fn is_on_link(&self, ip: IpAddr) -> bool {
        self.on_link(ip.to_canonical()).is_some()
    }

    /// The interface whose network holds `ip`, the longest prefix first.
    fn on_link(&self, ip: IpAddr) -> Option<Interface> {
        let interfaces = self.interfaces.load();
        let holding = interfaces.iter().filter(|interface| interface.holds(ip));
        holding
            .max_by_key(|interface| interface.prefix_len)
            .cloned()
    }

    /// Whether one of the interfaces leads to a virtual machine in which containers run.
    fn has_a_machine(&self) -> bool {
        let interfaces = self.interfaces.load();
        interfaces.iter().any(Interface::leads_to_a_machine)
    }

    /// Whether this host has interfaces, and none with an IPv6 address that leads anywhere.
    #[must_use]
    pub fn lacks_ipv6(&self) -> bool {
        let leads_anywhere = |ip: IpAddr| match ip {
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        let interfaces = self.interfaces.load();
        !interfaces.is_empty()
            && !interfaces
                .iter()
                .any(|interface| leads_anywhere(interface.ip))
    }

    /// The finding that an address with this class is on this host, the class's own first.
    #[must_use]
    pub fn code(&self, class: Class, ip: IpAddr) -> Option<Code> {
        let ip = ip.to_canonical();
        let own = class.code();
        let no_ipv6 = || (ip.is_ipv6() && self.lacks_ipv6()).then_some(Code::R18);
        let elsewhere = || match class {
            Class::ContainerNetwork if self.on_link(ip).is_none() => Some(Code::R04),
            Class::Private if is_shared(ip) && self.on_link(ip).is_none() => Some(Code::R06),
            _ => None,
        };
        own.or_else(elsewhere).or_else(no_ipv6)
    }
}

/// The class of an address on this host. A name that is not resolved yet is
/// [`Class::Unresolvable`]; once it is, each of its addresses has a class of its own.
#[must_use]
pub fn classify(address: &Address, host: &Host) -> Class {
    match address {
        Address::Unix(path) if host.is_own_socket(path) => Class::OwnListener,
        Address::Unix(_) => Class::UnixSocket,
        Address::Name(..) => Class::Unresolvable,
        Address::Socket(socket) => classify_socket(*socket, host),
    }
}

fn classify_socket(socket: SocketAddr, host: &Host) -> Class {
    let ip = socket.ip().to_canonical();
    if ip.is_unspecified() || socket.port() == 0 {
        return Class::Unspecified;
    }
    if forbidden(ip) {
        return Class::Forbidden;
    }
    if host.is_own_listener(socket) {
        return Class::OwnListener;
    }
    if ip.is_loopback() {
        return Class::Loopback;
    }
    if is_link_local(ip) {
        return Class::LinkLocal;
    }
    if host.has(ip) && !host.is_own_bridge(ip) {
        return Class::ThisHost;
    }
    if host.is_own_bridge(ip) || is_container(ip, host) {
        return Class::ContainerNetwork;
    }
    if is_private(ip) || is_shared(ip) {
        return Class::Private;
    }
    Class::Public
}

/// An interface's own network says more than a well-known range: a company may use 10.244.0.0/16.
fn is_container(ip: IpAddr, host: &Host) -> bool {
    match host.on_link(ip) {
        Some(interface) => interface.is_container_bridge(),
        None => in_container_range(ip) || in_machine_range(ip) && host.has_a_machine(),
    }
}
