//! How a service stands as a whole: in one line, and its retry budget and limits.

use super::{many, thousands};
use crate::breaker::{self, Forced};
use crate::budget::{Budget, Standing};
use crate::config::{Policy, RetryBudget};
use crate::health::{Census, State};

/// How much a person should care: worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// No call gets through.
    Dead,
    /// Calls get through, to endpoints of which none is well.
    Failing,
    /// Calls are refused, or nothing is known.
    Refusing,
    /// Endpoints are missing.
    Wounded,
    /// Something is watched.
    Watched,
    /// All is well.
    Well,
}

/// What a service's one line is made of.
#[derive(Clone, Debug)]
pub struct Whole<'a> {
    /// Its endpoints.
    pub census: Census,
    /// How many of them a detector has found that are not ejected.
    pub kept: usize,
    /// How many are up, and no detector has found them.
    pub well: usize,
    /// How many are called though they are down, since every one fails its checks.
    pub last_resort: usize,
    /// Why it has none to use, where discovery says so.
    pub problem: Option<&'a str>,
    /// Its methods with the states of their breakers.
    pub breakers: Vec<(&'a str, breaker::State)>,
    /// What a person wants of all its methods, those without a breaker too.
    pub forced: Option<Forced>,
}

impl Whole<'_> {
    /// How much a person should care.
    pub fn rank(&self) -> Rank {
        let any = |state: breaker::State| self.breakers.iter().any(|(_, it)| *it == state);
        let count = |state| self.census.count(state) > 0;
        if self.problem.is_some() || self.census.picked() + self.last_resort == 0 {
            Rank::Dead
        } else if self.well == 0 {
            Rank::Failing
        } else if self.forced == Some(Forced::Open)
            || any(breaker::State::Open)
            || any(breaker::State::ForcedOpen)
        {
            Rank::Refusing
        } else if count(State::Down) || count(State::Ejected) {
            Rank::Wounded
        } else if count(State::Probation)
            || self.kept > 0
            || self.forced.is_some()
            || self.breakers.iter().any(|(_, it)| is_watched(*it))
        {
            Rank::Watched
        } else {
            Rank::Well
        }
    }

    /// `1 of 3 endpoints can be called: 1 down, 1 ejected; breaker of Get open`.
    pub fn sentence(&self) -> String {
        if let Some(problem) = self.problem {
            return problem.to_owned();
        }
        let (picked, total) = (self.census.picked(), self.census.total());
        let states = [State::Down, State::Ejected, State::Probation].map(|state| {
            let n = self.census.count(state);
            let name = if state == State::Probation {
                "on probation"
            } else {
                state.label()
            };
            (n > 0).then(|| format!("{n} {name}"))
        });
        let states: Vec<String> = states.into_iter().flatten().collect();
        let mut said = format!(
            "{picked} of {} can be called",
            many(total as u64, "endpoint")
        );
        if !states.is_empty() {
            said = format!("{said}: {}", states.join(", "));
        }
        if self.last_resort > 0 {
            let n = self.last_resort;
            said = format!("{said}; {n} called all the same: every endpoint fails its checks");
        }
        if self.kept > 0 {
            said = format!(
                "{said}; {} not ejected",
                if self.kept == 1 {
                    "1 fails and is".to_owned()
                } else {
                    format!("{} fail and are", self.kept)
                }
            );
        }
        let all = self.forced.map(breaker::State::from);
        if let Some(to) = self.forced {
            said = format!("{said}; breakers of all methods forced {to}");
        }
        for (method, state) in self.breakers.iter().filter(|(_, it)| Some(*it) != all) {
            if *state != breaker::State::Closed {
                let state = state.label().replace('_', " ");
                said = format!("{said}; breaker of {method} {state}");
            }
        }
        said
    }
}

fn is_watched(state: breaker::State) -> bool {
    matches!(
        state,
        breaker::State::HalfOpen | breaker::State::ForcedClosed
    )
}

/// `104 tokens: 20 % of 3,020 calls + 100 - 600 retries in 10s`.
pub fn retry_budget(it: &Standing, policy: RetryBudget) -> String {
    let (tokens, calls) = (many(it.tokens, "token"), many(it.calls, "call"));
    let (percent, least) = (policy.percent, thousands(Budget::least(policy)));
    let spent = match it.resends {
        1 => "1 retry".to_owned(),
        n => format!("{} retries", thousands(n)),
    };
    format!("{tokens}: {percent} % of {calls} + {least} - {spent} in 10s")
}

/// `12 of 1,024 calls in flight, 0 of 1,024 waiting`, and the rate where that is limited.
pub fn limits(in_flight: usize, waiting: usize, policy: &Policy) -> String {
    let [in_flight, max_calls, waiting, max_waiting] =
        [in_flight, policy.max_calls, waiting, policy.max_waiting].map(|n| thousands(n as u64));
    let mut said =
        format!("{in_flight} of {max_calls} calls in flight, {waiting} of {max_waiting} waiting");
    let rate = policy.call.rate;
    if rate.per_second > 0 {
        let per_second = thousands(u64::from(rate.per_second));
        said = format!("{said}; rate_limit {per_second} a second");
        if rate.burst > 0 {
            said = format!("{said}, {} at once", thousands(u64::from(rate.burst)));
        }
    }
    said
}
