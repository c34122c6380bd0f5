//! Down: an endpoint that cannot be connected to, and when it is dialled again.

use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::Outcome;

/// The first background connect after an endpoint went down.
const FIRST: Duration = Duration::from_millis(250);
/// What the wait doubles to in the first minute, and after it.
pub(super) const SOON: Duration = Duration::from_millis(800);
pub(super) const LATE: Duration = Duration::from_secs(5);
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Why an endpoint is down, and what happens next.
#[derive(Clone, Debug)]
pub struct Outage {
    /// When it went down.
    pub since: Instant,
    /// Connects that failed since, the first included.
    pub failures: u32,
    /// How the last connect failed.
    pub outcome: Outcome,
    /// What the system said.
    pub detail: Box<str>,
    /// When that was.
    pub last: Instant,
    /// When the next background connect is due.
    pub next: Instant,
    wait: Duration,
}

impl Outage {
    /// The outage after one more failed connect. `jitter` is between -1 and 1.
    pub(super) fn after(
        before: Option<&Self>,
        outcome: Outcome,
        detail: &str,
        now: Instant,
        jitter: f64,
    ) -> Self {
        let (since, failures, wait) = match before {
            None => (now, 1, FIRST),
            Some(o) => (o.since, o.failures + 1, o.next_wait(now)),
        };
        Self {
            since,
            failures,
            outcome,
            detail: detail.into(),
            last: now,
            next: now + wait.mul_f64(1.0 + jitter / 10.0),
            wait,
        }
    }

    /// 250 ms, doubling to 800 ms for the first minute, then to 5 s.
    fn next_wait(&self, now: Instant) -> Duration {
        let young = now.saturating_duration_since(self.since) < PATIENCE;
        (self.wait * 2).min(if young { SOON } else { LATE })
    }
}
