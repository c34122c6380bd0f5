//! What is counted per call.

use std::sync::{Arc, OnceLock};

use super::Histogram;
use super::names;
use super::scope::{Counter, Scope};

/// How many outcomes there may be: the size of the table of handles.
pub const OUTCOMES: usize = 32;

/// Counters by outcome. The table is made at the first count, each handle at its own first, so that
/// an endpoint that is never picked costs nothing.
#[derive(Default)]
pub(super) struct ByOutcome(OnceLock<Box<[OnceLock<Counter>; OUTCOMES]>>);

impl ByOutcome {
    /// Counts one; an index beyond the table is a mistake of ours, and counted nowhere.
    pub(super) fn count(&self, index: usize, resolve: impl FnOnce() -> Counter) {
        debug_assert!(index < OUTCOMES, "outcome {index} of {OUTCOMES}");
        if let Some(slot) = self.0.get_or_init(Box::default).get(index) {
            slot.get_or_init(resolve).inc();
        }
    }
}

/// Calls by outcome, for one listener, service and method.
pub struct CallCounters {
    labels: [Box<str>; 3],
    scope: Arc<Scope>,
    outcomes: ByOutcome,
}

impl CallCounters {
    /// Prepares the counters; `service` is `none` for calls that have none yet.
    pub fn new(listener: &str, service: &str, method: &str) -> Self {
        let labels = [listener.into(), service.into(), method.into()];
        Self {
            labels,
            scope: Scope::new(),
            outcomes: ByOutcome::default(),
        }
    }

    /// A call ended. `outcome` is its outcome's number, below [`OUTCOMES`], and `label` its name.
    pub fn count(&self, outcome: usize, label: &'static str) {
        self.outcomes.count(outcome, || {
            let [listener, service, method] = &self.labels;
            self.scope
                .counter(&names::CALLS, &[listener, service, method, label])
        });
    }
}

/// What is counted per method of a service.
pub struct MethodMetrics {
    /// A call, from its frame's first byte in to its reply's last byte out.
    pub duration: Histogram,
}

impl MethodMetrics {
    /// Resolves the handles of one method; how many there may be is the caller's to bound.
    pub fn new(service: &str, method: &str) -> Self {
        Self {
            duration: Histogram::new(&names::CALL_DURATION, &[service, method]),
        }
    }
}
