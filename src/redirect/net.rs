//! Networks, and what is excluded.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use super::{NoPorts, Ports};

/// A network: an address and how many of its leading bits count. The others are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    ip: IpAddr,
    bits: u8,
}

/// A text that names no network.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no network: expected an address such as 10.0.3.7, or with a prefix length, 10.0.0.0/8 or fd00::/8"
)]
pub struct NoNet(String);

impl Net {
    /// Whether it is an IPv4 network.
    pub fn is_ipv4(&self) -> bool {
        self.ip.is_ipv4()
    }

    fn new(ip: IpAddr, bits: u8) -> Option<Self> {
        let ip = match ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits.into())?);
                IpAddr::V4((ip.to_bits() & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits.into())?);
                IpAddr::V6((ip.to_bits() & mask.unwrap_or(0)).into())
            }
        };
        Some(Self { ip, bits })
    }
}

impl From<IpAddr> for Net {
    fn from(ip: IpAddr) -> Self {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        Self { ip, bits }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

impl FromStr for Net {
    type Err = NoNet;

    fn from_str(text: &str) -> Result<Self, NoNet> {
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, bits.parse().ok()),
            None => (text, Some(if text.contains(':') { 128 } else { 32 })),
        };
        let net = ip.parse().ok().zip(bits);
        net.and_then(|(ip, bits)| Self::new(ip, bits))
            .ok_or_else(|| NoNet(text.into()))
    }
}

/// Destinations that are never caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclude {
    /// Whatever is there, on any port.
    Net(Net),
    /// These ports, wherever they are.
    Ports(Ports),
}

/// A text that names neither a network nor ports.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoExclude {
    /// It looks like a network.
    #[error(transparent)]
    Net(#[from] NoNet),
    /// It looks like ports.
    #[error(transparent)]
    Ports(#[from] NoPorts),
}

impl FromStr for Exclude {
    type Err = NoExclude;

    /// A network has a dot or a colon, ports have neither.
    fn from_str(text: &str) -> Result<Self, NoExclude> {
        if text.contains(['.', ':', '/']) {
            Ok(Self::Net(text.parse()?))
        } else {
            Ok(Self::Ports(text.parse()?))
        }
    }
}
