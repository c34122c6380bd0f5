//! What the callers saw, counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Answers per address whose latency is kept: enough for a 99th percentile, and bounded with `--forever`.
const KEPT: usize = 2_000;

/// What all callers together saw.
#[derive(Default)]
pub(super) struct Tally {
    /// Calls sent.
    pub(super) sent: u64,
    /// By the address that answered, or that the failure names.
    pub(super) by_address: BTreeMap<SocketAddr, Count>,
    /// Failures that name no address.
    pub(super) unplaced: u64,
    /// One failure's text for each address, and for none.
    pub(super) examples: BTreeMap<Option<SocketAddr>, String>,
}

/// The calls of one address.
#[derive(Default)]
pub(super) struct Count {
    pub(super) answered: u64,
    pub(super) failed: u64,
    latencies: Vec<Duration>,
    next: usize,
}

impl Tally {
    /// A call was answered by `by`, after `took`.
    pub(super) fn answered(&mut self, by: SocketAddr, took: Duration) {
        let count = self.by_address.entry(by).or_default();
        count.answered += 1;
        if count.latencies.len() < KEPT {
            count.latencies.push(took);
        } else {
            count.latencies[count.next] = took;
        }
        count.next = (count.next + 1) % KEPT;
    }

    /// A call failed. `at` is the address that its text names.
    pub(super) fn failed(&mut self, at: Option<SocketAddr>, text: String) {
        match at {
            Some(at) => self.by_address.entry(at).or_default().failed += 1,
            None => self.unplaced += 1,
        }
        self.examples.entry(at).or_insert(text);
    }

    /// Calls answered by anyone.
    pub(super) fn all_answered(&self) -> u64 {
        self.by_address.values().map(|count| count.answered).sum()
    }

    /// Calls that failed in any way.
    pub(super) fn all_failed(&self) -> u64 {
        let placed: u64 = self.by_address.values().map(|count| count.failed).sum();
        placed + self.unplaced
    }
}

impl Count {
    /// The latency that this share of the last answers stayed within; `None` before the first.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last as f64 * share).round() as usize).copied()
    }
}

#[cfg(test)]
mod tests;
