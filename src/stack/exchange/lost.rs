//! A try that ends without a proper reply: what the connection, and the bytes on it, say of that.

use std::fmt::Display;
use std::io;

use tokio::time::Instant;

use super::{Wire, overloaded};
use crate::outcome::{Failed, Outcome, Phase, Reach};
use crate::probe::{Spoke, recognise};
use crate::upstream::{Conn, Delivery};

impl Wire {
    /// The reply is no reply.
    #[cold]
    pub(super) fn bad(&mut self, why: String) -> Failed {
        self.conn = None;
        Failed::new(Outcome::BadReply, Instant::now())
            .during(Phase::Read, Reach::Replied)
            .because(why)
    }

    /// The reply is no frame, but what another protocol's server says.
    #[cold]
    pub(super) fn no_thrift(&mut self, spoke: Option<Spoke>, bad: &impl Display) -> Failed {
        match spoke.and_then(|spoke| self.told_protocol(&spoke)) {
            Some(said) => self.bad(said).ask_doctor(true),
            None => self.bad(bad.to_string()),
        }
    }

    /// What answers there, where that is known for sure. Bytes that nobody knows may be a broken reply's: they are no
    /// other protocol's, and a reply is quoted to nobody.
    fn told_protocol(&self, spoke: &Spoke) -> Option<String> {
        if matches!(spoke, Spoke::Other(_)) {
            return None;
        }
        let endpoint = self.place.as_ref()?.endpoint();
        Some(self.request.target.cluster.speaks(endpoint, spoke))
    }

    /// The connection broke.
    #[cold]
    pub(super) fn lost(&mut self, error: &io::Error) -> Failed {
        let Some(conn) = self.conn.take() else {
            return overloaded();
        };
        if let Some(place) = &self.place {
            place.endpoint().pool.doubt(Instant::now());
        }
        let (phase, reach) = self.got(&conn);
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        let outcome = match phase {
            Phase::Read => Outcome::ReplyCut,
            _ if conn.served > 0 && reach >= Reach::Written => Outcome::StaleArrived,
            _ if conn.served > 0 => Outcome::StaleConnection,
            _ if closed => Outcome::ClosedEarly,
            _ => Outcome::Reset,
        };
        let mut what = if closed {
            "it closed the connection".to_owned()
        } else {
            error.to_string()
        };
        let found = match outcome {
            Outcome::StaleConnection | Outcome::StaleArrived => {
                self.request.target.cluster.metrics.stale_in_use.inc();
                self.told_idle(&conn)
            }
            Outcome::ReplyCut => {
                let spoke = conn.buf.as_deref().and_then(|buf| recognise(buf));
                spoke.and_then(|spoke| self.told_protocol(&spoke))
            }
            _ => None,
        };
        match &found {
            Some(said) if closed => what.clone_from(said),
            Some(said) => what = format!("{what}: {said}"),
            None => {}
        }
        if (outcome, reach) == (Outcome::StaleConnection, Reach::Unacknowledged) {
            what += "; no byte of the call was acknowledged (resend_unacknowledged = true sends such a call again)";
        }
        let spent = self.request.arrived.elapsed();
        let mut failed = Failed::new(outcome, Instant::now())
            .during(phase, reach)
            .because(what)
            .ask_doctor(found.is_some());
        failed.spent(spent);
        failed
    }

    /// How far the try got on the connection.
    fn got(&self, conn: &Conn) -> (Phase, Reach) {
        let status = &self.request.status;
        let phase = match (self.written, status.reach()) {
            (_, Reach::Replied) => Phase::Read,
            (true, _) => Phase::FirstByte,
            (false, _) => Phase::Write,
        };
        let reach = match status.reach() {
            Reach::Replied => Reach::Replied,
            _ if conn.sent == self.before => Reach::Unwritten,
            _ => match conn.delivery(self.before) {
                Delivery::Unsent => Reach::Unwritten,
                Delivery::Unacknowledged => Reach::Unacknowledged,
                Delivery::Arrived => Reach::Written,
            },
        };
        (phase, reach)
    }

    /// For how long the connection had been idle that its server closed under the call.
    fn told_idle(&self, conn: &Conn) -> Option<String> {
        let endpoint = self.place.as_ref()?.endpoint();
        let idle = conn.idle(self.course.now);
        self.request.target.cluster.closed_in_use(endpoint, idle)
    }
}
