//! How keys and values in etcd read.

mod kitex;

pub use kitex::{DEFAULT_WEIGHT, PREFIX as KITEX_PREFIX};

use super::address::is_of_tcp;
use super::{Instance, Skipped};

#[cfg(test)]
mod tests;

/// Whether a service can have this name: it is part of keys, and of labels.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains(|c: char| c == '/' || c.is_control())
}

/// A way of writing instances into etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// What `kitex-contrib/registry-etcd` writes: `{prefix}/{service}/{address}` → JSON. The prefix
    /// may be empty, as its constructors with authentication leave it.
    Kitex {
        /// [`KITEX_PREFIX`] where nothing else is configured.
        prefix: String,
    },
}

impl Default for Layout {
    fn default() -> Self {
        Layout::Kitex {
            prefix: KITEX_PREFIX.to_owned(),
        }
    }
}

impl Layout {
    /// What every key of the service begins with. Ends in a slash, so that `item-v2` is no part of
    /// `item`.
    #[must_use]
    pub fn range(&self, service: &str) -> String {
        match self {
            Layout::Kitex { prefix } => format!("{prefix}/{service}/"),
        }
    }

    /// What every key of the services begins with whose names begin with `literal`. With an empty prefix and an empty
    /// `literal` that is every key that begins with a slash, whoever put it.
    #[must_use]
    pub fn range_of_names(&self, literal: &str) -> String {
        match self {
            Layout::Kitex { prefix } => format!("{prefix}/{literal}"),
        }
    }

    /// The name of the service whose key this is, and what comes behind it: the address, which may hold slashes.
    /// `None`: it is no key of a service.
    #[must_use]
    pub fn name_of<'a>(&self, key: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
        let Layout::Kitex { prefix } = self;
        let rest = key.strip_prefix(prefix.as_bytes())?.strip_prefix(b"/")?;
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let (name, address) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
        (is_name(name) && !address.is_empty()).then_some((name, address))
    }

    /// Whether an entry, by its value and by what stands in its key behind the service's name, tells that there is a
    /// service of this name. Under the empty prefix every program's keys stand beside the registrations.
    #[must_use]
    pub fn tells_service(&self, address: &[u8], value: &[u8]) -> bool {
        let is_registered =
            || std::str::from_utf8(address).is_ok_and(is_of_tcp) && kitex::names_an_address(value);
        self.tells_by_keys() || is_registered()
    }

    /// Whether its keys alone tell which services there are.
    #[must_use]
    pub fn tells_by_keys(&self) -> bool {
        let Layout::Kitex { prefix } = self;
        !prefix.is_empty()
    }

    /// Reads one entry of that range. `revision` is that of its last put.
    ///
    /// # Errors
    ///
    /// [`Skipped`] names the key and what is wrong with it. No input panics.
    pub fn read(
        &self,
        range: &str,
        key: &[u8],
        value: &[u8],
        revision: u64,
    ) -> Result<Instance, Skipped> {
        match self {
            Layout::Kitex { .. } => kitex::read(range, key, value, revision),
        }
    }
}
