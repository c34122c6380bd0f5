//! Exactly one outcome per call, whatever ended it.

use tokio::time::Instant;

use super::upload::Upload;
use crate::listener::Door;
use crate::outcome::Outcome;
use crate::rpc::Request;

/// A call that reached a service has ended: `at` is when its answer's last byte went out.
#[inline]
pub(super) fn record(
    door: &Door,
    request: &Request,
    outcome: Outcome,
    at: Instant,
    reply_bytes: usize,
) {
    let target = &request.target;
    target.counters.count(outcome as usize, outcome.label());
    let took = at.saturating_duration_since(request.arrived);
    target.method.metrics.duration.record(took);
    let upstream = request.status.upstream();
    target.cluster.metrics.upstream.record(upstream);
    door.metrics.added.record(took.saturating_sub(upstream));
    let streamed = request.upload.as_ref().map_or(0, Upload::bytes);
    target
        .cluster
        .metrics
        .request_bytes
        .add(request.frame.len() as u64 + streamed);
    target.cluster.metrics.reply_bytes.add(reply_bytes as u64);
}

/// A call that ended before it had a service.
#[cold]
pub(super) fn record_unrouted(door: &Door, outcome: Outcome) {
    door.unrouted.count(outcome as usize, outcome.label());
}
