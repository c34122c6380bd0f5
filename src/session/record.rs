//! Exactly one outcome per call, whatever ended it; the flight recorder keeps those that failed or were slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::upload::Upload;
use crate::frame::Head;
use crate::listener::Door;
use crate::outcome::{End, Failed, Outcome};
use crate::recorder::{Entry, Mark, Said, Tries, short};
use crate::rpc::Request;
use crate::stack::deadline;

/// How a call ended.
pub(super) struct Ended {
    /// What ended it.
    pub(super) outcome: Outcome,
    /// When its answer's last byte went out.
    pub(super) at: Instant,
    /// Bytes of its answer.
    pub(super) reply_bytes: usize,
    /// Why it has no reply of an instance's.
    pub(super) failed: Option<Failed>,
}

impl Ended {
    /// With an instance's reply, or none.
    #[inline]
    pub(super) fn new(outcome: Outcome, at: Instant, reply_bytes: usize) -> Self {
        Self {
            outcome,
            at,
            reply_bytes,
            failed: None,
        }
    }

    /// With an answer of tidegate's, or none.
    pub(super) fn failed(failed: Failed, reply_bytes: usize) -> Self {
        let End { outcome, at } = failed.end();
        Self {
            failed: Some(failed),
            ..Self::new(outcome, at, reply_bytes)
        }
    }
}

/// A call that reached a service has ended.
#[inline]
pub(super) fn record(door: &Door, request: &Arc<Request>, ended: Ended) {
    let target = &request.target;
    let outcome = ended.outcome;
    target.counters.count(outcome as usize, outcome.label());
    let took = ended.at.saturating_duration_since(request.arrived);
    target.method.metrics.duration.record(took);
    let upstream = request.status.upstream();
    target.cluster.metrics.upstream.record(upstream);
    door.metrics.added.record(took.saturating_sub(upstream));
    let streamed = request.upload.as_ref().map_or(0, Upload::bytes);
    let request_bytes = request.frame.len() as u64 + streamed;
    target.cluster.metrics.request_bytes.add(request_bytes);
    let reply_bytes = ended.reply_bytes as u64;
    target.cluster.metrics.reply_bytes.add(reply_bytes);
    if outcome.is_failure() {
        keep_failed(door, request, ended, took, request_bytes);
    } else if target.cluster.recorder.is_slow(took) {
        let entry = kept(door, request, ended, took, request_bytes);
        target.cluster.recorder.keep(entry);
    }
}

/// For `/calls`. What a limit turns away comes by the thousand: most of that is not even made an entry of.
#[cold]
fn keep_failed(
    door: &Door,
    request: &Arc<Request>,
    ended: Ended,
    took: Duration,
    request_bytes: u64,
) {
    let recorder = &request.target.cluster.recorder;
    if request.status.tries() > 0 || request.status.timeline().has_tries() {
        recorder.keep(kept(door, request, ended, took, request_bytes));
    } else if recorder.takes_untried(ended.outcome, ended.at) {
        recorder.keep_untried(kept(door, request, ended, took, request_bytes));
    }
}

/// For `/calls`.
#[cold]
fn kept(
    door: &Door,
    request: &Arc<Request>,
    ended: Ended,
    took: Duration,
    request_bytes: u64,
) -> Entry {
    let (target, status) = (&request.target, &request.status);
    let cluster = &target.cluster;
    // Asked only where the caller was slow to take its answer, or left meanwhile: a slow try says itself by whom.
    let name = || {
        let set = cluster.set();
        let mut all = set.all.iter().map(|it| &it.endpoint);
        let touched = all.find(|it| it.id == status.touched())?;
        Some(touched.name.clone())
    };
    let sent = status.is_sent();
    let tries = status
        .timeline()
        .tries(ended.outcome, took, status.tries(), sent, name);
    let tries = match request.head.expects_reply() {
        true => tries,
        false => tries.oneway(),
    };
    let method = match target.method.own {
        true => target.method.name.clone(),
        false => short(&request.head.method(&request.frame)).into(),
    };
    Entry {
        head: Some(said(&request.head, method, None)),
        deadline: deadline::limit(request),
        complete: status.timeline().complete(),
        bytes: (request_bytes, ended.reply_bytes as u64),
        tries,
        ..entry(
            door,
            request.source,
            ended.outcome,
            ended.failed,
            ended.at,
            took,
        )
    }
}

fn said(head: &Head, method: Arc<str>, service: Option<&str>) -> Said {
    Said {
        method,
        service: service.map(|it| short(it).into()),
        seqid: head.seqid,
        framing: head.framing.label(),
    }
}

/// A call of which no more is known than how it ended.
fn entry(
    door: &Door,
    caller: Option<SocketAddr>,
    outcome: Outcome,
    failed: Option<Failed>,
    at: Instant,
    total: Duration,
) -> Entry {
    let past = total + at.elapsed();
    let now = SystemTime::now();
    Entry {
        when: now.checked_sub(past).unwrap_or(now),
        ended: at,
        total,
        listener: door.name.clone(),
        caller,
        head: None,
        outcome,
        failed,
        deadline: None,
        bytes: (0, 0),
        complete: Mark::NONE,
        tries: Tries::default(),
    }
}

/// A call that ended before it had a service.
pub(super) struct Unrouted<'a> {
    /// Its head and frame, where they were read.
    pub(super) call: Option<(&'a Head, &'a [u8])>,
    /// Whom it comes from.
    pub(super) caller: Option<SocketAddr>,
    /// When its first byte came in, where that is known.
    pub(super) arrived: Option<Instant>,
    /// Why it has none.
    pub(super) failed: Option<Failed>,
}

/// A call has ended before it had a service.
#[cold]
pub(super) fn record_unrouted(door: &Door, outcome: Outcome, unrouted: Unrouted<'_>) {
    door.unrouted.count(outcome as usize, outcome.label());
    let now = Instant::now();
    let at = unrouted.failed.as_ref().map_or(now, |failed| failed.at);
    let arrived = unrouted.arrived.unwrap_or(at);
    let total = at.saturating_duration_since(arrived);
    let head = unrouted.call.map(|(head, frame)| {
        let method = short(&head.method(frame)).into();
        said(head, method, head.to_service(frame))
    });
    let len = unrouted.call.map_or(0, |(_, frame)| frame.len());
    door.routes.unrouted.keep(Entry {
        head,
        bytes: (len as u64, 0),
        ..entry(door, unrouted.caller, outcome, unrouted.failed, at, total)
    });
}
