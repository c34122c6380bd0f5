//! The endpoints of a service at one moment, made for picking: rebuilt on the rare change, read by every call.
//!
//! A call first has a [`group`]: the endpoints that it may go to, by the rules of `lane`; without rules, all of them. Of
//! those, the preferred ones come first, and of each [`tier`] one is picked as `balance` says.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Endpoint, LineId, Place, Tags};
use crate::call::{Attributes, Tried};
use crate::config::Policy;
use crate::health::{Peers, State};

mod choice;
mod group;
mod lanes;
mod ring;
mod scope;
mod shown;
mod tables;
#[cfg(test)]
mod tests;
mod tier;

pub use choice::{Chance, Choice, Step};
use group::{Group, Taste};
use lanes::Lanes;
pub use scope::Scope;
pub use shown::Part;
use tier::{Ask, Rules};

/// An endpoint in a set.
#[derive(Clone)]
pub struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its weight, at least 1.
    pub weight: u32,
    /// What its owner wrote beside it.
    pub tags: Tags,
    /// It is on this host.
    pub here: bool,
}

/// What a pick finds.
pub enum Pick {
    /// An endpoint, with a place at it.
    One(Place),
    /// Every place of the endpoints that the call may go to is taken; who waits for one stands in this line.
    Full(LineId),
    /// No endpoint may be used.
    Nothing,
}

/// A snapshot of a service's endpoints.
pub struct EndpointSet {
    /// All of them, down ones too.
    pub all: Vec<Member>,
    /// Those of calls without a lane: all, where there are no lanes.
    base: Group,
    lanes: Lanes,
    taste: Taste,
    rules: Rules,
    available: usize,
    /// The endpoints that are the last of a lane, or of the baseline beside lanes.
    last: HashSet<u32>,
}

impl Default for EndpointSet {
    fn default() -> Self {
        Self::new(Vec::new(), &Policy::default(), Arc::default())
    }
}

impl EndpointSet {
    /// A set of these endpoints, which know of each other by `peers`; what is down or ejected is not picked. Where that
    /// leaves none, those are that only fail their checks: a wrong check must not stop a service.
    pub fn new(all: Vec<Member>, policy: &Policy, peers: Arc<Peers>) -> Self {
        let rules = Rules {
            balance: policy.balance,
            hash_key: policy.hash_key.clone(),
            slow_start: policy.ejection.slow_start,
            peers,
            last_resort: !all.iter().any(|m| m.endpoint.health.state().is_picked()),
        };
        let live = |m: &&Member| rules.is_live(&m.endpoint.health);
        let available = all.iter().filter(live).count();
        let taste = Taste {
            prefer: policy.prefer.clone(),
            min_share: policy.min_share,
        };
        let lanes = Lanes::new(&policy.lanes, &all, &taste, &rules);
        let baseline = (0..).zip(&all).filter(|(_, it)| lanes.is_baseline(it));
        let baseline = baseline.map(|(at, _)| at).collect();
        let base = Group::new(0, baseline, &all, &taste, &rules);
        let last = laned(&lanes, &base).filter_map(Group::only_live);
        Self {
            last: last.map(|endpoint| endpoint.id).collect(),
            base,
            lanes,
            taste,
            rules,
            available,
            all,
        }
    }

    /// Whether some calls have nowhere else to go: it is the last of its lane, or of the baseline beside lanes, that may
    /// be picked.
    pub fn is_last_of_lane(&self, endpoint: &Endpoint) -> bool {
        self.last.contains(&endpoint.id)
    }

    /// Of each lane, and of the baseline beside lanes, that has no endpoint left to pick: the ejected one that is nearest
    /// to its return.
    pub fn stranded(&self) -> Vec<&Arc<Endpoint>> {
        let empty = laned(&self.lanes, &self.base).filter(|group| group.live() == 0);
        let nearest = |group: &Group| {
            let members = group.registered.iter().map(|at| &self.all[*at as usize]);
            let ejected = members.filter(|m| m.endpoint.health.state() == State::Ejected);
            let next = ejected.min_by_key(|m| m.endpoint.health.ejected_until());
            next.map(|m| &m.endpoint)
        };
        empty.filter_map(nearest).collect()
    }

    /// How many may be picked, by whatever call.
    pub fn available(&self) -> usize {
        self.available
    }

    /// How many this call may be sent to.
    pub fn live(&self, call: &dyn Attributes) -> usize {
        self.choose(call).map_or(0, Group::live)
    }

    /// All that this call may go to, down ones too.
    pub fn scope<'a>(&'a self, call: &'a dyn Attributes) -> Scope<'a> {
        Scope::new(self, call)
    }

    /// The line of those who wait for what this call would wait for, if all places that it may have are taken; `None` if
    /// no endpoint may be used.
    pub fn line(&self, call: &dyn Attributes) -> Option<LineId> {
        self.choose(call).map(|group| group.id)
    }

    /// Whether there is an endpoint that this call may be sent to and that was not tried.
    pub fn has_other(&self, call: &dyn Attributes, tried: &Tried) -> bool {
        self.choose(call)
            .is_some_and(|group| group.has_other(|endpoint| tried.contains(endpoint.id)))
    }

    /// Picks an endpoint with a free place (of `limit`, 0: any number) that this call may go to, not one that was tried
    /// while there is another.
    #[inline]
    pub fn pick(&self, call: &dyn Attributes, tried: &Tried, limit: usize, now: Instant) -> Pick {
        let Some(group) = self.choose(call) else {
            return Pick::Nothing;
        };
        group.pick(&Ask {
            call,
            tried,
            limit,
            now,
            rules: &self.rules,
        })
    }

    /// The first group with a live endpoint that the call may go to.
    #[inline]
    fn choose<'a>(&'a self, call: &'a dyn Attributes) -> Option<&'a Group> {
        if self.lanes.rules.is_empty() {
            return Some(&self.base).filter(|group| group.live() > 0);
        }
        self.choose_lane(call)
    }

    fn choose_lane<'a>(&'a self, call: &'a dyn Attributes) -> Option<&'a Group> {
        let mut bound = false;
        for way in self.lanes.ways(call) {
            let live = way.group.filter(|group| group.live() > 0);
            if live.is_some() {
                return live;
            }
            bound = !way.fallback;
        }
        Some(&self.base).filter(|group| !bound && group.live() > 0)
    }
}

/// The groups that calls are bound to; none where there are no lanes, since all calls may go everywhere then.
fn laned<'a>(lanes: &'a Lanes, base: &'a Group) -> impl Iterator<Item = &'a Group> {
    let base = (!lanes.rules.is_empty()).then_some(base);
    lanes.each().chain(base)
}
