//! Finding codes: the stable names of what can be wrong with a registration or with etcd.
//!
//! Logs, metrics, `/services`, `doctor` and `tidegate explain` share them. A code never changes its
//! meaning.

use std::fmt;

use super::Instance;

macro_rules! codes {
    ($($name:ident $cause:literal,)*) => {
        /// A finding: `R…` about what is registered, `E…` about etcd.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $name,)*
        }

        impl Code {
            /// All codes, in their order.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code as people write it, `R02`.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Code::$name => stringify!($name),)* }
            }

            /// What is wrong, in one line.
            #[must_use]
            pub fn cause(self) -> &'static str {
                match self { $(Code::$name => $cause,)* }
            }
        }
    };
}

codes! {
    R01 "the unspecified address (0.0.0.0 or ::) or port 0: it names no host",
    R02 "a loopback address: every host that reads it finds itself",
    R03 "a link-local address: it means something else on every network",
    R04 "an address of a container network that no interface here belongs to",
    R05 "a private address without a route from here",
    R06 "an address of a carrier-grade NAT or VPN range that no interface here belongs to",
    R07 "an address that cannot be read",
    R08 "the key names another address than the value; the value counts",
    R09 "a value that cannot be read",
    R10 "a weight of 0 or less; 10 is used, as Kitex does",
    R11 "the same address stands in another entry as well",
    R12 "no lease, or a lease about to end that nobody renews",
    R13 "the wrong prefix, or no such service",
    R14 "a cloud's metadata address, which is never dialled",
    R15 "a network that is neither tcp nor unix",
    R16 "a listener of this tidegate: dialling it would be a loop",
    R17 "a host name that does not resolve here, or resolves to loopback",
    R18 "an IPv6 address, and this host has no IPv6",
    R19 "a unix socket that does not exist on this host",
    R20 "the service's name begins with another service's name",
    R21 "left over after a graceful stop",
    R22 "listens here but is not registered",
    E01 "etcd cannot be reached",
    E02 "etcd refuses the user, the password or the token",
    E03 "the etcd user may not read this range",
    E04 "etcd advertises a loopback address to its clients",
    E05 "etcd compacted the revision that was being followed; it is read again",
    E06 "etcd is slow",
    E07 "the TLS handshake with etcd failed",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Code {
    /// Whether it is about the address itself, so that a rule which makes another of it is what can be changed.
    pub(super) fn is_of_the_address(self) -> bool {
        use Code::{R01, R02, R03, R04, R05, R06, R14, R16, R17, R18};
        matches!(
            self,
            R01 | R02 | R03 | R04 | R05 | R06 | R14 | R16 | R17 | R18
        )
    }

    /// What the owner of `instance` can do about this finding, as one sentence.
    #[must_use]
    pub fn remedy(self, instance: &Instance) -> String {
        let (address, key) = (instance.address.as_str(), instance.key.as_str());
        match self {
            Code::R01 | Code::R02 | Code::R03 => register_reachable(address),
            Code::R04 | Code::R05 | Code::R06 => format!(
                "join the network of {address}, or {}",
                register_reachable(address)
            ),
            Code::R07 => super::address::remedy(address),
            Code::R08 => format!(
                "register one address in both places: where Kitex wrote {key}, pass the address that others \
                 can dial to both server.WithServiceAddr and the registry, or delete the key if it is a leftover"
            ),
            Code::R10 => format!("give the instance at {key} a weight of 1 or more"),
            Code::R11 => format!("delete {key} if it is a leftover"),
            Code::R14 => format!("delete {key}; no service can listen on {address}"),
            Code::R15 => format!("register {key} with network tcp"),
            Code::R16 => format!(
                "register the instance's own port instead of tidegate's {address}, or let tidegate listen elsewhere"
            ),
            Code::R17 => format!(
                "make the host name of {address} resolve here to an address other hosts can dial (DNS or \
                 /etc/hosts), or register an IP address"
            ),
            Code::R18 => {
                format!("give this host IPv6, or register an IPv4 address instead of {address}")
            }
            Code::R19 => format!(
                "start the instance here, if this is its host; else register a TCP address instead of {address}"
            ),
            _ => format!("look at {key}: {}", self.cause()),
        }
    }
}

/// How a Kitex server is made to register an address that others can dial.
fn register_reachable(address: &str) -> String {
    let port = address.rsplit_once(':').map_or("PORT", |(_, port)| port);
    let port = if port.parse().is_ok_and(|port: u16| port != 0) {
        port
    } else {
        "PORT"
    };
    format!(
        "register an address that other hosts can dial instead of {address}: set KITEX_IP_TO_REGISTRY=HOST_IP \
         (and KITEX_PORT_TO_REGISTRY={port}) in the server's environment, or let it listen on \
         server.WithServiceAddr(HOST_IP:{port}), or pass server.WithRegistryInfo(&registry.Info{{Addr: \
         HOST_IP:{port}, SkipListenAddr: true}}); or map it from here with a [[rewrite]] rule"
    )
}
