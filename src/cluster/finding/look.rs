//! One look at an endpoint's address after a failure, on the control thread: what is there, seen without a call.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::Cluster;
use crate::diagnosis::Watch;
use crate::endpoint::Endpoint;
use crate::finding::Code;
use crate::outcome::human;
use crate::probe::{Connect, Plan, Seen, probe};

#[cfg(test)]
mod tests;

/// So many addresses are looked at at once, in the whole process; the others are at their next failure.
static PLACES: Semaphore = Semaphore::const_new(4);
/// A look is given up after so long: others want its place. Enough for one at an endpoint that is a second away, which
/// takes up to nine round trips.
const PATIENCE: Duration = Duration::from_secs(10);
/// One connect ends after so long: a black hole does not keep its place.
const CONNECT: Duration = Duration::from_millis(2500);

impl Cluster {
    /// Looks at the endpoint's address, unless that was done of late.
    pub(super) fn look(&self, endpoint: &Arc<Endpoint>) {
        if let Some(place) = turn(&PLACES, &endpoint.watch, Instant::now()) {
            let (cluster, endpoint) = (self.me.clone(), endpoint.clone());
            self.control.spawn(look(cluster, endpoint, place));
        }
    }

    /// What was seen at the endpoint's address, in a look that began at `began`.
    pub(super) fn looked(&self, endpoint: &Endpoint, seen: &Seen, began: Instant) {
        let now = Instant::now();
        // What has answered meanwhile is accused of nothing.
        if endpoint.load.last_answer().is_some_and(|at| at > began) {
            return;
        }
        match &seen.connect {
            Connect::Ours(_) => return,
            Connect::Open(took) => {
                endpoint.watch.reached();
                let (took, limit) = (*took, self.policy.load().connect_timeout);
                let found = endpoint.watch.list();
                let timed_out = found.iter().any(|it| it.code == Code::P02);
                if timed_out && took > limit {
                    let (took, limit) = (human(took), human(limit));
                    let said = format!("a connect takes {took}, connect_timeout is {limit}");
                    endpoint.watch.too_far(said, now);
                }
            }
            connect => {
                let outage = endpoint.health.outage();
                // What came back meanwhile is not accused of what it was.
                if outage.is_some_and(|it| it.unreachable) || matches!(connect, Connect::Reset(_)) {
                    endpoint.watch.unreachable(connect, &said(connect), now);
                }
            }
        }
        if let Some(spoke) = &seen.spoke {
            self.speaks(endpoint, spoke);
        }
    }
}

/// A place for a look, where one is free and the endpoint was not looked at of late. Where none is, it keeps its turn.
fn turn<'a>(places: &'a Semaphore, watch: &Watch, now: Instant) -> Option<SemaphorePermit<'a>> {
    let place = places.try_acquire().ok()?;
    watch.take_probe(now).then_some(place)
}

/// What is seen, unless that takes too long; then the place is free again.
async fn patiently<T>(looking: impl Future<Output = T>, _place: SemaphorePermit<'_>) -> Option<T> {
    timeout(PATIENCE, looking).await.ok()
}

async fn look(cluster: Weak<Cluster>, endpoint: Arc<Endpoint>, place: SemaphorePermit<'static>) {
    let (mut plan, began) = (Plan::default(), Instant::now());
    match cluster.upgrade() {
        Some(cluster) if !endpoint.is_removed() => {
            let connect = cluster.policy.load().connect_timeout;
            plan.connect = plan.connect.max(connect).min(CONNECT);
        }
        _ => return,
    }
    let seen = patiently(probe(&endpoint.addr, &plan), place).await;
    if let (Some(seen), Some(cluster)) = (seen, cluster.upgrade()) {
        cluster.looked(&endpoint, &seen, began);
    }
}

/// In words.
fn said(connect: &Connect) -> String {
    match connect {
        Connect::Open(took) => format!("it takes connections, after {}", human(*took)),
        Connect::Refused(_) => "it refuses the connection".to_owned(),
        Connect::TimedOut(after) => format!("no answer to a connect within {}", human(*after)),
        Connect::Reset(_) => "it resets the connection at once".to_owned(),
        Connect::Unreachable(said) | Connect::NoSocket(said) | Connect::Ours(said) => said.clone(),
    }
}
