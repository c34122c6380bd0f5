//! One service's entries as they stand in etcd, and what changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::registry::{Code, Instance, Layout, ReadSet, Skipped};

#[cfg(test)]
mod tests;

/// What one key holds.
type Entry = Result<Arc<Instance>, Skipped>;

/// The entries of one range by key.
pub(super) struct Table {
    layout: Layout,
    range: String,
    entries: BTreeMap<Vec<u8>, Entry>,
}

/// One key and its value.
pub(super) struct Put<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) revision: i64,
}

impl Table {
    pub(super) fn new(layout: Layout, range: String) -> Self {
        Table {
            layout,
            range,
            entries: BTreeMap::new(),
        }
    }

    /// Takes in a fresh read. Says whether anything differs, and which findings are new.
    pub(super) fn replace<'a>(&mut self, puts: impl Iterator<Item = Put<'a>>) -> (bool, Vec<Code>) {
        let entries: BTreeMap<Vec<u8>, Entry> = puts
            .map(|put| (put.key.to_vec(), self.read(&put)))
            .collect();
        let is_new = |key: &Vec<u8>, entry: &Entry| self.entries.get(key) != Some(entry);
        let findings = entries
            .iter()
            .filter(|(key, entry)| is_new(key, entry))
            .filter_map(|(_, entry)| entry.as_ref().err().map(|skipped| skipped.code))
            .collect();
        let differs = entries != self.entries;
        self.entries = entries;
        (differs, findings)
    }

    /// Takes in one put; a finding if it cannot be read. What it replaces is gone either way: the
    /// registration no longer says what it said.
    pub(super) fn put(&mut self, put: &Put<'_>) -> Option<Code> {
        let entry = self.read(put);
        let code = entry.as_ref().err().map(|skipped| skipped.code);
        self.entries.insert(put.key.to_vec(), entry);
        code
    }

    /// Takes in one deletion. Says whether the key was there.
    pub(super) fn delete(&mut self, key: &[u8]) -> bool {
        self.entries.remove(key).is_some()
    }

    /// All of it, for publication.
    pub(super) fn set(&self) -> ReadSet {
        ReadSet {
            instances: self
                .entries
                .values()
                .filter_map(|entry| entry.as_ref().ok().cloned())
                .collect(),
            skipped: self
                .entries
                .values()
                .filter_map(|entry| entry.as_ref().err().cloned())
                .collect(),
            at: Instant::now(),
            stale: false,
        }
    }

    fn read(&self, put: &Put<'_>) -> Entry {
        let revision = u64::try_from(put.revision).unwrap_or(0);
        self.layout
            .read(&self.range, put.key, put.value, revision)
            .map(Arc::new)
    }
}
