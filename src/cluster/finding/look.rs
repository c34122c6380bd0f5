//! One look at an endpoint's address after a failure, on the control thread: what is there, seen without a call.

use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Cluster;
use crate::endpoint::Endpoint;
use crate::finding::Code;
use crate::outcome::human;
use crate::probe::{Connect, Plan, Seen, probe};

/// So many addresses are looked at at once, in the whole process; the others wait.
static PLACES: Semaphore = Semaphore::const_new(4);

impl Cluster {
    /// Looks at the endpoint's address, unless that was done of late.
    pub(super) fn look(&self, endpoint: &Arc<Endpoint>) {
        if endpoint.watch.take_probe(Instant::now()) {
            self.control.spawn(look(self.me.clone(), endpoint.clone()));
        }
    }

    /// What was seen at the endpoint's address.
    pub(super) fn looked(&self, endpoint: &Endpoint, seen: &Seen) {
        let now = Instant::now();
        match &seen.connect {
            Connect::Ours(_) => return,
            Connect::Open(took) => {
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

async fn look(cluster: Weak<Cluster>, endpoint: Arc<Endpoint>) {
    let Ok(_place) = PLACES.acquire().await else {
        return;
    };
    let mut plan = Plan::default();
    match cluster.upgrade() {
        Some(cluster) if !endpoint.is_removed() => {
            plan.connect = plan.connect.max(cluster.policy.load().connect_timeout);
        }
        _ => return,
    }
    let seen = probe(&endpoint.addr, &plan).await;
    if let Some(cluster) = cluster.upgrade() {
        cluster.looked(&endpoint, &seen);
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
