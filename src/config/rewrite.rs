//! `[[rewrite]]`: registered addresses that are another one from here, such as those of a container network.
//!
//! A rule says which addresses it takes and what is dialled instead. The first one that takes an address counts.
//! What becomes of that while tidegate runs is [`registry::Rewrites`](crate::registry::Rewrites)'s.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::patterns::Pattern;
use super::units;

#[cfg(test)]
mod tests;

/// One rule. It has at least one condition, and sets at least one of host and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// Unique among the rules that have one.
    #[serde(
        serialize_with = "units::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<Arc<str>>,
    /// Takes what is, or resolves to, an address in this network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Cidr>,
    /// Takes what is registered with exactly this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Takes the instances of services whose name fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Pattern>,
    /// What is dialled in the place of the registered host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<NewHost>,
    /// What is dialled in the place of the registered port; never 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Takes instances that have all of these tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tag: BTreeMap<String, String>,
    /// Where it stands.
    #[serde(skip)]
    pub at: Line,
}

impl Rewrite {
    /// What the rule is called in metrics: its name, else its place.
    #[must_use]
    pub fn label(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| self.at.0.clone())
    }
}

/// `rewrite "office", dev.toml:4`: as people find it again.
impl fmt::Display for Rewrite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(out, "rewrite \"{name}\", {}", self.at.0),
            None => write!(out, "rewrite {}", self.at.0),
        }
    }
}

/// `file:line`. All are equal: a rule is the same rule one line further down.
#[derive(Clone, Debug)]
pub struct Line(pub Arc<str>);

impl PartialEq for Line {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Line {}

/// The host that a rule sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewHost {
    /// An address; neither unspecified nor a metadata one.
    Ip(IpAddr),
    /// A name, to be resolved.
    Name(Box<str>),
}

impl fmt::Display for NewHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(out),
            Self::Name(name) => out.write_str(name),
        }
    }
}

impl Serialize for NewHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A network of IP addresses. An IPv4 network in IPv6 clothes (`::ffff:10.0.0.0/104`) is the IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    len: u8,
}

/// Why a text is no network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoCidr {
    /// Neither an address nor an address and a length.
    #[error("expected a network such as \"172.17.0.0/16\" or \"fd00::/8\", or an IP address")]
    Unreadable,
    /// Bits are set that stand for hosts.
    #[error("expected a network, found an address in one: is {0} meant?")]
    HostBits(Cidr),
}

impl Cidr {
    /// Whether the address is in the network; one in IPv6 clothes is what it stands for.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.covers(&Self::one(ip))
    }

    /// Whether every address of `other` is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let same_family = self.network.is_ipv4() == other.network.is_ipv4();
        same_family && self.len <= other.len && masked(other.network, self.len) == self.network
    }

    /// The network of one address alone.
    fn one(ip: IpAddr) -> Self {
        let network = ip.to_canonical();
        let len = bits(network);
        Self { network, len }
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address with all but its first `len` bits cleared.
fn masked(ip: IpAddr, len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            Ipv6Addr::from(u128::from(ip) & mask).into()
        }
    }
}

impl FromStr for Cidr {
    type Err = NoCidr;

    fn from_str(text: &str) -> Result<Self, NoCidr> {
        let (ip, len) = match text.split_once('/') {
            None => (text, None),
            Some((ip, len)) => {
                let digits = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
                let len = len.parse::<u8>().ok().filter(|_| digits);
                (ip, Some(len.ok_or(NoCidr::Unreadable)?))
            }
        };
        let ip: IpAddr = ip.parse().map_err(|_| NoCidr::Unreadable)?;
        let len = len.unwrap_or(bits(ip));
        if len > bits(ip) {
            return Err(NoCidr::Unreadable);
        }
        let network = masked(ip, len);
        let plain = network.to_canonical();
        // Shorter than the mapped range, it is an IPv6 network that holds more than that.
        let cidr = match plain.is_ipv4() && network.is_ipv6() && len >= 96 {
            true => Self {
                network: plain,
                len: len - 96,
            },
            false => Self { network, len },
        };
        if network != ip {
            return Err(NoCidr::HostBits(cidr));
        }
        Ok(cidr)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == bits(self.network) {
            return self.network.fmt(out);
        }
        write!(out, "{}/{}", self.network, self.len)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
