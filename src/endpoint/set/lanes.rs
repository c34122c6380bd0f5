//! Which endpoints a call may go to, by what it says of itself: the rules of a policy, turned over the tags of a set.
//!
//! For each list of tags that rules name there is one [`Table`]: the endpoints that have all of these tags, grouped by
//! their values. A rule whose values are all fixed knows its group when the set is made. One whose values come from the
//! call finds it by a hash of them: read where they stand in the call, never copied, and compared.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use smallvec::SmallVec;

use super::Member;
use super::group::{Group, Taste};
use super::tier::Rules;
use crate::call::Attributes;
use crate::config::{Lane, Wanted};
use crate::endpoint::LineId;

/// Nobody who chooses what a call says can choose where that stands in a table.
static SEED: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);

/// The rules of a set, and its groups.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) rules: Vec<Rule>,
    tables: Vec<Table>,
    /// The tags that rules name: an endpoint that has none of them is of the baseline.
    pub(super) named: Vec<Arc<str>>,
}

/// A rule.
pub(super) struct Rule {
    pub(super) lane: Lane,
    table: usize,
    /// Where all values are fixed: the group, where there is one.
    fixed: Option<Option<usize>>,
}

/// The endpoints that have all of some tags.
#[derive(Default)]
struct Table {
    tags: Vec<Arc<str>>,
    groups: Vec<Grouped>,
    by_hash: HashMap<u64, SmallVec<[u32; 1]>, foldhash::fast::RandomState>,
}

/// Those of them that have the same values.
struct Grouped {
    values: Vec<Box<str>>,
    group: Group,
}

/// What a rule comes to for a call that fits it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) rule: usize,
    /// `None`: nothing is registered with these tags.
    pub(super) group: Option<&'a Group>,
    /// Whether the call goes on from here.
    pub(super) fallback: bool,
}

impl Lanes {
    /// The groups of `all` that these rules can lead to.
    pub(super) fn new(lanes: &[Lane], all: &[Member], taste: &Taste, rules: &Rules) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        let mut of_rules = Vec::new();
        for lane in lanes {
            let tags: Vec<Arc<str>> = lane.tags.iter().map(|(tag, _)| tag.clone()).collect();
            let at = tables.iter().position(|table| table.tags == tags);
            of_rules.push(at.unwrap_or_else(|| {
                let of = lanes.iter().filter(|it| has_tags(it, &tags));
                let of: Vec<&Lane> = of.collect();
                tables.push(Table::new(tags, &of, all, taste, rules));
                tables.len() - 1
            }));
        }
        let with_rules = lanes.iter().zip(of_rules);
        let with_rules = with_rules.map(|(lane, table)| Rule {
            fixed: fixed(lane).map(|values| tables[table].of(&values)),
            lane: lane.clone(),
            table,
        });
        let rules = with_rules.collect();
        let mut named: Vec<_> = tables.iter().flat_map(|it| it.tags.clone()).collect();
        named.sort();
        named.dedup();
        Self {
            rules,
            tables,
            named,
        }
    }

    /// Whether the endpoint has none of the tags that rules name.
    pub(super) fn is_baseline(&self, member: &Member) -> bool {
        !self.named.iter().any(|tag| member.tags.get(tag).is_some())
    }

    /// The rules that a call fits, in order, to the first that does not let it go on.
    #[inline]
    pub(super) fn ways<'a>(&'a self, call: &'a dyn Attributes) -> impl Iterator<Item = Way<'a>> {
        let mut on = true;
        let all = self.rules.iter().enumerate();
        let fitting = all.filter_map(move |(at, rule)| {
            Some(Way {
                rule: at,
                group: self.way(rule, call)?,
                fallback: rule.lane.fallback,
            })
        });
        fitting.take_while(move |way| std::mem::replace(&mut on, way.fallback))
    }

    /// Where a rule leads a call; `None` if it does not fit.
    #[inline]
    fn way(&self, rule: &Rule, call: &dyn Attributes) -> Option<Option<&Group>> {
        let holds = |it: &crate::config::Condition| {
            let said = call.attribute(&it.key);
            said.is_some_and(|said| it.holds(&said))
        };
        if !rule.lane.when.iter().all(holds) {
            return None;
        }
        let table = &self.tables[rule.table];
        let at = match rule.fixed {
            Some(at) => at,
            None => table.said(&rule.lane, call)?,
        };
        Some(at.map(|at| &table.groups[at].group))
    }

    /// Every group.
    pub(super) fn each(&self) -> impl Iterator<Item = &Group> {
        let tables = self.tables.iter();
        tables.flat_map(|table| table.groups.iter().map(|it| &it.group))
    }

    /// Every group with its name, such as `env=alice`.
    pub(super) fn groups(&self) -> impl Iterator<Item = (String, &Group)> {
        let of = |table: &'_ Table, grouped: &Grouped| {
            let pairs = table.tags.iter().zip(&grouped.values);
            named(pairs.map(|(tag, value)| (&**tag, value.to_string())))
        };
        self.tables.iter().flat_map(move |table| {
            let groups = table.groups.iter();
            groups.map(move |it| (of(table, it), &it.group))
        })
    }
}

impl Rule {
    /// Whether it leads only to tags that no instance has.
    pub(super) fn is_empty(&self) -> bool {
        self.fixed == Some(None)
    }
}

/// `env=alice, cluster=blue`, with nothing that a terminal could take for more than text.
pub(super) fn named<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let pairs = pairs.map(|(tag, value)| format!("{tag}={}", value.escape_debug()));
    pairs.collect::<Vec<_>>().join(", ")
}

/// What a rule's lane is called for a call that fits it.
pub(super) fn name(lane: &Lane, call: &dyn Attributes) -> String {
    /// More of a value is not shown.
    const SHOWN: usize = 64;
    named(lane.tags.iter().map(|(tag, wanted)| {
        let value = match wanted {
            Wanted::Text(text) => text.to_string(),
            Wanted::Of(key) => call.attribute(key).map_or(String::new(), |said| {
                String::from_utf8_lossy(&said).chars().take(SHOWN).collect()
            }),
        };
        (&**tag, value)
    }))
}

fn has_tags(lane: &Lane, tags: &[Arc<str>]) -> bool {
    lane.tags.iter().map(|(tag, _)| tag).eq(tags)
}

/// The values of a rule, where they are all fixed.
fn fixed(lane: &Lane) -> Option<Vec<&str>> {
    let text = |(_, wanted): &'_ (Arc<str>, Wanted)| match wanted {
        Wanted::Text(_) => true,
        Wanted::Of(_) => false,
    };
    let values = lane.tags.iter().filter_map(|(_, wanted)| match wanted {
        Wanted::Text(text) => Some(&**text),
        Wanted::Of(_) => None,
    });
    lane.tags.iter().all(text).then(|| values.collect())
}

impl Table {
    fn new(
        tags: Vec<Arc<str>>,
        lanes: &[&Lane],
        all: &[Member],
        taste: &Taste,
        rules: &Rules,
    ) -> Self {
        let mut found: BTreeMap<Vec<&str>, Vec<u32>> = BTreeMap::new();
        for (at, member) in (0..).zip(all) {
            let values: Option<Vec<&str>> = tags.iter().map(|tag| member.tags.get(tag)).collect();
            let Some(values) = values else { continue };
            if lanes.iter().any(|lane| can_be(lane, &values)) {
                found.entry(values).or_default().push(at);
            }
        }
        let mut table = Self::default();
        for (values, registered) in found {
            let hash = hash(values.iter().map(|it| it.as_bytes()));
            let id = line(&tags, hash);
            let group = Group::new(id, registered, all, taste, rules);
            let at = table.groups.len() as u32;
            table.by_hash.entry(hash).or_default().push(at);
            let values = values.into_iter().map(Into::into).collect();
            table.groups.push(Grouped { values, group });
        }
        Self { tags, ..table }
    }

    /// The group of these values.
    fn of(&self, values: &[&str]) -> Option<usize> {
        let is_it = |it: &Grouped| {
            it.values
                .iter()
                .map(|value| &**value)
                .eq(values.iter().copied())
        };
        self.groups.iter().position(is_it)
    }

    /// The group of the values that a rule wants of this call; `None` if the call does not say them all.
    fn said(&self, lane: &Lane, call: &dyn Attributes) -> Option<Option<usize>> {
        let mut hasher = SEED.build_hasher();
        for (_, wanted) in &lane.tags {
            match wanted {
                Wanted::Text(text) => text.as_bytes().hash(&mut hasher),
                Wanted::Of(key) => call.attribute(key)?.hash(&mut hasher),
            }
        }
        let Some(found) = self.by_hash.get(&hasher.finish()) else {
            return Some(None);
        };
        let is = |wanted: &Wanted, value: &str| match wanted {
            Wanted::Text(text) => **text == *value,
            Wanted::Of(key) => call
                .attribute(key)
                .is_some_and(|said| *said == *value.as_bytes()),
        };
        let is_it = |at: &&u32| {
            let values = &self.groups[**at as usize].values;
            let mut pairs = lane.tags.iter().zip(values);
            pairs.all(|((_, wanted), value)| is(wanted, value))
        };
        Some(found.iter().find(is_it).map(|at| *at as usize))
    }
}

/// Whether a rule can want these values.
fn can_be(lane: &Lane, values: &[&str]) -> bool {
    let mut pairs = lane.tags.iter().zip(values);
    pairs.all(|((_, wanted), value)| match wanted {
        Wanted::Text(text) => **text == **value,
        Wanted::Of(_) => true,
    })
}

fn hash<'a>(values: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = SEED.build_hasher();
    values.for_each(|value| value.hash(&mut hasher));
    hasher.finish()
}

/// The line of those who wait for these tags with these values: never that of the baseline.
fn line(tags: &[Arc<str>], values: u64) -> LineId {
    SEED.hash_one((tags, values)).max(1)
}
