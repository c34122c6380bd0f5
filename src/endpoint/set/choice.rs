//! What a call would come to, for people who ask before they call.

use std::sync::Arc;

use super::group::Group;
use super::lanes::name;
use super::tier::Ask;
use super::{EndpointSet, Pick};
use crate::call::{Attributes, Tried};
use crate::config::Balance;
use crate::endpoint::Endpoint;

/// The way of a call through the rules of `lane` and `prefer`, and the endpoints that it may get.
#[derive(Default)]
pub struct Choice {
    /// The rules that it fits, in order, up to the one that takes it.
    pub rules: Vec<Step>,
    /// Whether it goes to the endpoints of no lane: with rules, the baseline; without, all.
    pub is_base: bool,
    /// The item of `prefer` that counts.
    pub preferred: Option<String>,
    /// The endpoints that it may go to; those that get calls first come first.
    pub endpoints: Vec<Chance>,
}

/// A rule that a call fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The lane, `env=gray`.
    pub lane: String,
    /// Where the rule is written.
    pub at: Arc<str>,
    /// How many endpoints of the lane may be picked.
    pub live: usize,
    /// How many there are.
    pub registered: usize,
    /// Whether the call would go on from here if there were none.
    pub fallback: bool,
}

/// An endpoint that a call may go to.
pub struct Chance {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its weight.
    pub weight: u32,
    /// Its share of the calls while all endpoints do as well as each other, 0 to 1; 0: it is there for when those that
    /// come first fail.
    pub share: f64,
}

impl Choice {
    /// The lane that it goes to, if it goes to one.
    #[must_use]
    pub fn lane(&self) -> Option<&str> {
        let last = self.rules.last().filter(|it| it.live > 0);
        last.map(|it| &*it.lane)
    }
}

impl EndpointSet {
    /// What a call would come to.
    #[must_use]
    pub fn choice(&self, call: &dyn Attributes) -> Choice {
        let mut rules = Vec::new();
        let mut bound = false;
        for way in self.lanes.ways(call) {
            let group = way.group;
            let live = group.map_or(0, Group::live);
            let lane = &self.lanes.rules[way.rule].lane;
            rules.push(Step {
                lane: name(lane, call),
                at: lane.at.0.clone(),
                live,
                registered: group.map_or(0, |it| it.registered.len()),
                fallback: way.fallback,
            });
            if let Some(group) = group.filter(|_| live > 0) {
                return self.chosen(rules, group, false, call);
            }
            bound = !way.fallback;
        }
        match bound {
            true => Choice {
                rules,
                ..Choice::default()
            },
            false => self.chosen(rules, &self.base, true, call),
        }
    }

    fn chosen(
        &self,
        rules: Vec<Step>,
        group: &Group,
        is_base: bool,
        call: &dyn Attributes,
    ) -> Choice {
        let preferred = group
            .preferred
            .map(|it| self.taste.prefer[it.item].to_string());
        Choice {
            rules,
            is_base,
            preferred,
            endpoints: self.chances(group, call),
        }
    }

    fn chances(&self, group: &Group, call: &dyn Attributes) -> Vec<Chance> {
        let (first, rest) = group.tiers();
        let one = self.hashed_to(group, call);
        let (gets, waits) = match first.len() {
            0 => (rest, first),
            _ => (first, rest),
        };
        let all: f64 = gets.weighted().map(|(_, weight)| f64::from(weight)).sum();
        let share = |endpoint: &Endpoint, weight: u32| match &one {
            Some(one) => f64::from(u8::from(one.id == endpoint.id)),
            None => f64::from(weight) / all.max(1.0),
        };
        let gets = gets.weighted().map(|(endpoint, weight)| Chance {
            endpoint: endpoint.clone(),
            weight,
            share: share(endpoint, weight),
        });
        let waits = waits.weighted().map(|(endpoint, weight)| Chance {
            endpoint: endpoint.clone(),
            weight,
            share: 0.0,
        });
        let mut chances: Vec<Chance> = gets.chain(waits).collect();
        chances.sort_by(|a, b| b.share.total_cmp(&a.share));
        chances
    }

    /// The endpoint that a call's key belongs to, where `balance` is `consistent_hash` and the call says one.
    fn hashed_to(&self, group: &Group, call: &dyn Attributes) -> Option<Arc<Endpoint>> {
        let says = |key| call.attribute(key).is_some();
        if self.rules.balance != Balance::ConsistentHash || !self.rules.hash_key.iter().any(says) {
            return None;
        }
        let ask = Ask {
            call,
            tried: &Tried::default(),
            limit: 0,
            now: tokio::time::Instant::now(),
            rules: &self.rules,
        };
        match group.pick(&ask) {
            Pick::One(place) => Some(place.endpoint().clone()),
            Pick::Full(_) | Pick::Nothing => None,
        }
    }
}
