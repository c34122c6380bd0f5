//! All endpoints that a call may go to, down ones too, for when none is live: to dial the one nearest to its return, and
//! to say what is wrong.

use std::sync::Arc;

use super::group::Group;
use super::lanes::{Way, name};
use super::{EndpointSet, Member};
use crate::call::Attributes;
use crate::config::Policy;
use crate::endpoint::{Endpoint, LineId};

/// Endpoints named in an answer, at most.
const NAMED: usize = 3;

/// See the module.
pub struct Scope<'a> {
    set: &'a EndpointSet,
    call: &'a dyn Attributes,
    /// The rule that keeps the call from going on.
    stop: Option<Way<'a>>,
    groups: Vec<&'a Group>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(set: &'a EndpointSet, call: &'a dyn Attributes) -> Self {
        let ways: Vec<Way<'a>> = set.lanes.ways(call).collect();
        let stop = ways.last().filter(|way| !way.fallback).copied();
        let baseline = stop.is_none().then_some(&set.base);
        let mut groups: Vec<&Group> = Vec::new();
        for group in ways.iter().filter_map(|way| way.group).chain(baseline) {
            // Several rules may lead to the same.
            if groups.iter().all(|it| it.id != group.id) {
                groups.push(group);
            }
        }
        Self {
            set,
            call,
            stop,
            groups,
        }
    }

    /// The endpoints; one that is in several lanes is there several times.
    pub fn endpoints(&self) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        let all = &self.set.all;
        let of = move |at: &u32| &all[*at as usize].endpoint;
        let groups = self.groups.iter();
        groups.flat_map(move |group| group.registered.iter().map(of))
    }

    /// How many are registered.
    pub fn registered(&self) -> usize {
        self.groups.iter().map(|it| it.registered.len()).sum()
    }

    /// How many may be picked.
    pub fn live(&self) -> usize {
        self.groups.iter().map(|it| it.live()).sum()
    }

    /// The same for all calls that may go to the same endpoints.
    pub fn id(&self) -> LineId {
        let ids = self.groups.iter().map(|it| it.id);
        // All ids but the baseline's are random.
        let all = ids.fold(0_u64, |all, id| all.rotate_left(1) ^ id);
        all ^ u64::from(self.stop.is_some() && all == 0)
    }

    /// Whether the call is in a lane that it may not leave.
    pub fn is_bound(&self) -> bool {
        self.stop.is_some()
    }

    /// Why a call of `service` gets no answer from an instance, where its lanes have to do with that. `policy` knows
    /// where its rules stand now.
    pub fn why(&self, service: &str, policy: &Policy) -> Option<String> {
        if self.set.lanes.rules.is_empty() {
            return None;
        }
        let Some(stop) = self.stop else {
            return (self.registered() == 0).then(|| self.no_baseline(service));
        };
        let rule = &self.set.lanes.rules[stop.rule].lane;
        let lane = name(rule, self.call);
        let at = policy.lanes.get(stop.rule).unwrap_or(rule).at.0.clone();
        let at = match at.is_empty() {
            true => String::new(),
            false => format!(" ({at})"),
        };
        let has = self.states(stop.group.map_or(&[], |group| &group.registered));
        Some(format!(
            "lane {lane} of {service} has no live instance ({has}), and fallback = false{at}"
        ))
    }

    fn no_baseline(&self, service: &str) -> String {
        let tags: Vec<&str> = self.set.lanes.named.iter().map(|tag| &**tag).collect();
        let (all, tags) = (self.set.all.len(), tags.join(", "));
        let example = self.example();
        format!(
            "the call fits no lane of {service} that has an instance, and there is no baseline: all {all} instances have \
             a tag that lanes name ({tags}); a last [[service.lane]] without `when` can name one, such as use = {{ \
             {example} }}"
        )
    }

    /// A tag that many have.
    fn example(&self) -> String {
        let mut counts = std::collections::BTreeMap::new();
        for member in &self.set.all {
            for tag in &self.set.lanes.named {
                if let Some(value) = member.tags.get(tag) {
                    *counts.entry((&**tag, value)).or_insert(0_usize) += 1;
                }
            }
        }
        let most = counts.into_iter().max_by_key(|(_, n)| *n);
        most.map_or("cluster = \"default\"".to_owned(), |((tag, value), _)| {
            format!("{tag} = \"{}\"", value.escape_debug())
        })
    }

    /// `2 registered: 10.0.0.3:8888 down, 10.0.0.4:8888 ejected`.
    fn states(&self, registered: &[u32]) -> String {
        let shown = registered.iter().take(NAMED).map(|at| {
            let Member { endpoint, .. } = &self.set.all[*at as usize];
            format!("{} {}", endpoint.name, endpoint.health.state().label())
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        match registered.len() {
            0 => "none registered".to_owned(),
            n if n > NAMED => format!("{n} registered: {shown} and {} more", n - NAMED),
            n => format!("{n} registered: {shown}"),
        }
    }
}
