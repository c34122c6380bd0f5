//! Whether others were tried as well, since an endpoint's failures began, and how that went. What no other endpoint was
//! asked meanwhile may fail there too.
//!
//! Under a light load the fastest endpoint gets nearly all calls, and the good average of one that had none for long says
//! nothing of what is called now. Without witnesses an endpoint is put on probation instead of ejected: then others get
//! calls, and either succeed or fail alike.

use tokio::time::Instant;

use super::{Cause, Inner, Peers, Probation, Reason, TIMES_OTHERS};

/// So many tries of other endpoints say something; since its last ejection, which had its witnesses, one does.
const ENOUGH: u32 = 4;
/// Tries after which what was before is half forgotten by the average.
const HALF: u32 = 10;

/// Tries, and failures among them, in counts that wrap.
#[derive(Clone, Copy, Default)]
pub(super) struct Tries {
    pub(super) all: u32,
    pub(super) bad: u32,
}

impl Tries {
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            all: self.all.wrapping_sub(other.all),
            bad: self.bad.wrapping_sub(other.bad),
        }
    }

    fn add(&mut self, bad: bool) {
        self.all = self.all.wrapping_add(1);
        self.bad = self.bad.wrapping_add(u32::from(bad));
    }
}

/// The tries of others when the failures began that a score speaks of.
#[derive(Clone, Copy, Default)]
pub(super) struct Begun {
    /// Its own, since it is watched.
    own: Tries,
    /// At the first of those in a row.
    run: Tries,
    /// Ten to twenty tries ago, or at its first failure.
    average: Tries,
    /// Fewer tries ago.
    later: Tries,
    /// When its last ejection began.
    ejected: Tries,
    watched: u32,
}

impl Inner {
    /// A try ended; before the score learns of it.
    pub(super) fn count(&mut self, bad: bool, peers: &Peers) {
        let others = peers.tried().less(self.begun.own);
        if self.score.is_clean() {
            (self.begun.average, self.begun.later) = (others, others);
            self.begun.watched = 0;
        }
        if bad && self.score.run == 0 {
            self.begun.run = others;
        }
        self.begun.watched += 1;
        if self.begun.watched.is_multiple_of(HALF) {
            (self.begun.average, self.begun.later) = (self.begun.later, others);
        }
        peers.tries(bad);
        self.begun.own.add(bad);
    }

    /// Its ejection begins.
    pub(super) fn count_from_now(&mut self, peers: &Peers) {
        self.begun.ejected = peers.tried().less(self.begun.own);
    }

    /// Whether others were tried since the failures began that this detector found, and it fails at least three times as
    /// often as they did.
    pub(super) fn is_witnessed(&self, reason: Reason, peers: &Peers) -> bool {
        let (since, enough) = match reason {
            _ if self.is_back() => (self.begun.ejected, 1),
            Reason::Consecutive => (self.begun.run, ENOUGH),
            _ => (self.begun.average, ENOUGH),
        };
        let others = peers.tried().less(self.begun.own).less(since);
        let limit = TIMES_OTHERS * f64::from(others.bad);
        others.all >= enough && self.score.average() * f64::from(others.all) >= limit
    }

    /// It fails, and there is no witness that others do not.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.probation.get_or_insert(Probation {
            since: now,
            cause: Cause::NoWitness,
        });
    }
}
