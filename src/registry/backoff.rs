//! How long to wait before the next try at a registry.

use std::time::Duration;

/// Doubles from `first` to `most`; each wait is jittered between a half and the whole of it, so that
/// a fleet does not come back in step.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Backoff {
            first,
            most,
            next: first,
        }
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}
