//! The rescue of a service whose every endpoint is down: the one nearest to its return is dialled, by one call at a time.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::find::{Waiting, start, too_late, until};
use crate::call::{Call, Shared, Tried};
use crate::cluster::Cluster;
use crate::endpoint::Place;
use crate::outcome::{Failed, Outcome, Phase};
use crate::upstream::Conn;

/// Every endpoint is down, or there is none. The endpoint nearest to its return is dialled by one call at a time; the
/// others wait for that. One that fails its health checks is dialled as well, since a wrong check must not stop a
/// service; one that must pass its first check before any call is not. `None`: look again, something came up.
pub(super) async fn rescue<C: Call>(call: &C) -> Result<Option<(Place, Box<Conn>)>, Failed> {
    let target = call.shared().target();
    let cluster = &target.cluster;
    if cluster.set().all.is_empty() {
        return Err(no_endpoints(cluster));
    }
    let Ok(turn) = cluster.rescue.try_lock() else {
        let patience = Instant::now() + target.service.connect_timeout;
        let _waiting = Waiting::enter(cluster, target.service.max_waiting, call)?;
        let turn = timeout_at(patience.min(until(call)), cluster.rescue.lock()).await;
        drop(turn);
        if cluster.set().available() > 0 {
            return Ok(None);
        }
        if Instant::now() >= until(call) {
            return Err(too_late(call, Phase::Connect, "every endpoint is down"));
        }
        return Err(all_down(cluster, cluster.last_failure(Instant::now())));
    };
    let Some(place) = nearest(cluster, &call.course().tried) else {
        drop(turn);
        return first_pass(call).await.map(|()| None);
    };
    let began = Instant::now();
    let dialled = timeout_at(until(call), start(target, place)).await;
    drop(turn);
    call.shared().status().add_upstream(began.elapsed());
    match dialled {
        Ok(Ok(Ok(found))) => Ok(Some(found)),
        Ok(Ok(Err(failed))) => Err(all_down(cluster, failed)),
        Ok(Err(_)) => Err(all_down(cluster, cluster.last_failure(Instant::now()))),
        Err(_) => Err(too_late(call, Phase::Connect, "every endpoint is down")),
    }
}

/// Every endpoint must pass a health check before its first call. The call waits for the first of those checks, for as
/// long as for a connect.
async fn first_pass<C: Call>(call: &C) -> Result<(), Failed> {
    let target = call.shared().target();
    let (cluster, until) = (&target.cluster, until(call));
    let patience = until.min(Instant::now() + target.service.connect_timeout);
    let _waiting = Waiting::enter(cluster, target.service.max_waiting, call)?;
    let line = cluster.waiters.line_up();
    loop {
        if cluster.set().available() > 0 {
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
    Err(all_down(cluster, cluster.last_failure(Instant::now())))
}

/// A place at the endpoint that is nearest to its return, one not tried before others; never one that must pass its
/// first health check.
fn nearest(cluster: &Cluster, tried: &Tried) -> Option<Place> {
    let set = cluster.set();
    let order = |e: &Arc<crate::endpoint::Endpoint>| (tried.contains(e.id), e.health.returns_at());
    set.all
        .iter()
        .map(|m| &m.endpoint)
        .filter(|e| !e.health.is_unchecked())
        .min_by_key(|e| order(e))?
        .place(0)
}

fn no_endpoints(cluster: &Cluster) -> Failed {
    let why = cluster
        .why_none()
        .unwrap_or_else(|| "nothing is registered".into());
    let outcome = if cluster.is_unknown() {
        Outcome::UnknownService
    } else {
        Outcome::NoEndpoints
    };
    Failed::new(outcome, Instant::now()).because(&*why)
}

/// The last connect's failure, told as the service's.
pub(super) fn all_down(cluster: &Cluster, failed: Failed) -> Failed {
    let set = cluster.set();
    let (all, down) = (set.all.len(), set.all.len() - set.available());
    let detail = match &failed.endpoint {
        Some(last) => format!(
            "{down} of {all} endpoints down, last {} {}",
            last.name,
            how(&failed)
        ),
        None => failed
            .detail
            .as_deref()
            .unwrap_or("no endpoint is up")
            .to_owned(),
    };
    failed.because(detail)
}

/// How a connect failed, with the code that `tidegate explain` knows.
fn how(failed: &Failed) -> String {
    match (failed.outcome, failed.detail.as_deref()) {
        (Outcome::ConnectRefused, _) => "refused (P01)".to_owned(),
        (Outcome::ConnectTimeout, _) => "timed out (P02)".to_owned(),
        (Outcome::Unreachable, Some(said)) => format!("unreachable (P03: {said})"),
        // A health check's own words.
        (Outcome::NoEndpoints, Some(said)) => said.to_owned(),
        (outcome, said) => format!("{}: {}", outcome.label(), said.unwrap_or("no reason given")),
    }
}
