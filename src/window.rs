//! A sliding window of counts: how many calls there were of late, and how many of them were bad.
//!
//! The breaker reads its rate from one, the retry budget what was spent. A ring of buckets, each one an atomic word, so
//! that an add is one compare-and-swap and no call waits for another. A bucket knows which turn of the ring it was
//! filled in: one of an older turn is begun anew by the next add, so nothing has to be swept.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Bits of each count: four million calls in one bucket.
const COUNT: u32 = 22;
/// The most that a bucket counts of either.
const MOST: u32 = (1 << COUNT) - 1;
/// What is left of a bucket's word: the turn of the ring. A million turns of two seconds are 24 days, and only a bucket
/// that was left alone for exactly that long is taken for a fresh one.
const TURN_MASK: u64 = (1 << (64 - 2 * COUNT)) - 1;

/// Counts over the last `span`, to a bucket's width: what is up to one bucket younger than `span` has left it already.
#[derive(Debug)]
pub struct Window {
    epoch: Instant,
    /// Nanoseconds of one bucket.
    width: u64,
    buckets: Box<[AtomicU64]>,
}

/// What a bucket's word holds.
#[derive(Clone, Copy)]
struct Bucket {
    turn: u64,
    calls: u32,
    bad: u32,
}

impl Bucket {
    fn unpack(word: u64) -> Self {
        Self {
            turn: word >> (2 * COUNT),
            calls: (word >> COUNT) as u32 & MOST,
            bad: word as u32 & MOST,
        }
    }

    fn pack(self) -> u64 {
        self.turn << (2 * COUNT) | u64::from(self.calls) << COUNT | u64::from(self.bad)
    }

    /// This bucket with more in it, in this turn; `None` where it is ahead of that turn already.
    fn plus(self, turn: u64, calls: u32, bad: u32) -> Option<Self> {
        let is_ahead = self.turn == (turn + 1) & TURN_MASK && (self.calls, self.bad) != (0, 0);
        if is_ahead {
            return None;
        }
        let (old_calls, old_bad) = if self.turn == turn {
            (self.calls, self.bad)
        } else {
            (0, 0)
        };
        Some(Self {
            turn,
            calls: old_calls.saturating_add(calls).min(MOST),
            bad: old_bad.saturating_add(bad).min(MOST),
        })
    }
}

impl Window {
    /// An empty window of this span, in this many buckets (at least one). It begins now; what is added for an earlier
    /// instant counts as of now.
    pub fn new(span: Duration, buckets: usize) -> Self {
        let buckets = buckets.max(1);
        Self {
            epoch: Instant::now(),
            width: (nanos(span) / buckets as u64).max(1),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts calls, and bad ones, at `now`. Either stays at four million within one bucket; what comes so late that its
    /// bucket is in use again is not counted.
    #[inline]
    pub fn add(&self, now: Instant, calls: u32, bad: u32) {
        let (turn, index) = self.position(now);
        // Whatever another thread writes in between: the closure looks again.
        let _ = self.buckets[index].fetch_update(Relaxed, Relaxed, |word| {
            Bucket::unpack(word)
                .plus(turn, calls, bad)
                .map(Bucket::pack)
        });
    }

    /// Calls within the window as of `now`, and the bad ones.
    pub fn totals(&self, now: Instant) -> (u64, u64) {
        let (turn, index) = self.position(now);
        let before = turn.wrapping_sub(1) & TURN_MASK;
        let mut totals = (0, 0);
        for (i, word) in self.buckets.iter().enumerate() {
            let bucket = Bucket::unpack(word.load(Relaxed));
            // Those behind the current one were last filled in the turn before.
            if bucket.turn == if i <= index { turn } else { before } {
                totals.0 += u64::from(bucket.calls);
                totals.1 += u64::from(bucket.bad);
            }
        }
        totals
    }

    /// Forgets everything. What is added meanwhile may be forgotten, too.
    pub fn reset(&self) {
        for bucket in &self.buckets {
            bucket.fetch_and(TURN_MASK << (2 * COUNT), Relaxed);
        }
    }

    /// The turn of the ring at `now`, and the bucket.
    #[inline]
    fn position(&self, now: Instant) -> (u64, usize) {
        let tick = nanos(now.saturating_duration_since(self.epoch)) / self.width;
        let buckets = self.buckets.len() as u64;
        ((tick / buckets) & TURN_MASK, (tick % buckets) as usize)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
