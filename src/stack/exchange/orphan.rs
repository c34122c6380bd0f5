//! A call whose caller is gone, or was answered at its deadline: no Thrift server can be told to stop, and closing
//! costs a reconnect, so its connection waits for the late reply.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Wire;
use crate::call::Fate;
use crate::endpoint::Endpoint;
use crate::outcome::{Charge, Outcome};
use crate::rpc::Request;
use crate::stack::attempt::read_deadline;

/// How long an orphan waits where no read deadline holds.
const ORPHAN: Duration = Duration::from_secs(3);

impl Drop for Wire {
    fn drop(&mut self) {
        if self.conn.is_some() && self.written && self.request.status.fate() != Fate::Close {
            self.leave_orphan();
        }
    }
}

impl Wire {
    /// The rest of the call, with nobody to answer: it keeps its place until the late reply, or its read deadline.
    #[cold]
    fn leave_orphan(&mut self) {
        let (Some(conn), Some(place)) = (self.conn.take(), self.place.take()) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let Some(place) = place.orphan() else { return };
        let read = read_deadline(&self.request);
        let wait = read.unwrap_or(ORPHAN).saturating_sub(
            self.request
                .arrived
                .elapsed()
                .saturating_sub(self.request.status.progressed()),
        );
        let orphan = Wire {
            conn: Some(conn),
            place: Some(place),
            request: self.request.clone(),
            course: self.course,
            before: self.before,
            written: true,
            held: std::mem::take(&mut self.held),
        };
        let charged = self.request.status.fate() == Fate::ChargedOrphan;
        runtime.spawn(async move {
            // Marked as one that closes from now on: an orphan leaves no orphan.
            orphan.request.status.doom(Fate::Close);
            let (request, began) = (orphan.request.clone(), orphan.course.now);
            let Some(endpoint) = orphan.place.as_ref().map(|place| place.endpoint().clone()) else {
                return;
            };
            let late = tokio::time::timeout(wait, orphan.wait()).await;
            settle(&request, &endpoint, began, charged, late.ok());
        });
    }

    /// Waits for the late reply, and says how it ended: `None` if the connection was lost.
    async fn wait(mut self) -> Option<Outcome> {
        let mut reply = self.receive().await.ok()?;
        // A large one is read to its end, so that its connection can be used again.
        while let Some(body) = reply.body.as_deref_mut() {
            match poll_fn(|cx| body.poll_chunk(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return None,
                None => break,
            }
        }
        Some(reply.end.outcome)
    }
}

/// Charges the endpoint, once: a late reply is a success that ends a run of failures, whether or not the caller's leaving
/// was charged.
fn settle(
    request: &Request,
    endpoint: &Arc<Endpoint>,
    began: Instant,
    charged: bool,
    late: Option<Option<Outcome>>,
) {
    let now = Instant::now();
    let took = now.saturating_duration_since(began);
    let charge = match late {
        Some(Some(outcome)) => outcome.row().endpoint,
        _ if charged => return,
        Some(None) => Charge::Failure,
        None if request.target.method.is_overdue(took) => Charge::Timeout,
        None => return,
    };
    match charge {
        Charge::Success | Charge::Exception => endpoint.load.answered(now),
        Charge::Timeout => {
            request.target.cluster.overdue(endpoint, began, now);
        }
        Charge::Failure | Charge::Down | Charge::Nothing => {}
    }
    if !charged && charge != Charge::Failure {
        endpoint.load.observe(took, now);
    }
    let target = &request.target;
    target
        .cluster
        .observe(endpoint, charge, &target.service.ejection, now);
}
