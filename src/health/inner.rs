//! What is known of an endpoint, and what state that makes.

use tokio::time::Instant;

use super::witness::Begun;
use super::{
    Cause, Checks, Ejection, Found, Held, Outage, PASSES, Probation, Reason, Score, State,
};
use crate::config::EjectionPolicy;

/// See the module.
pub(super) struct Inner {
    pub(super) registered: bool,
    pub(super) score: Score,
    pub(super) begun: Begun,
    pub(super) outage: Option<Outage>,
    pub(super) checks: Checks,
    pub(super) probation: Option<Probation>,
    pub(super) ejection: Option<Ejection>,
    /// What keeps it from being ejected, though a detector found it.
    pub(super) held: Option<(Reason, Held)>,
    /// How often the ejection time has doubled.
    pub(super) step: u32,
    pub(super) up_since: Option<Instant>,
    pub(super) slow_since: Option<Instant>,
    /// What [`Health::take_tally`](super::Health::take_tally) gave last.
    pub(super) tally: (u32, u32),
}

impl Inner {
    /// Registered, up, with nothing known.
    pub(super) fn new() -> Self {
        Self {
            registered: true,
            score: Score::default(),
            begun: Begun::default(),
            outage: None,
            checks: Checks::default(),
            probation: None,
            ejection: None,
            held: None,
            step: 0,
            up_since: None,
            slow_since: None,
            tally: (0, 0),
        }
    }

    pub(super) fn state(&self) -> State {
        if self.outage.is_some() {
            State::Down
        } else if self.ejection.is_some() {
            State::Ejected
        } else if self.probation.is_some() {
            State::Probation
        } else {
            State::Up
        }
    }

    pub(super) fn standing(&self) -> Option<(State, u32)> {
        self.registered.then(|| (self.state(), self.score.raw()))
    }

    /// On probation after an ejection.
    pub(super) fn is_back(&self) -> bool {
        self.probation
            .is_some_and(|it| matches!(it.cause, Cause::Returned(..)))
    }

    /// No connect ends its outage.
    pub(super) fn is_kept_by_checks(&self) -> bool {
        let outage = self.outage.as_ref();
        outage.is_some_and(|outage| outage.found != Found::ByConnect)
    }

    /// Whether the last connect to it failed, while checks keep it down. True if that is another thing than before.
    pub(super) fn set_unreachable(&mut self, is: bool) -> bool {
        let outage = self.outage.as_mut().filter(|it| it.found == Found::ByCheck);
        outage.is_some_and(|it| std::mem::replace(&mut it.unreachable, is) != is)
    }

    /// It is down no more. True if it was.
    pub(super) fn back(&mut self) -> bool {
        self.score.break_run();
        // Only a try told of that one; it was another time.
        let returned = |it: &Probation| matches!(it.cause, Cause::Returned(..));
        self.probation = self.probation.filter(returned);
        self.outage.take().is_some()
    }

    /// A try succeeded.
    pub(super) fn passed(&mut self, rules: &EjectionPolicy, now: Instant) {
        match &mut self.probation {
            Some(Probation {
                cause: Cause::Returned(_, passes),
                ..
            }) => {
                *passes += 1;
                if *passes >= PASSES {
                    self.probation = None;
                    self.up_since = Some(now);
                    self.slow_since = (!rules.slow_start.is_zero()).then_some(now);
                }
            }
            Some(_) => self.probation = None,
            None => {}
        }
    }

    pub(super) fn hold(&mut self, reason: Reason, held: Held) -> Option<(Reason, Held)> {
        let news = Some((reason, held));
        (std::mem::replace(&mut self.held, news) != news).then_some((reason, held))
    }
}
