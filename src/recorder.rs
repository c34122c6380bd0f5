//! The flight recorder: what became of the calls that failed last, and of the slowest ones.
//!
//! Each service keeps its last [`MOST`] failed calls, and the [`MOST`] slowest of the last ten minutes that did not fail;
//! calls that had no service are kept together. Of the calls that failed before a try was begun, as those do that a limit
//! or a breaker turns away, it keeps the last [`UNTRIED`] beside the others, one of each outcome in 100 ms at most: they
//! may come by the thousand. `GET /calls` shows them, each with its [`Timeline`].
//!
//! An ordinary call pays for this with a few marks and two comparisons, some 12 ns (`marks` of `cargo bench --bench
//! stack`). An [`Entry`] takes about 350 bytes, one that
//! failed and was tried many times up to 2 KiB, so a service's never more than 450 KiB. Nothing of what a call carried
//! is among it.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

mod entry;
#[cfg(test)]
mod tests;
mod timeline;

use crate::outcome::Outcome;
pub use entry::{Entry, Said, short};
pub use timeline::{Mark, Marks, PastTry, Timeline, Tries};

/// Calls kept of each kind.
pub const MOST: usize = 100;
/// Failed calls kept that were never tried.
pub const UNTRIED: usize = 20;
/// Of those one of each outcome is kept in so long a time.
const UNTRIED_EVERY: Duration = Duration::from_millis(100);
/// For how long a call may be among the slowest.
const SLOW_FOR: Duration = Duration::from_secs(600);

/// Which calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Those that failed last.
    Failed,
    /// The slowest of the last ten minutes.
    Slowest,
}

/// Which calls a person wants to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of which service; `None`: of all.
    pub service: Option<String>,
    /// Of which kind; `None`: of both.
    pub kind: Option<Kind>,
    /// At most so many of each kind and service.
    pub limit: usize,
}

/// The calls of one service that are worth a look.
#[derive(Default)]
pub struct Recorder {
    /// A call that took longer, in nanoseconds, is among the slowest.
    threshold: AtomicU64,
    failed: Mutex<VecDeque<Entry>>,
    untried: Mutex<Untried>,
    slowest: Mutex<Slowest>,
}

#[derive(Default)]
struct Untried {
    calls: VecDeque<Entry>,
    /// When a call of each outcome was taken last.
    taken: [Option<Instant>; Outcome::ALL.len()],
}

#[derive(Default)]
struct Slowest {
    /// The quickest first.
    calls: BinaryHeap<Slow>,
    /// Nothing among them ended earlier.
    oldest: Option<Instant>,
}

struct Slow(Entry);

impl Recorder {
    /// Whether a call that took so long is among the slowest.
    #[inline]
    pub fn is_slow(&self, took: Duration) -> bool {
        nanos(took) > self.threshold.load(Relaxed)
    }

    /// Keeps a call that failed, or was slow, or both.
    pub fn keep(&self, entry: Entry) {
        let entry = entry.bounded();
        let evicted = match entry.outcome.is_failure() {
            true => push(&mut self.failed.lock(), MOST, entry),
            false if self.is_slow(entry.total) => self.keep_slow(entry),
            false => None,
        };
        drop(evicted);
    }

    /// Whether a call that ended so before a try was begun is one to keep: then the next ones are not, for a while.
    pub fn takes_untried(&self, outcome: Outcome, now: Instant) -> bool {
        let mut untried = self.untried.lock();
        let Some(taken) = untried.taken.get_mut(outcome as usize) else {
            return false;
        };
        let since = |at: Instant| now.saturating_duration_since(at);
        let takes = taken.is_none_or(|at| since(at) >= UNTRIED_EVERY);
        if takes {
            *taken = Some(now);
        }
        takes
    }

    /// Keeps a call that failed before a try was begun.
    pub fn keep_untried(&self, entry: Entry) {
        let entry = entry.bounded();
        let evicted = push(&mut self.untried.lock().calls, UNTRIED, entry);
        drop(evicted);
    }

    /// The call whose place it takes.
    fn keep_slow(&self, entry: Entry) -> Option<Entry> {
        let mut slowest = self.slowest.lock();
        slowest.oldest.get_or_insert(entry.ended);
        let slow = Slow(entry);
        let evicted = if slowest.calls.len() < MOST {
            slowest.calls.push(slow);
            None
        } else {
            let quickest = slowest.calls.peek_mut();
            let quickest = quickest.filter(|it| it.0.total < slow.0.total);
            quickest.map(|mut quickest| std::mem::replace(&mut *quickest, slow).0)
        };
        self.set_threshold(&slowest);
        evicted
    }

    fn set_threshold(&self, slowest: &Slowest) {
        let quickest = slowest.calls.peek().filter(|_| slowest.calls.len() >= MOST);
        let threshold = quickest.map_or(0, |it| nanos(it.0.total));
        self.threshold.store(threshold, Relaxed);
    }

    /// Lets go of slow calls that are too old. On the control thread.
    pub fn upkeep(&self, now: Instant) {
        let is_old = |ended: Instant| now.saturating_duration_since(ended) >= SLOW_FOR;
        let mut slowest = self.slowest.lock();
        if !slowest.oldest.is_some_and(is_old) {
            return;
        }
        slowest.calls.retain(|it| !is_old(it.0.ended));
        slowest.oldest = slowest.calls.iter().map(|it| it.0.ended).min();
        self.set_threshold(&slowest);
    }

    /// The calls of a kind: the newest failed ones first, the slowest first.
    pub fn calls(&self, kind: Kind, limit: usize) -> Vec<Entry> {
        match kind {
            Kind::Failed => {
                let newest = |calls: &VecDeque<Entry>| -> Vec<Entry> {
                    calls.iter().rev().take(limit).cloned().collect()
                };
                let mut calls = newest(&self.failed.lock());
                let untried = newest(&self.untried.lock().calls);
                if !untried.is_empty() {
                    calls.extend(untried);
                    calls.sort_by_key(|it| std::cmp::Reverse(it.ended));
                    calls.truncate(limit);
                }
                calls
            }
            Kind::Slowest => {
                let slowest = self.slowest.lock();
                let mut calls: Vec<Entry> = slowest.calls.iter().map(|it| it.0.clone()).collect();
                drop(slowest);
                calls.sort_by_key(|it| std::cmp::Reverse(it.total));
                calls.truncate(limit);
                calls
            }
        }
    }
}

/// Adds the newest; the oldest, where that has to go, is the caller's to drop, without the lock.
fn push(calls: &mut VecDeque<Entry>, most: usize, entry: Entry) -> Option<Entry> {
    let evicted = (calls.len() >= most).then(|| calls.pop_front()).flatten();
    calls.push_back(entry);
    evicted
}

impl Ord for Slow {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total.cmp(&self.0.total)
    }
}

impl PartialOrd for Slow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Slow {
    fn eq(&self, other: &Self) -> bool {
        self.0.total == other.0.total
    }
}

impl Eq for Slow {}

fn nanos(span: Duration) -> u64 {
    span.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(span.subsec_nanos()))
}
