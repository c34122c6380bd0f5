//! What is told of an endpoint's state: everything behind it, and behind a state that is not.

use tokio::time::Instant;

use super::{Census, Checks, Held, Outage, Reason, Score, State};

/// Why an endpoint is on probation.
#[derive(Clone, Copy, Debug)]
pub struct Probation {
    /// Since when.
    pub since: Instant,
    /// Why, and so what ends it.
    pub cause: Cause,
}

/// What puts an endpoint on probation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A try was overdue. One success ends it.
    Overdue,
    /// A detector found it, and no other endpoint was tried meanwhile, or hardly. One success ends it.
    NoWitness,
    /// Its ejection by this detector ran out; so many successes in a row since.
    Returned(Reason, u32),
}

impl Snapshot {
    /// Whether it is called though it is down: no endpoint is up, and only its checks speak against it.
    pub fn is_last_resort(&self) -> bool {
        let by_checks = self.outage.as_ref().is_some_and(Outage::is_by_checks_alone);
        self.census.picked() == 0 && by_checks && self.ejection.is_none()
    }
}

/// An ejection under way.
#[derive(Clone, Copy, Debug)]
pub struct Ejection {
    /// When it began.
    pub since: Instant,
    /// When it runs out.
    pub until: Instant,
    /// The detector that found it.
    pub reason: Reason,
    /// It failed on probation after the ejection before.
    pub again: bool,
    /// What it had seen.
    pub score: Score,
}

/// Everything behind a state, and behind a state that is not.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// How its tries went lately.
    pub score: Score,
    /// The same average of the other endpoints, in the mean.
    pub mean_of_others: f64,
    /// Why it is down.
    pub outage: Option<Outage>,
    /// How its health checks went.
    pub checks: Checks,
    /// Why it is on probation.
    pub probation: Option<Probation>,
    /// Its ejection.
    pub ejection: Option<Ejection>,
    /// The detector that found it, and what keeps it from being ejected.
    pub held: Option<(Reason, Held)>,
    /// Since when its share grows.
    pub slow_since: Option<Instant>,
    /// Tries, and successes among them, of the last interval over which the success rate was judged.
    pub tally: (u32, u32),
    /// The endpoints of the service, by state: it and the others.
    pub census: Census,
}
