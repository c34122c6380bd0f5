//! What a call says of itself, by the names that a config has for it.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::nearest::nearest;

#[cfg(test)]
mod tests;

/// Something that a call may say of itself: an int key or a string key of its TTHeader, or where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// An int key that has a name of its own.
    Int(IntKey),
    /// The client's address, without its port.
    Source,
    /// A string key, spelt as on the wire: `RPC_PERSIST_LANE`, `RPC_TRANSIT_TENANT`, or any other.
    Text(Box<str>),
}

/// The int keys of a TTHeader that instances are chosen by. Numbers as in Kitex's `transmeta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum IntKey {
    /// The caller's service.
    FromService = 3,
    /// The caller's cluster.
    FromCluster = 4,
    /// The caller's data centre.
    FromIdc = 5,
    /// The cluster that the caller asks for.
    ToCluster = 7,
    /// The data centre that the caller asks for.
    ToIdc = 8,
    /// The environment that the call belongs to.
    Env = 10,
    /// What a consistent hash is made of.
    RingHashKey = 14,
    /// The same, before the caller hashed it.
    RawRingHashKey = 24,
}

const INTS: [(&str, IntKey); 8] = [
    ("env", IntKey::Env),
    ("to_cluster", IntKey::ToCluster),
    ("from_service", IntKey::FromService),
    ("from_cluster", IntKey::FromCluster),
    ("from_idc", IntKey::FromIdc),
    ("to_idc", IntKey::ToIdc),
    ("ring_hash_key", IntKey::RingHashKey),
    ("raw_ring_hash_key", IntKey::RawRingHashKey),
];

const SOURCE: &str = "source";

/// Why a text names nothing that a call says of itself.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoKey {
    /// It is empty, too long, or holds control characters.
    #[error(
        "expected what a call says of itself, such as \"env\", \"to_cluster\", \"from_service\", \"source\" or \
         \"RPC_PERSIST_LANE\""
    )]
    Malformed,
    /// It is nearly the name of another.
    #[error("did you mean \"{0}\"?")]
    Near(&'static str),
}

impl Key {
    /// Whether it is a string key.
    pub fn is_string(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Reads a key by its name: one of ours, or else a string key as it is spelt on the wire.
    ///
    /// # Errors
    ///
    /// It can be no key, or is one of our names, misspelt.
    pub fn new(name: &str) -> Result<Self, NoKey> {
        if name == SOURCE {
            return Ok(Self::Source);
        }
        if let Some((_, key)) = INTS.iter().find(|(known, _)| *known == name) {
            return Ok(Self::Int(*key));
        }
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(NoKey::Malformed);
        }
        let names = INTS.iter().map(|(known, _)| *known).chain([SOURCE]);
        match nearest(&name.to_lowercase().replace('-', "_"), names) {
            Some(near) => Err(NoKey::Near(near)),
            None => Ok(Self::Text(name.into())),
        }
    }

    /// The name that a config has for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Source => SOURCE,
            Self::Text(name) => name,
            Self::Int(key) => INTS
                .iter()
                .find(|(_, it)| it == key)
                .map_or("", |(name, _)| name),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
