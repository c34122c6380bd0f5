//! What the endpoints of a service know of each other: sums, kept as each one changes, so that a try costs the same
//! among ten thousand.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::State;
use super::score::ONE;
use super::witness::Tries;
use crate::config::EjectionPolicy;

/// Counts over the registered endpoints of a service.
#[derive(Default)]
pub struct Peers {
    /// By state.
    states: [AtomicU32; State::ALL.len()],
    /// The sum of the averages of those that are up or on probation.
    failing: AtomicI64,
    /// All tries, and failures among them: two counts of 32 bits.
    tried: AtomicU64,
}

/// How many endpoints of a service are in each state, at one moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Census([usize; State::ALL.len()]);

impl Census {
    /// How many are in this state.
    pub const fn count(&self, state: State) -> usize {
        self.0[state as usize]
    }

    /// How many are registered.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// How many calls may be sent to.
    pub const fn picked(&self) -> usize {
        self.count(State::Up) + self.count(State::Probation)
    }

    /// What keeps one more endpoint from being ejected.
    pub fn held(&self, rules: &EjectionPolicy) -> Option<Held> {
        self.limits(rules, 1)
    }

    fn limits(&self, rules: &EjectionPolicy, more: usize) -> Option<Held> {
        let (ejected, down) = (self.count(State::Ejected) + more, self.count(State::Down));
        let (total, percent) = (self.total(), rules.max_ejection_percent as usize);
        let standing = total.saturating_sub(down);
        if standing < ejected + rules.min_available.min(standing) {
            Some(Held::Last)
        } else if ejected * 100 > percent * total {
            Some(Held::Cap)
        } else {
            None
        }
    }
}

/// Why an endpoint that should be ejected is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// `max_ejection_percent` are out already.
    Cap,
    /// `min_available` of those that are not down must be left.
    Last,
    /// It is the last of its lane: one must be left there as well, unless `min_available` is 0.
    Lane,
}

impl Held {
    /// The value of the metric label `enforced`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Last => "last",
            Self::Lane => "lane",
        }
    }
}

impl Peers {
    /// An endpoint changed: it was, and is, in these states, with these averages; `None` where it is not registered.
    pub(super) fn moved(&self, was: Option<(State, u32)>, is: Option<(State, u32)>) {
        let served = |of: Option<(State, u32)>| match of {
            Some((State::Up | State::Probation, average)) => i64::from(average),
            _ => 0,
        };
        let change = served(is) - served(was);
        if change != 0 {
            self.failing.fetch_add(change, Relaxed);
        }
        let (was, is) = (was.map(|w| w.0), is.map(|i| i.0));
        if was != is {
            if let Some(state) = was {
                self.states[state as usize].fetch_sub(1, Relaxed);
            }
            if let Some(state) = is {
                self.states[state as usize].fetch_add(1, Relaxed);
            }
        }
    }

    /// A try ended at one of them.
    #[inline]
    pub(super) fn tries(&self, bad: bool) {
        self.tried.fetch_add((1 << 32) | u64::from(bad), Relaxed);
    }

    /// How many have, ever.
    pub(super) fn tried(&self) -> Tries {
        let tried = self.tried.load(Relaxed);
        Tries {
            all: (tried >> 32) as u32,
            bad: tried as u32,
        }
    }

    /// How many are in this state.
    #[inline]
    pub fn count(&self, state: State) -> usize {
        self.states[state as usize].load(Relaxed) as usize
    }

    /// How many are in each.
    pub fn census(&self) -> Census {
        Census(State::ALL.map(|state| self.count(state)))
    }

    /// How many are registered.
    pub fn total(&self) -> usize {
        self.census().total()
    }

    /// The mean average of failures of the others, for one that is up or on probation with this average.
    pub(super) fn mean_of_others(&self, average: u32) -> f64 {
        self.mean(1, average)
    }

    /// The mean average of failures of those that are up or on probation, but for so many, whose averages add up to
    /// this.
    pub(super) fn mean(&self, without: usize, average: u32) -> f64 {
        let others = self.census().picked().saturating_sub(without);
        let sum = self.failing.load(Relaxed) - i64::from(average);
        if others == 0 {
            return 0.0;
        }
        sum.max(0) as f64 / others as f64 / f64::from(ONE)
    }

    /// What keeps one more endpoint from being ejected.
    pub fn held(&self, rules: &EjectionPolicy) -> Option<Held> {
        self.census().held(rules)
    }

    /// Whether more are ejected than may be, since endpoints went down, or went.
    pub fn too_many_out(&self, rules: &EjectionPolicy) -> bool {
        let census = self.census();
        census.count(State::Ejected) > 0 && census.limits(rules, 0).is_some()
    }
}
