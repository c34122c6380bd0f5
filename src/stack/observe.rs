//! The endpoint learns how each try went: its load, its health, its series.

use std::sync::Arc;

use tokio::time::Instant;

use super::gate::{Gate, Settle};
use crate::call::{Call, Shared, Try};
use crate::endpoint::Endpoint;
use crate::outcome::{Charge, End, Failed};

/// See the module.
#[derive(Clone, Copy)]
pub struct Observe;

/// A try that runs.
pub struct Observing<S: Shared> {
    endpoint: Arc<Endpoint>,
    shared: S,
    began: Instant,
}

impl<C: Call> Gate<Try<C>> for Observe {
    type Guard = Observing<C::Shared>;

    #[inline]
    fn enter(&self, call: &Try<C>) -> Result<Self::Guard, Failed> {
        Ok(Observing {
            endpoint: call.endpoint.clone(),
            shared: call.shared().clone(),
            began: call.course().now,
        })
    }
}

impl<S: Shared> Settle for Observing<S> {
    #[inline]
    fn settle(self, end: End) {
        let took = end.at.saturating_duration_since(self.began);
        let target = self.shared.target();
        let charge = end.outcome.row().endpoint;
        match charge {
            Charge::Success | Charge::Exception => {
                self.endpoint.load.observe(took, end.at);
                self.endpoint.load.answered(end.at);
                target.method.replied(took);
            }
            // An overdue try charges the time that it took; a quick failure must not look like a quick reply.
            Charge::Timeout => self.endpoint.load.observe(took, end.at),
            Charge::Failure | Charge::Down | Charge::Nothing => {}
        }
        let rules = &target.service.ejection;
        target
            .cluster
            .observe(&self.endpoint, charge, rules, end.at);
        self.endpoint
            .metrics
            .tried(end.outcome as usize, end.outcome.label());
        self.shared.status().add_upstream(took);
        self.mark(end);
    }

    fn sign(&self, failed: Failed) -> Failed {
        let failed = failed.to(self.endpoint.id, &self.endpoint.name);
        let cluster = &self.shared.target().cluster;
        cluster.diagnose(&self.endpoint, failed, self.began)
    }
}

impl<S: Shared> Observing<S> {
    /// For the flight recorder.
    #[inline]
    fn mark(&self, end: End) {
        let (shared, endpoint) = (&self.shared, &self.endpoint);
        let (target, timeline) = (shared.target(), shared.status().timeline());
        let since = end.at.saturating_duration_since(shared.arrived());
        // A reply for which the policy tries again is no end of the call either.
        if end.outcome.is_failure() || target.policy.retry_on.contains(end.outcome) {
            let sent = shared.status().is_sent();
            return timeline.failed(&endpoint.name, end.outcome, since, sent);
        }
        timeline.answered(end.outcome, since);
        if endpoint.is_removed() || target.cluster.recorder.is_slow(since) {
            timeline.answered_by(&endpoint.name);
        }
    }
}
