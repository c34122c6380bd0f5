//! What the dials for one call come to, and what the flight recorder learns of them: which were begun, and which failed.

use smallvec::SmallVec;
use tokio::time::Instant;

use super::find::started;
use crate::call::{Call, Shared, Try};
use crate::endpoint::{Endpoint, Place};
use crate::outcome::{Failed, Outcome};
use crate::upstream::Conn;
use std::sync::Arc;

/// What a dial comes to.
pub(super) type DialResult = Result<(Place, Box<Conn>), Failed>;

/// A place at an endpoint, with a connection to it.
pub(super) struct Dialled {
    place: Place,
    conn: Box<Conn>,
    /// When the connect began and ended; `None` for one that was pooled.
    connect: Option<(Instant, Instant)>,
}

impl Dialled {
    /// The try of the call that begins now.
    pub(super) fn start<C: Call>(self, call: C) -> Try<C> {
        let now = Instant::now();
        if let Some((began, ended)) = self.connect {
            let shared = call.shared();
            let since = |at: Instant| at.saturating_duration_since(shared.arrived());
            let timeline = shared.status().timeline();
            timeline.connected(since(began), since(ended));
        }
        started(call, self.place, self.conn, now)
    }
}

/// The dials for a call that are under way. Those that are when the call gives up are noted as such.
pub(super) struct DialLog<'a, S: Shared> {
    shared: &'a S,
    under_way: SmallVec<[(Arc<Endpoint>, Instant); 1]>,
}

impl<'a, S: Shared> DialLog<'a, S> {
    /// None yet.
    pub(super) fn new(shared: &'a S) -> Self {
        Self {
            shared,
            under_way: SmallVec::new(),
        }
    }

    /// This endpoint is dialled.
    pub(super) fn began(&mut self, endpoint: &Arc<Endpoint>) {
        self.under_way.push((endpoint.clone(), Instant::now()));
    }

    /// A dial failed.
    pub(super) fn failed(&mut self, failed: &Failed) {
        let id = failed.endpoint.as_ref().map(|named| named.id);
        if let Some(began) = id.and_then(|id| self.take(id)) {
            self.note(began, failed.outcome, failed.at);
        }
    }

    /// The call has its connection; the dials still under way go on without it.
    pub(super) fn won(mut self, (place, conn): (Place, Box<Conn>)) -> Dialled {
        let began = self.take(place.endpoint().id);
        self.under_way.clear();
        Dialled {
            place,
            conn,
            connect: began.map(|(_, began)| (began, Instant::now())),
        }
    }

    fn take(&mut self, id: u32) -> Option<(Arc<Endpoint>, Instant)> {
        let at = self.under_way.iter().position(|(it, _)| it.id == id)?;
        Some(self.under_way.remove(at))
    }

    fn note(&self, (endpoint, began): (Arc<Endpoint>, Instant), outcome: Outcome, at: Instant) {
        let since = |at: Instant| at.saturating_duration_since(self.shared.arrived());
        let timeline = self.shared.status().timeline();
        timeline.unconnected(&endpoint.name, outcome, since(began), since(at));
    }
}

impl<S: Shared> Drop for DialLog<'_, S> {
    fn drop(&mut self) {
        let outcome = match self.shared.status().is_abandoned() {
            true => Outcome::ClientGone,
            false => Outcome::Deadline,
        };
        let now = Instant::now();
        for dial in std::mem::take(&mut self.under_way) {
            self.note(dial, outcome, now);
        }
    }
}
