//! An endpoint's state: up, or down after a connect failed. One state machine, told what happened, asked for the state.
//!
//! `down` is outside of any cap: nobody can use an endpoint that cannot be connected to. The way back is a background
//! connect; [`Health::next_connect`] says when the next one is due.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::outcome::Outcome;

#[cfg(test)]
mod tests;

/// The first background connect after an endpoint went down.
const FIRST: Duration = Duration::from_millis(250);
/// What the wait doubles to in the first minute, and after it.
const SOON: Duration = Duration::from_millis(800);
const LATE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// The state of one endpoint.
#[derive(Default)]
pub struct Health {
    down: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

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

impl Health {
    /// Whether calls may be sent to it.
    #[inline]
    pub fn is_up(&self) -> bool {
        !self.down.load(Relaxed)
    }

    /// The state's name, as metrics and `/services` show it.
    pub fn label(&self) -> &'static str {
        if self.is_up() { "up" } else { "down" }
    }

    /// Why it is down.
    pub fn outage(&self) -> Option<Outage> {
        self.outage.lock().clone()
    }

    /// A connect failed at `now`. True if the endpoint was up until then. `jitter` is between -1 and 1.
    pub fn connect_failed(
        &self,
        outcome: Outcome,
        detail: &str,
        now: Instant,
        jitter: f64,
    ) -> bool {
        let mut outage = self.outage.lock();
        let (since, failures, wait) = match &*outage {
            None => (now, 1, FIRST),
            Some(o) => (o.since, o.failures + 1, next_wait(o, now)),
        };
        *outage = Some(Outage {
            since,
            failures,
            outcome,
            detail: detail.into(),
            last: now,
            next: now + wait.mul_f64(1.0 + jitter / 10.0),
            wait,
        });
        !self.down.swap(true, Relaxed)
    }

    /// A connect succeeded. True if the endpoint was down until then.
    pub fn connected(&self) -> bool {
        if self.is_up() {
            return false;
        }
        self.outage.lock().take();
        self.down.swap(false, Relaxed)
    }

    /// When the next background connect is due; `None` while it is up.
    pub fn next_connect(&self) -> Option<Instant> {
        self.outage.lock().as_ref().map(|o| o.next)
    }
}

/// 250 ms, doubling to 800 ms for the first minute, then to 5 s.
fn next_wait(outage: &Outage, now: Instant) -> Duration {
    let most = if now.saturating_duration_since(outage.since) < PATIENCE {
        SOON
    } else {
        LATE
    };
    (outage.wait * 2).min(most)
}
