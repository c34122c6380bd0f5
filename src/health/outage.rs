//! Down: an endpoint that cannot be connected to, or fails its health checks, and what it waits for.

use std::time::Duration;

use tokio::time::Instant;

use super::Missed;
use crate::outcome::{Charge, Outcome};

/// The first background connect after an endpoint went down.
const FIRST: Duration = Duration::from_millis(250);
/// What the wait doubles to in the first minute, and after it.
pub(super) const SOON: Duration = Duration::from_millis(800);
pub(super) const LATE: Duration = Duration::from_secs(5);
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How an outage was found, and so what ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A connect failed. A connect that succeeds ends it, and so does a check that passes.
    ByConnect,
    /// Checks failed in a row. Only checks end it: what hangs takes connections.
    ByCheck,
    /// Nothing has failed: it must pass a check before its first call. Its first pass ends it.
    Unchecked,
}

/// Why an endpoint is down, and what happens next.
#[derive(Clone, Debug)]
pub struct Outage {
    /// When it went down.
    pub since: Instant,
    /// How it was found.
    pub found: Found,
    /// Connects, or checks, that failed since; those in a row that it took included.
    pub failures: u32,
    /// How the last of them failed.
    pub outcome: Outcome,
    /// What the system said; for checks the whole sentence.
    pub detail: Box<str>,
    /// When that was.
    pub last: Instant,
    /// When the next background connect is due, or about when the next check.
    pub next: Instant,
    /// The last connect to it failed, that of a call or of a check.
    pub unreachable: bool,
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
            found: Found::ByConnect,
            failures,
            outcome,
            detail: detail.into(),
            last: now,
            next: now + wait.mul_f64(1.0 + jitter / 10.0),
            unreachable: true,
            wait,
        }
    }

    /// The outage of an endpoint that may get no call before its first check, which begins `now`.
    pub(super) fn unchecked(now: Instant) -> Self {
        Self {
            since: now,
            found: Found::Unchecked,
            failures: 0,
            outcome: Outcome::NoEndpoints,
            detail: "not checked yet".into(),
            last: now,
            next: now,
            unreachable: false,
            wait: FIRST,
        }
    }

    /// The outage after one more failed check; the next one comes at `next`.
    pub(super) fn after_check(
        before: Option<&Self>,
        failures: u32,
        missed: &Missed,
        now: Instant,
        next: Instant,
    ) -> Self {
        let times = match failures {
            1 => "once".to_owned(),
            n => format!("{n} times"),
        };
        Self {
            since: before.map_or(now, |outage| outage.since),
            found: before.map_or(Found::ByCheck, |outage| outage.found),
            failures,
            outcome: missed.outcome,
            detail: format!("health check failed {times}: {}", missed.detail).into(),
            last: now,
            next,
            unreachable: missed.outcome.row().endpoint == Charge::Down,
            wait: FIRST,
        }
    }

    /// The same outage, left to background connects, of which the first is due `now`.
    pub(super) fn left_to_connects(self, now: Instant) -> Self {
        Self {
            found: Found::ByConnect,
            next: now,
            ..self
        }
    }

    /// Nothing but its checks speaks against it: they fail, and connects work.
    pub fn is_by_checks_alone(&self) -> bool {
        self.found == Found::ByCheck && !self.unreachable
    }

    /// 250 ms, doubling to 800 ms for the first minute, then to 5 s.
    fn next_wait(&self, now: Instant) -> Duration {
        let young = now.saturating_duration_since(self.since) < PATIENCE;
        (self.wait * 2).min(if young { SOON } else { LATE })
    }
}
