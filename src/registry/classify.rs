//! What kind of address an instance was registered with: the first thing to know when it does not
//! answer.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{Address, Code, DialAddr};
use crate::metadata::forbidden;

#[cfg(test)]
mod tests;

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
    /// An address of one of this host's interfaces.
    ThisHost,
    /// RFC 1918, RFC 6598 (carrier-grade NAT, VPNs) and unique local IPv6.
    Private,
    /// A range that container engines use, or the network of a bridge of theirs here.
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

/// An address of one of this host's network interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, `eth0`.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix, in bits.
    pub prefix_len: u8,
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

    /// Whether an interface has this address.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.interfaces
            .load()
            .iter()
            .any(|interface| interface.ip.to_canonical() == ip)
    }

    /// The interface whose network holds `ip`, the longest prefix first.
    #[must_use]
    pub fn on_link(&self, ip: IpAddr) -> Option<Interface> {
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

impl Interface {
    fn holds(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => in_v4(ip, own, self.prefix_len),
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix_len));
                u128::from(own).checked_shr(shift) == u128::from(ip).checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Whether its name is one that container engines, their networks and virtual machines give: its own network is
    /// theirs. `br-…` is a network of Docker's; `vEthernet (External)` would carry the host's own address.
    fn is_container_bridge(&self) -> bool {
        const NAMES: [&str; 11] = [
            "docker", "br-", "cni", "cbr", "podman", "flannel", "cali", "weave", "lxc", "virbr",
            "nerdctl",
        ];
        NAMES.iter().any(|name| self.name.starts_with(name)) || self.leads_to_a_machine()
    }

    /// Whether it leads to the virtual machine in which a laptop's containers run: WSL2 and Hyper-V on Windows, vmnet
    /// on macOS (`bridge0` is Thunderbolt's), lima and colima.
    fn leads_to_a_machine(&self) -> bool {
        const NAMES: [&str; 7] = [
            "vEthernet (WSL",
            "vEthernet (Default Switch)",
            "vEthernet (nat)",
            "bridge10",
            "vmenet",
            "lima",
            "colima",
        ];
        NAMES.iter().any(|name| self.name.starts_with(name))
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
    if host.has(ip) {
        return Class::ThisHost;
    }
    if is_container(ip, host) {
        return Class::ContainerNetwork;
    }
    if is_private(ip) || is_shared(ip) {
        return Class::Private;
    }
    Class::Public
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// RFC 6598, shared by carriers and by VPNs.
fn is_shared(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if in_v4(ip, Ipv4Addr::new(100, 64, 0, 0), 10))
}

/// An interface's own network says more than a well-known range: a company may use 10.244.0.0/16.
fn is_container(ip: IpAddr, host: &Host) -> bool {
    match host.on_link(ip) {
        Some(interface) => interface.is_container_bridge(),
        None => in_container_range(ip) || in_machine_range(ip) && host.has_a_machine(),
    }
}

/// The defaults of Docker (`docker0` and the first user networks), podman, flannel, and k3s. Not all that Docker may
/// take (172.17.0.0 to 172.31.255.255, 192.168.0.0/16): companies use those as well.
fn in_container_range(ip: IpAddr) -> bool {
    const RANGES: [(Ipv4Addr, u8); 5] = [
        (Ipv4Addr::new(172, 17, 0, 0), 16),
        (Ipv4Addr::new(172, 18, 0, 0), 15),
        (Ipv4Addr::new(10, 88, 0, 0), 16),
        (Ipv4Addr::new(10, 244, 0, 0), 16),
        (Ipv4Addr::new(10, 42, 0, 0), 16),
    ];
    is_in(ip, &RANGES)
}

/// The networks inside the virtual machines of Docker Desktop, lima and colima, and `podman machine`: no interface of
/// the host is in them. So common as home networks that they count only where there is such a machine.
fn in_machine_range(ip: IpAddr) -> bool {
    const RANGES: [(Ipv4Addr, u8); 3] = [
        (Ipv4Addr::new(192, 168, 65, 0), 24),
        (Ipv4Addr::new(192, 168, 5, 0), 24),
        (Ipv4Addr::new(192, 168, 127, 0), 24),
    ];
    is_in(ip, &RANGES)
}

fn is_in(ip: IpAddr, ranges: &[(Ipv4Addr, u8)]) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    ranges.iter().any(|&(range, len)| in_v4(ip, range, len))
}

fn in_v4(ip: Ipv4Addr, network: Ipv4Addr, prefix_len: u8) -> bool {
    let shift = 32_u32.saturating_sub(u32::from(prefix_len));
    u32::from(ip).checked_shr(shift) == u32::from(network).checked_shr(shift)
}
