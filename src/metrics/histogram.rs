//! Histograms in our own atomics.
//!
//! The exporter queues every sample until somebody drains it, some 35 ns each. Here a record is
//! two additions, and [`flush_all`] hands each bucket on as "so many of their average", which lands
//! in the same bucket and keeps the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::metrics::{Level, Metadata, Recorder as _};
use parking_lot::Mutex;

use super::names::{Kind, Metric};
use super::scope::key;

static METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

/// The longest time that is counted: some thousands of these fit a sum between two flushes.
pub const LONGEST: Duration = Duration::from_secs(1_000_000);

/// The histograms that may hold something; one that is held here alone is flushed and let go.
static CELLS: Mutex<Vec<Arc<Cells>>> = Mutex::new(Vec::new());

/// Times, counted per bucket. Handles of the same labels count into the same series.
pub struct Histogram {
    cells: Arc<Cells>,
}

pub(super) struct Cells {
    bounds: &'static [u64],
    /// One more than there are bounds: the last has none.
    buckets: Box<[Bucket]>,
    /// Per bucket, the nanoseconds that the last flush could not hand on, or handed on too early.
    carry: Mutex<Box<[i64]>>,
    sink: ::metrics::Histogram,
}

#[derive(Default)]
struct Bucket {
    nanos: AtomicU64,
    count: AtomicU64,
}

impl Histogram {
    pub(super) fn new(metric: &Metric, values: &[&str]) -> Self {
        let Kind::Histogram(bounds) = metric.kind else {
            unreachable!("{} is no histogram", metric.name)
        };
        let sink = super::recorder().register_histogram(&key(metric, values), &METADATA);
        let cells = Arc::new(Cells::new(bounds, sink));
        CELLS.lock().push(Arc::clone(&cells));
        Self { cells }
    }

    /// Counts one; about 10 ns. More than [`LONGEST`] counts as that.
    pub fn record(&self, duration: Duration) {
        self.cells.record(duration.min(LONGEST).as_nanos() as u64);
    }
}

impl Cells {
    fn new(bounds: &'static [u64], sink: ::metrics::Histogram) -> Self {
        let buckets = (0..=bounds.len()).map(|_| Bucket::default()).collect();
        let carry = Mutex::new(vec![0; bounds.len() + 1].into());
        Self {
            bounds,
            buckets,
            carry,
            sink,
        }
    }

    fn record(&self, nanos: u64) {
        let bucket = &self.buckets[self.bounds.partition_point(|&bound| bound < nanos)];
        // The sum first: a flush that sees the count has seen the sum.
        bucket.nanos.fetch_add(nanos, Ordering::Relaxed);
        bucket.count.fetch_add(1, Ordering::Release);
    }

    fn flush(&self) {
        let mut carry = self.carry.lock();
        for (index, carry) in carry.iter_mut().enumerate() {
            let bucket = &self.buckets[index];
            let count = bucket.count.swap(0, Ordering::Acquire);
            let nanos = bucket.nanos.swap(0, Ordering::Relaxed);
            let Some(average) = self.hand_on(index, count, nanos, carry) else {
                continue;
            };
            self.sink.record_many(
                average as f64 / 1e9,
                usize::try_from(count).unwrap_or(usize::MAX),
            );
        }
    }

    /// The value to hand on `count` times. A record half done, its sum here and its count in the
    /// next flush, must not move the average out of its bucket: what does not fit is carried.
    fn hand_on(&self, index: usize, count: u64, nanos: u64, carry: &mut i64) -> Option<u64> {
        let sum = nanos.saturating_add_signed(*carry);
        if count == 0 {
            *carry = carry.saturating_add_unsigned(nanos);
            return None;
        }
        let least = index
            .checked_sub(1)
            .map_or(0, |below| self.bounds[below] + 1);
        let most = self.bounds.get(index).copied().unwrap_or(u64::MAX);
        let average = (sum / count).clamp(least, most);
        let rest = i128::from(nanos) + i128::from(*carry) - i128::from(average) * i128::from(count);
        *carry = i64::try_from(rest).unwrap_or(0);
        Some(average)
    }
}

/// Hands on what every histogram has counted since the last time.
pub(super) fn flush_all() {
    CELLS.lock().retain(|cells| {
        // Asked before the flush: with nobody else left, nothing can come after it.
        let held = Arc::strong_count(cells) > 1;
        cells.flush();
        held
    });
}

#[cfg(test)]
mod tests;
