//! Lanes and preferences as people are shown them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::group::Group;
use super::lanes::{name, named as named_as};
use super::{EndpointSet, Member};

/// A part of a set's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is: `lane env=alice`, `baseline`, `preferred: this_host`, `no lane`.
    pub name: String,
    /// How many may be picked.
    pub live: usize,
    /// How many there are.
    pub registered: usize,
    /// Of a lane or the baseline: what is preferred of it.
    pub preferred: Option<Box<Part>>,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.name.contains(": ") { "," } else { ":" };
        let (name, live, registered) = (&self.name, self.live, self.registered);
        write!(out, "{name}{separator} {live} of {registered} live")?;
        match &self.preferred {
            Some(part) => write!(out, "; {part}"),
            None => Ok(()),
        }
    }
}

impl EndpointSet {
    /// The lanes and the baseline, and what is preferred; nothing where a policy has neither. What belongs to no lane is
    /// said too: no call ever goes there.
    pub fn parts(&self) -> Vec<Part> {
        if self.lanes.rules.is_empty() {
            return self.preferred_part(&self.base).into_iter().collect();
        }
        let part = |name: String, group: &Group| Part {
            name,
            live: group.live(),
            registered: group.registered.len(),
            preferred: self.preferred_part(group).map(Box::new),
        };
        let mut reached: HashSet<u32> = self.base.registered.iter().copied().collect();
        let mut parts: Vec<Part> = Vec::new();
        for (name, group) in self.lanes.groups() {
            reached.extend(&group.registered);
            parts.push(part(format!("lane {name}"), group));
        }
        for rule in self.lanes.rules.iter().filter(|rule| rule.is_empty()) {
            let (name, at) = (name(&rule.lane, &()), &rule.lane.at.0);
            parts.push(Part {
                name: format!("lane {name} ({at})"),
                live: 0,
                registered: 0,
                preferred: None,
            });
        }
        parts.push(part("baseline".to_owned(), &self.base));
        let left = (0..).zip(&self.all).filter(|(at, _)| !reached.contains(at));
        let left: Vec<&Member> = left.map(|(_, member)| member).collect();
        if !left.is_empty() {
            parts.push(Part {
                name: "no lane, no call".to_owned(),
                live: left
                    .iter()
                    .filter(|m| m.endpoint.health.state().is_picked())
                    .count(),
                registered: left.len(),
                preferred: None,
            });
        }
        parts
    }

    fn preferred_part(&self, group: &Group) -> Option<Part> {
        let it = group.preferred?;
        Some(Part {
            name: format!("preferred: {}", self.taste.prefer[it.item]),
            live: it.live,
            registered: it.registered,
            preferred: None,
        })
    }

    /// Of an instance's tags those that lanes name, as `env=alice`.
    pub fn lane_tags(&self, tags: &BTreeMap<String, String>) -> Vec<String> {
        let named = tags.iter().filter(|(tag, value)| {
            !value.is_empty() && self.lanes.named.iter().any(|it| **it == ***tag)
        });
        let shown = named.map(|(tag, value)| named_as(std::iter::once((&**tag, value.clone()))));
        shown.collect()
    }

    /// The numbers of the endpoints that calls go to first.
    pub fn preferred(&self) -> HashSet<u32> {
        let lanes = self.lanes.groups().map(|(_, group)| group);
        let mut ids = HashSet::new();
        for group in lanes.chain([&self.base]) {
            let Some(it) = group.preferred else { continue };
            let members = group.registered.iter().map(|at| &self.all[*at as usize]);
            let members = members.filter(|m| self.taste.fits(it.item, m));
            ids.extend(members.map(|m| m.endpoint.id));
        }
        ids
    }
}
