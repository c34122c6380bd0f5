//! A call whose caller is gone, or was answered at its deadline: no Thrift server can be told to stop, and closing
//! costs a reconnect, so its connection waits for the late reply.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use super::Wire;
use crate::call::Fate;
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
            let began = orphan.course.now;
            let endpoint = orphan.place.as_ref().map(|place| place.endpoint().clone());
            let late = tokio::time::timeout(wait, orphan.wait()).await;
            if let (Some(endpoint), true, false) = (endpoint, matches!(late, Ok(true)), charged) {
                endpoint.load.observe(began.elapsed(), Instant::now());
            }
        });
    }

    /// Waits for the late reply. True if it came.
    async fn wait(mut self) -> bool {
        match self.receive().await {
            Ok(mut reply) => {
                // A large one is read to its end, so that its connection can be used again.
                while let Some(body) = reply.body.as_deref_mut() {
                    match poll_fn(|cx| body.poll_chunk(cx)).await {
                        Some(Ok(_)) => {}
                        Some(Err(_)) => return false,
                        None => break,
                    }
                }
                true
            }
            Err(_) => false,
        }
    }
}
