//! The rescue of a call all of whose endpoints are down: the one nearest to its return is dialled, by one call at a time.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::dialled::{DialLog, Dialled};
use super::find::{enter, start, too_late, until};
use crate::call::{Call, Shared};
use crate::cluster::finding;
use crate::endpoint::{Endpoint, LineId, Place};
use crate::outcome::{Failed, Outcome, Phase};

/// Every endpoint that the call may go to is down, or there is none. The one nearest to its return is dialled by one call
/// at a time; the others wait for that. One that fails its health checks is dialled as well; one that must pass its first
/// check before any call is not. (Where nothing at all is up, those that only fail their checks are picked like any
/// other.) `None`: look again, something came up.
pub(super) async fn rescue<C: Call>(call: &C) -> Result<Option<Dialled>, Failed> {
    let target = call.shared().target();
    let cluster = &target.cluster;
    let line = line(call)?;
    let lock = cluster.rescues.of(line);
    let Ok(turn) = lock.try_lock() else {
        let patience = Instant::now() + target.service.connect_timeout;
        let _waiting = enter(call, line)?;
        let turn = timeout_at(patience.min(until(call)), lock.lock()).await;
        drop(turn);
        if is_live(call) {
            return Ok(None);
        }
        if Instant::now() >= until(call) {
            return Err(too_late(call, Phase::Connect, "every endpoint is down"));
        }
        return Err(all_down(call, cluster.last_failure(Instant::now())));
    };
    let Some(place) = nearest(call) else {
        drop(turn);
        return first_pass(call, line).await.map(|()| None);
    };
    let began = Instant::now();
    let mut log = DialLog::new(call.shared());
    log.began(place.endpoint());
    let dialled = timeout_at(until(call), start(target, place)).await;
    drop(turn);
    call.shared().status().add_upstream(began.elapsed());
    match dialled {
        Ok(Ok(Ok(found))) => Ok(Some(log.won(found))),
        Ok(Ok(Err(failed))) => {
            log.failed(&failed);
            Err(all_down(call, failed))
        }
        Ok(Err(_)) => Err(all_down(call, cluster.last_failure(Instant::now()))),
        Err(_) => Err(too_late(call, Phase::Connect, "every endpoint is down")),
    }
}

/// Whether an endpoint that the call may go to is up.
fn is_live<C: Call>(call: &C) -> bool {
    let shared = call.shared();
    shared.target().cluster.set().live(shared) > 0
}

/// The line of those who may go where this call may; an answer where that is nowhere.
fn line<C: Call>(call: &C) -> Result<LineId, Failed> {
    let shared = call.shared();
    let set = shared.target().cluster.set();
    let scope = set.scope(shared);
    match scope.registered() {
        0 => Err(no_endpoints(call, scope.is_bound())),
        _ => Ok(scope.id()),
    }
}

/// Every endpoint must pass a health check before its first call. The call waits for the first of those checks, for as
/// long as for a connect.
async fn first_pass<C: Call>(call: &C, line: LineId) -> Result<(), Failed> {
    let target = call.shared().target();
    let (cluster, until) = (&target.cluster, until(call));
    let patience = until.min(Instant::now() + target.service.connect_timeout);
    let waiting = enter(call, line)?;
    let line = waiting.line_up();
    loop {
        if is_live(call) {
            return Ok(());
        }
        if !cluster.awaits_first_check() || Instant::now() >= patience {
            break;
        }
        // Rung or not: the instant is looked at again.
        let _ = timeout_at(patience, line.turn()).await;
    }
    if Instant::now() >= until {
        let why = "no endpoint has passed its first health check";
        return Err(too_late(call, Phase::Connect, why));
    }
    Err(all_down(call, cluster.last_failure(Instant::now())))
}

/// A place at the endpoint that is nearest to its return, one not tried before others; never one that must pass its
/// first health check.
fn nearest<C: Call>(call: &C) -> Option<Place> {
    let (shared, tried) = (call.shared(), &call.course().tried);
    let set = shared.target().cluster.set();
    let order = |e: &&Arc<Endpoint>| (tried.contains(e.id), e.health.returns_at());
    let scope = set.scope(shared);
    let open = scope.endpoints().filter(|e| !e.health.is_unchecked());
    open.min_by_key(order)?.place(0)
}

/// Nothing is registered that the call may go to; in a lane that it is `bound` to, or anywhere.
fn no_endpoints<C: Call>(call: &C, bound: bool) -> Failed {
    let (shared, now) = (call.shared(), Instant::now());
    let cluster = &shared.target().cluster;
    let set = cluster.set();
    let by_lane = || set.scope(shared).why(&cluster.name, &cluster.policy());
    let why = match set.all.is_empty() {
        true => cluster.why_none().map(|why| why.to_string()),
        false => by_lane(),
    };
    let outcome = match cluster.is_unknown() && !bound {
        true => Outcome::UnknownService,
        false => Outcome::NoEndpoints,
    };
    Failed::new(outcome, now)
        .because(why.unwrap_or_else(|| "nothing is registered".into()))
        .ask_doctor(set.all.is_empty() && cluster.has_registered_findings())
}

/// The last connect's failure, told as the service's, or as that of the lane that the call may not leave.
pub(super) fn all_down<C: Call>(call: &C, failed: Failed) -> Failed {
    let shared = call.shared();
    let cluster = &shared.target().cluster;
    let set = cluster.set();
    let scope = set.scope(shared);
    let (all, live) = (scope.registered(), scope.live());
    if scope.is_bound() && live == 0 {
        return no_lane(failed, scope.why(&cluster.name, &cluster.policy()));
    }
    let is_down = |it: &&Arc<Endpoint>| !it.health.state().is_picked();
    let down = scope.endpoints().filter(is_down).count();
    let last = failed.endpoint.as_ref().map(|last| last.id);
    // What became of another lane's endpoint says nothing here.
    let endpoint = scope.endpoints().find(|it| Some(it.id) == last);
    match endpoint {
        Some(endpoint) => {
            let many = format!("{down} of {all} endpoints down");
            finding::down(endpoint, failed, &many)
        }
        None if last.is_some() => failed.because("no endpoint is up"),
        None => {
            let detail = failed.detail.clone();
            failed.because(detail.unwrap_or_else(|| "no endpoint is up".into()))
        }
    }
}

/// The answer of a lane without `fallback`.
fn no_lane(failed: Failed, why: Option<String>) -> Failed {
    match why {
        Some(why) => Failed::new(Outcome::NoEndpoints, failed.at).because(why),
        None => failed,
    }
}
