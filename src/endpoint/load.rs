//! Peak EWMA of an endpoint's latency: rises at once, decays over ten seconds (Finagle's and linkerd's rule, `decay`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Over this time a latency counts for 1/e.
const DECAY_NANOS: f64 = 10e9;
/// No latency counts as less: so that calls in flight always tell.
const LEAST_NANOS: f64 = 10_000.0;

/// The latency of one endpoint, read by every pick and written by every try, without a lock.
#[derive(Default)]
pub struct Load {
    /// Nanoseconds, as the bits of an `f64`; 0 is "nothing known".
    latency: AtomicU64,
    stamp: AtomicU64,
    answered: AtomicU64,
}

impl Load {
    /// A try took this long.
    #[inline]
    pub fn observe(&self, took: Duration, at: Instant) {
        let (took, now) = (took.as_nanos() as f64, stamp(at));
        let last = self.stamp.swap(now, Relaxed);
        let old = f64::from_bits(self.latency.load(Relaxed));
        let new = if took >= old {
            took
        } else {
            took + (old - took) * decay(now, last)
        };
        self.latency.store(new.max(LEAST_NANOS).to_bits(), Relaxed);
    }

    /// What was observed says nothing any more: it counts as fast as the others until it has answered.
    pub fn forget(&self) {
        self.latency.store(0, Relaxed);
    }

    /// It answered a try, whenever that was sent.
    #[inline]
    pub fn answered(&self, at: Instant) {
        self.answered.store(stamp(at), Relaxed);
    }

    /// When it last answered a try; `None`: never.
    pub fn last_answer(&self) -> Option<Instant> {
        match self.answered.load(Relaxed) {
            0 => None,
            nanos => Some(base(Instant::now) + Duration::from_nanos(nanos)),
        }
    }

    /// The latency at `now`, in nanoseconds, or `None` before the first try.
    #[inline]
    pub fn latency(&self, now: u64) -> Option<f64> {
        let latency = f64::from_bits(self.latency.load(Relaxed));
        (latency > 0.0).then(|| (latency * decay(now, self.stamp.load(Relaxed))).max(LEAST_NANOS))
    }
}

/// `e^(-t/10 s)`; a straight line while that is as good.
#[inline]
fn decay(now: u64, then: u64) -> f64 {
    let x = now.saturating_sub(then) as f64 / DECAY_NANOS;
    if x < 0.01 { 1.0 - x } else { (-x).exp() }
}

/// Nanoseconds since an instant that stays the same.
#[inline]
pub(super) fn stamp(at: Instant) -> u64 {
    let since = at.saturating_duration_since(base(|| at));
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An hour before the first instant that anybody asked for: what came before that one has a stamp, too.
#[inline]
fn base(first: impl FnOnce() -> Instant) -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(|| {
        let first = first();
        let before = first.checked_sub(Duration::from_secs(3_600));
        before.unwrap_or(first)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peak_counts_at_once_and_fades_over_ten_seconds() {
        let (load, start) = (Load::default(), Instant::now());
        stamp(start);
        assert!(load.latency(stamp(start)).is_none());
        load.observe(Duration::from_millis(1), start);
        load.observe(Duration::from_millis(200), start);
        assert_eq!(load.latency(stamp(start)).unwrap(), 200e6);
        let later = load
            .latency(stamp(start + Duration::from_secs(10)))
            .unwrap();
        assert!((later / 200e6 - (-1f64).exp()).abs() < 0.01, "{later}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_faster_reply_pulls_the_latency_down_by_the_time_that_passed() {
        let (load, start) = (Load::default(), Instant::now());
        stamp(start);
        load.observe(Duration::from_millis(100), start);
        load.observe(Duration::from_millis(1), start);
        assert!(load.latency(stamp(start)).unwrap() > 99e6);
        let later = start + Duration::from_secs(100);
        load.observe(Duration::from_millis(1), later);
        assert!(load.latency(stamp(later)).unwrap() < 1.1e6);
    }
}
