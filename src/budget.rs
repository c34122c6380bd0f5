//! The retry budget of a service: how many of its calls may be sent again, of those of late (Finagle's `RetryBudget`).
//!
//! Every call deposits, every resend of a call of which bytes were written withdraws. What is left at an instant is
//!
//! ```text
//! percent of the calls of the last 10 s  +  10 × min_per_second  −  resends of the last 10 s
//! ```
//!
//! so that whenever a call is sent again, the resends of the ten seconds up to then are at most so many, however many
//! threads carry calls: retries cannot feed on the failures that they cause.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RetryBudget;
use crate::window::Window;

#[cfg(test)]
mod tests;

/// What is counted over, in seconds.
const SECONDS: u64 = 10;
/// Buckets of it.
const BUCKETS: usize = 20;

/// How a budget stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls of the last ten seconds.
    pub calls: u64,
    /// Resends among the last ten seconds' tries.
    pub resends: u64,
    /// Whole resends that are left.
    pub tokens: u64,
}

/// See the module. A reload changes its percentages in place: they come with each question.
pub struct Budget {
    calls: Window,
    /// One bucket longer, so that no resend is forgotten while it is less than ten seconds old, though the windows'
    /// edges are a bucket wide.
    resends: Mutex<Window>,
}

impl Default for Budget {
    fn default() -> Self {
        let width = Duration::from_secs(SECONDS) / BUCKETS as u32;
        Self {
            calls: Window::new(width * BUCKETS as u32, BUCKETS),
            resends: Mutex::new(Window::new(width * (BUCKETS as u32 + 1), BUCKETS + 1)),
        }
    }
}

impl Budget {
    /// A call was let in.
    #[inline]
    pub fn deposit(&self, now: Instant) {
        self.calls.add(now, 1, 0);
    }

    /// Takes what one resend costs; false if that is not there.
    pub fn withdraw(&self, now: Instant, policy: RetryBudget) -> bool {
        // Under a lock, which calls that are not sent again never see: two threads must not spend the same token.
        let resends = self.resends.lock();
        let enough = self.left(&resends, now, policy) >= 100;
        if enough {
            resends.add(now, 1, 0);
        }
        enough
    }

    /// Whole resends that are left.
    pub fn tokens(&self, now: Instant, policy: RetryBudget) -> u64 {
        self.left(&self.resends.lock(), now, policy) / 100
    }

    /// The numbers behind it.
    pub fn standing(&self, now: Instant, policy: RetryBudget) -> Standing {
        let resends = self.resends.lock();
        Standing {
            calls: self.calls.totals(now).0,
            resends: resends.totals(now).0,
            tokens: self.left(&resends, now, policy) / 100,
        }
    }

    /// What is there without any call.
    pub fn least(policy: RetryBudget) -> u64 {
        u64::from(policy.min_per_second) * SECONDS
    }

    /// Hundredths of a resend that are left.
    fn left(&self, resends: &Window, now: Instant, policy: RetryBudget) -> u64 {
        let (calls, _) = self.calls.totals(now);
        let (spent, _) = resends.totals(now);
        let earned = calls * u64::from(policy.percent) + Self::least(policy) * 100;
        earned.saturating_sub(spent * 100)
    }
}
