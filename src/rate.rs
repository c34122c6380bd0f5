//! `rate_limit`: so many calls a second, and so many at once: a token bucket for a service's calls, or for a method's.
//!
//! The bucket is `governor`'s: one atomic word, and one compare-and-swap per call. Only a limit that is set has one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RateLimit;

#[cfg(test)]
mod tests;

type Bucket = RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Duration>>;

/// A limit that is set, and its tokens.
pub struct Rate {
    limit: RateLimit,
    bucket: Bucket,
}

impl Rate {
    /// A full bucket; `None` where there is no limit.
    fn new(limit: RateLimit) -> Option<Arc<Self>> {
        let per_second = NonZeroU32::new(limit.per_second)?;
        let burst = NonZeroU32::new(limit.burst).unwrap_or(per_second);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let bucket = Bucket::direct_with_clock(quota, Time(Instant::now()));
        Some(Arc::new(Self { limit, bucket }))
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// There is none: the next one is there after so long.
    #[inline]
    pub fn take(&self) -> Result<(), Duration> {
        let refused = self.bucket.check();
        refused.map_err(|next| next.wait_time_from(self.bucket.clock().now()))
    }

    /// Calls per second.
    pub fn per_second(&self) -> u32 {
        self.limit.per_second
    }
}

/// The buckets that a call takes a token of, one each.
#[derive(Default)]
pub struct Rates {
    /// The method's own.
    pub method: Option<Arc<Rate>>,
    /// The service's.
    pub service: Option<Arc<Rate>>,
}

/// Why a call is refused.
pub struct TooMany<'a> {
    /// The bucket that is empty.
    pub rate: &'a Rate,
    /// Whether it is the method's own, not the service's.
    pub of_method: bool,
    /// When there is a token again.
    pub next: Duration,
}

impl Rates {
    /// Takes a token of each: of the method's first, since calls over that are no reason to refuse those of others.
    ///
    /// # Errors
    ///
    /// One of them is empty.
    #[inline]
    pub fn take(&self) -> Result<(), TooMany<'_>> {
        for (rate, of_method) in [(&self.method, true), (&self.service, false)] {
            if let Some(rate) = rate {
                rate.take().map_err(|next| TooMany {
                    rate,
                    of_method,
                    next,
                })?;
            }
        }
        Ok(())
    }
}

/// tokio's time, as the time since a bucket was made.
#[derive(Clone)]
struct Time(Instant);

impl Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Where a service or a method keeps its limit: over a reload it stays as full as it is, while the limit is the same.
#[derive(Default)]
pub struct RateSlot(Mutex<Option<Arc<Rate>>>);

impl RateSlot {
    /// The bucket of this limit; `None` where it is none.
    pub fn of(&self, limit: RateLimit) -> Option<Arc<Rate>> {
        let mut slot = self.0.lock();
        if slot.as_ref().is_none_or(|rate| rate.limit != limit) {
            *slot = Rate::new(limit);
        }
        slot.clone()
    }
}
