//! How keys and values in etcd read.

mod kitex;

pub use kitex::{DEFAULT_WEIGHT, PREFIX as KITEX_PREFIX};

use super::{Instance, Skipped};

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
