//! What of the registered set may be dialled: a state machine without clock, sockets or tasks.
//!
//! Two rules need memory. *Suspicious* addresses (`loopback`, `link_local`) are used, under
//! [`Suspicious::Avoid`], only while nothing else is registered and nothing else was in the last
//! `empty_grace`: never because the others are unwell, for that would send calls to whatever listens
//! on the caller's own loopback. And a service that *becomes empty* keeps what it lost in the
//! `empty_grace` before as last resort for `empty_grace` after, since a lease table that was emptied
//! by an accident of etcd looks like instances that stopped.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::candidate::{Candidate, World, candidates};
use super::{DialAddr, Host, Member, Members, ReadSet, Resolved, Rewrites, Shown};

#[cfg(test)]
mod tests;

/// What becomes of addresses that mean something else on every host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Suspicious {
    /// Used only while nothing else is registered, nor was in the last `empty_grace`.
    #[default]
    Avoid,
    /// Used like any other.
    Allow,
    /// Never used.
    Refuse,
}

/// The policy of one service as far as membership goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPolicy {
    /// See [`Suspicious`].
    pub suspicious: Suspicious,
    /// How long what was lost stays as last resort, and how long suspicious addresses wait. 0: not
    /// at all.
    pub empty_grace: Duration,
    /// What becomes of registered addresses before anything else.
    pub rewrites: Arc<Rewrites>,
}

impl Default for MemberPolicy {
    fn default() -> Self {
        MemberPolicy {
            suspicious: Suspicious::default(),
            empty_grace: Duration::from_secs(15),
            rewrites: Arc::default(),
        }
    }
}

/// The state machine of one service. Feed it sets and time; it says what the members are.
#[derive(Debug)]
pub struct Membership {
    policy: MemberPolicy,
    registered: Vec<Candidate>,
    /// The host names among them and among what rules make of them.
    wanted: BTreeSet<String>,
    /// The members by the newest set that had any.
    current: Vec<Member>,
    /// What left the registry while others were there, and when.
    lost: Vec<(Member, Instant)>,
    /// When the last good address left, while none is registered.
    good_gone: Option<Instant>,
    /// When the service became empty, and what is kept since.
    emptied: Option<(Instant, Vec<Member>)>,
}

impl Membership {
    /// Nothing registered yet.
    #[must_use]
    pub fn new(policy: MemberPolicy) -> Self {
        Membership {
            policy,
            registered: Vec::new(),
            wanted: BTreeSet::new(),
            current: Vec::new(),
            lost: Vec::new(),
            good_gone: None,
            emptied: None,
        }
    }

    /// Takes in what the registry says now, with what its host names stand for.
    pub fn read(&mut self, set: &ReadSet, host: &Host, names: &Resolved, now: Instant) -> Members {
        let had_good = self.has_good();
        let world = World {
            host,
            names,
            rewrites: &self.policy.rewrites,
        };
        let mut wanted = BTreeSet::new();
        self.registered = set
            .instances
            .iter()
            .flat_map(|instance| candidates(instance, &world, &mut wanted))
            .collect();
        self.wanted = wanted;
        let has_good = self.has_good();
        if has_good {
            self.good_gone = None;
        } else if had_good {
            self.good_gone = Some(now);
        }
        self.settle(now)
    }

    /// Whether anything is registered that is not suspicious. A name that was not looked up yet may turn out to be.
    fn has_good(&self) -> bool {
        let is_good = |it: &Candidate| it.is_good() && !it.is_pending();
        self.registered.iter().any(is_good)
    }

    /// Takes in a new policy. Other rules hold from the next [`read`](Self::read) on: until then there is nothing.
    pub fn set_policy(&mut self, policy: MemberPolicy, now: Instant) -> Members {
        if policy.rewrites != self.policy.rewrites {
            // What other rules lead to is no loss of the registry: nothing of it is kept, nothing is waited for.
            self.registered.clear();
            self.current.clear();
            self.lost.clear();
            self.good_gone = None;
        }
        self.policy = policy;
        self.settle(now)
    }

    /// The host names that have to be resolved for what is registered.
    #[must_use]
    pub fn wanted_names(&self) -> &BTreeSet<String> {
        &self.wanted
    }

    /// Takes in that time has passed.
    pub fn tick(&mut self, now: Instant) -> Members {
        self.settle(now)
    }

    /// When the members change next if nothing else happens: a grace ends.
    #[must_use]
    pub fn next_change(&self) -> Option<Instant> {
        let grace = self.policy.empty_grace;
        let last_resort = self.emptied.as_ref().filter(|(_, kept)| !kept.is_empty());
        let last_resort = last_resort.map(|(since, _)| *since + grace);
        let waiting = self.policy.suspicious == Suspicious::Avoid
            && self
                .registered
                .iter()
                .any(|candidate| candidate.dialled_class().suspicious());
        let suspicious = self
            .good_gone
            .filter(|_| waiting)
            .map(|since| since + grace);
        last_resort.into_iter().chain(suspicious).min()
    }

    fn settle(&mut self, now: Instant) -> Members {
        let grace = self.policy.empty_grace;
        if self.good_gone.is_some_and(|since| now >= since + grace) {
            self.good_gone = None;
        }
        let (list, mut shown) = self.judge();
        self.note_losses(now);
        let list = if list.is_empty() {
            self.last_resort(now)
        } else {
            self.emptied = None;
            list
        };
        self.current.clone_from(&list);
        shown.extend(
            list.iter()
                .filter(|member| member.last_resort)
                .map(|member| Shown::lost(member, grace)),
        );
        Members {
            list: list.into(),
            shown,
            known: true,
            denied: None,
            unreadable: 0,
        }
    }

    /// Splits what is registered into what may be used and why the rest may not.
    fn judge(&self) -> (Vec<Member>, Vec<Shown>) {
        let held_back = self.holds_back_suspicious();
        let winners = self.winners();
        let mut list = Vec::new();
        let mut shown = Vec::with_capacity(self.registered.len());
        for (index, candidate) in self.registered.iter().enumerate() {
            let mut entry = Shown::new(candidate);
            match &candidate.dial {
                None => {}
                Some(dial) if winners.get(dial) != Some(&index) => {
                    let winner = winners.get(dial).map(|index| &self.registered[*index]);
                    entry.mark_duplicate(winner);
                }
                Some(_) if candidate.dialled_class().suspicious() && held_back.is_some() => {
                    entry.why = held_back.unwrap_or_default().to_owned();
                }
                Some(dial) => {
                    entry.used = true;
                    list.push(Member::new(candidate, dial.clone()));
                }
            }
            shown.push(entry);
        }
        (list, shown)
    }

    /// Why suspicious addresses are not used now, if they are not.
    fn holds_back_suspicious(&self) -> Option<&'static str> {
        match self.policy.suspicious {
            Suspicious::Allow => None,
            Suspicious::Refuse => Some("refused: suspicious = \"refuse\""),
            Suspicious::Avoid if self.registered.iter().any(Candidate::is_good) => {
                Some("avoided while other addresses are registered: suspicious = \"avoid\"")
            }
            Suspicious::Avoid if self.good_gone.is_some() => {
                Some("avoided: other addresses were registered within empty_grace")
            }
            Suspicious::Avoid => None,
        }
    }

    /// Who stands for an address that several entries name: the one put last.
    fn winners(&self) -> HashMap<&DialAddr, usize> {
        let mut winners: HashMap<&DialAddr, usize> = HashMap::new();
        for (index, candidate) in self.registered.iter().enumerate() {
            let Some(dial) = &candidate.dial else {
                continue;
            };
            let winner = winners.entry(dial).or_insert(index);
            if candidate.instance.revision > self.registered[*winner].instance.revision {
                *winner = index;
            }
        }
        winners
    }

    /// Remembers for `empty_grace` which members are registered no more. What the policy refuses is
    /// still registered, so it is not lost.
    fn note_losses(&mut self, now: Instant) {
        let registered: HashSet<&DialAddr> = self
            .registered
            .iter()
            .filter_map(|candidate| candidate.dial.as_ref())
            .collect();
        let gone = |member: &Member| !registered.contains(&member.dial);
        let left = self
            .current
            .iter()
            .filter(|member| !member.last_resort && gone(member));
        self.lost.extend(left.map(|member| (member.clone(), now)));
        let grace = self.policy.empty_grace;
        self.lost
            .retain(|(member, since)| gone(member) && now < *since + grace);
    }

    /// What an empty service still has. Fixed at the moment it became empty.
    fn last_resort(&mut self, now: Instant) -> Vec<Member> {
        let grace = self.policy.empty_grace;
        let lost = &self.lost;
        let (since, kept) = self.emptied.get_or_insert_with(|| {
            let kept = lost.iter().map(|(member, _)| Member {
                last_resort: true,
                ..member.clone()
            });
            (now, kept.collect())
        });
        if now >= *since + grace {
            kept.clear();
        }
        kept.clone()
    }
}
