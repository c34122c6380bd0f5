//! The rare part of balancing: waiting for a place, for the registry, for a connect.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::dialled::{DialLog, DialResult, Dialled};
use super::rescue::{all_down, rescue};
use super::{attach, pooled};
use crate::call::{Call, Shared, Target, Tried, Try};
use crate::cluster::Knowledge;
use crate::endpoint::{LineId, Pick, Place, Waiting};
use crate::outcome::{Failed, Limit, Outcome, Phase, Reach};
use crate::stack::deadline;
use crate::upstream::Conn;
use crate::upstream::connect::connect;

/// How long a call waits for the first read of its service.
const FIRST_READ: Duration = Duration::from_secs(1);
/// A far instant, for "no limit": a wait is always bounded by something.
const LONG: Duration = Duration::from_secs(3_600);

/// Finds an endpoint with a place for the call, and a connection to it.
///
/// # Errors
///
/// `overloaded`, `no_endpoints`, `unknown_service`, a `connect_…` outcome, or `deadline`.
pub async fn find<C: Call>(mut call: C, place: Option<Place>) -> Result<Try<C>, Failed> {
    let began = call.course().now;
    let mut place = place;
    let mut read = false;
    loop {
        let picked = match place.take() {
            Some(place) => Pick::One(place),
            // Whoever waits for a place comes first.
            None => queue(&call).map_or_else(|| pick(&call), Pick::Full),
        };
        let picked = match picked {
            Pick::Full(line) => wait_for_place(&call, line).await?,
            found => found,
        };
        match picked {
            Pick::One(place) => return at(call, place, began).await,
            Pick::Full(_) => {}
            Pick::Nothing if !read => {
                wait_for_registry(&call).await?;
                read = true;
            }
            Pick::Nothing => match rescue(&call).await? {
                Some(dialled) => return Ok(dialled.start(call)),
                None => call.course_mut().now = Instant::now(),
            },
        }
    }
}

/// The line in which others wait already for what this call would get. (Those that wait for a connect while all is down
/// are no queue.)
fn queue<C: Call>(call: &C) -> Option<LineId> {
    let cluster = &call.shared().target().cluster;
    if cluster.waiters.count.load(Relaxed) == 0 {
        return None;
    }
    let line = cluster.set().line(call.shared())?;
    cluster.waiters.has_line(line).then_some(line)
}

fn pick<C: Call>(call: &C) -> Pick {
    let (shared, course) = (call.shared(), call.course());
    let target = shared.target();
    if let Some(place) = target.chosen(&course.tried) {
        return Pick::One(place);
    }
    let limit = target.service.max_endpoint_calls;
    let set = target.cluster.set();
    set.pick(shared, &course.tried, limit, course.now)
}

/// A connection for a call that has its place.
async fn at<C: Call>(call: C, place: Place, began: Instant) -> Result<Try<C>, Failed> {
    let (shared, course) = (call.shared(), call.course());
    if !course.fresh
        && shared.expects_reply()
        && let Some(conn) = pooled(shared.target(), &place, course.now)
    {
        return Ok(started(call, place, conn, began));
    }
    let began = Instant::now();
    let dialled = dial(&call, place).await?;
    call.shared().status().add_upstream(began.elapsed());
    Ok(dialled.start(call))
}

/// The try begins now, not when the wait began.
pub(super) fn started<C: Call>(
    mut call: C,
    place: Place,
    conn: Box<Conn>,
    began: Instant,
) -> Try<C> {
    call.course_mut().now = Instant::now().max(began);
    attach(call, place, conn)
}

/// By when the call must be answered, as an instant that always exists.
pub(super) fn until<C: Call>(call: &C) -> Instant {
    call.course().until.unwrap_or_else(|| Instant::now() + LONG)
}

/// The call's time ran out in this phase.
pub(super) fn too_late<C: Call>(call: &C, phase: Phase, what: &str) -> Failed {
    let now = Instant::now();
    let shared = call.shared();
    let limit = deadline::limit(shared).unwrap_or(Limit::Time("deadline", Duration::ZERO));
    let spent = now.saturating_duration_since(shared.arrived());
    Failed::new(Outcome::Deadline, now)
        .during(phase, Reach::Unwritten)
        .limit(limit, spent)
        .because(what)
}

/// Waits in line while every place is taken; those who wait already have theirs first. Never `Full`.
async fn wait_for_place<C: Call>(call: &C, line: LineId) -> Result<Pick, Failed> {
    let mut line = line;
    loop {
        let waiting = enter(call, line)?;
        match wait_in(call, &waiting).await? {
            // What it may have has changed: what it waits for now has a line of its own.
            Pick::Full(other) => line = other,
            found => return Ok(found),
        }
    }
}

/// Waits in this line for as long as it is the right one.
async fn wait_in<C: Call>(call: &C, waiting: &Waiting<'_>) -> Result<Pick, Failed> {
    let line = waiting.line_up();
    loop {
        if timeout_at(until(call), line.turn()).await.is_err() {
            let why = "every endpoint's places are taken";
            return Err(too_late(call, Phase::Queue, why));
        }
        match pick(call) {
            Pick::Full(id) if id == waiting.id() => {}
            found => return Ok(found),
        }
    }
}

/// Waits for what this line waits for, if not too many do.
pub(super) fn enter<C: Call>(call: &C, line: LineId) -> Result<Waiting<'_>, Failed> {
    let target = call.shared().target();
    let (cluster, limit) = (&target.cluster, target.service.max_waiting);
    cluster.waiters.enter(line, limit).ok_or_else(|| {
        cluster.metrics.refused("waiting");
        Failed::new(Outcome::Overloaded, call.course().now)
            .limit(Limit::Count("max_waiting", limit), Duration::ZERO)
            .because(format!("{limit} calls wait for a place already"))
    })
}

/// Before the first read of a service its calls wait for it, for at most a second.
async fn wait_for_registry<C: Call>(call: &C) -> Result<(), Failed> {
    let cluster = &call.shared().target().cluster;
    let mut known = cluster.known();
    if *known.borrow() != Knowledge::Unread {
        return Ok(());
    }
    let until = until(call).min(call.shared().arrived() + FIRST_READ);
    let read = timeout_at(until, known.wait_for(|known| *known != Knowledge::Unread)).await;
    if read.is_ok() {
        return Ok(());
    }
    Err(Failed::new(Outcome::NoEndpoints, Instant::now())
        .limit(
            Limit::Time("the first read of its registry", FIRST_READ),
            call.shared().arrived().elapsed(),
        )
        .because(&*cluster.why_none().unwrap_or_default()))
}

/// Dials the place's endpoint, and others when it fails or dawdles: the first to connect wins. Nothing is written yet.
async fn dial<C: Call>(call: &C, first: Place) -> Result<Dialled, Failed> {
    let target = call.shared().target();
    let (policy, until) = (&target.service, until(call));
    let mut log = DialLog::new(call.shared());
    let mut tried = call.course().tried;
    let mut dials = FuturesUnordered::new();
    let mut hosts = 0;
    let mut next = Some(first);
    let mut last = None;
    let mut stagger = Instant::now();
    loop {
        if let Some(place) = next.take() {
            hosts += 1;
            tried.push(place.endpoint().id);
            log.began(place.endpoint());
            dials.push(start(target, place));
            stagger = Instant::now() + policy.connect_stagger;
        }
        let more = hosts < policy.connect_attempts;
        tokio::select! {
            dialled = dials.next() => match dialled {
                Some(Ok(Ok(found))) => return Ok(log.won(found)),
                Some(Ok(Err(failed))) => {
                    log.failed(&failed);
                    last = Some(failed);
                }
                Some(Err(_)) => {}
                None => return Err(all_down(call, last.unwrap_or_else(|| target.cluster.last_failure(Instant::now())))),
            },
            () = sleep_until(stagger), if more => stagger = Instant::now() + LONG,
            () = sleep_until(until) => return Err(too_late(call, Phase::Connect, "still connecting")),
        }
        if more {
            match other(call, &tried) {
                Some((place, Some(conn))) => return Ok(log.won((place, conn))),
                Some((place, None)) => next = Some(place),
                None => {}
            }
        }
    }
}

/// Another endpoint than those dialled already, with a pooled connection if it has one.
fn other<C: Call>(call: &C, tried: &Tried) -> Option<(Place, Option<Box<Conn>>)> {
    let (shared, now) = (call.shared(), Instant::now());
    let target = shared.target();
    let limit = target.service.max_endpoint_calls;
    match target.cluster.set().pick(shared, tried, limit, now) {
        Pick::One(place) if !tried.contains(place.endpoint().id) => {
            let conn = pooled(target, &place, now);
            Some((place, conn))
        }
        _ => None,
    }
}

/// Dials in a task of its own, so that it runs to its end whatever becomes of the call: into the pool, or into `down`.
pub(super) fn start(target: &Target, place: Place) -> oneshot::Receiver<DialResult> {
    let (tell, told) = oneshot::channel();
    let target = target.clone();
    tokio::spawn(async move {
        let dialled = run(&target, place).await;
        if let Err(Ok((place, conn))) = tell.send(dialled) {
            place
                .endpoint()
                .pool
                .put(conn, Instant::now(), target.service.max_idle);
        }
    });
    told
}

async fn run(target: &Target, place: Place) -> DialResult {
    let (cluster, endpoint) = (&target.cluster, place.endpoint().clone());
    let began = Instant::now();
    let result = connect(&endpoint.addr, target.service.connect_timeout).await;
    cluster.metrics.connect(
        result
            .as_ref()
            .map_or_else(crate::upstream::connect::ConnectError::label, |_| "ok"),
    );
    match result {
        Ok(conn) => {
            cluster.metrics.connect_duration.record(began.elapsed());
            cluster.connected(&endpoint);
            Ok((place, conn))
        }
        Err(error) => {
            // What is this host's own doing is charged to nobody.
            if error.outcome != Outcome::Overloaded {
                endpoint
                    .metrics
                    .tried(error.outcome as usize, error.outcome.label());
                cluster.connect_failed(&endpoint, &error);
            }
            let failed = Failed::new(error.outcome, Instant::now())
                .during(Phase::Connect, Reach::Unwritten)
                .to(endpoint.id, &endpoint.name)
                .because(error.detail);
            cluster.remember(&failed);
            Err(failed)
        }
    }
}
