//! What of the registered set may be dialled: a state machine without clock, sockets or tasks.
//!
//! Two rules need memory. *Suspicious* addresses (`loopback`, `link_local`) are used, under
//! [`Suspicious::Avoid`], only while nothing else is registered and nothing else was in the last
//! `empty_grace`: never because the others are unwell, for that would send calls to whatever listens
//! on the caller's own loopback. And a service that *becomes empty* keeps what it lost in the
//! `empty_grace` before as last resort for `empty_grace` after, since a lease table that was emptied
//! by an accident of etcd looks like instances that stopped.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::candidate::{Candidate, candidates};
use super::{Class, Code, DialAddr, Host, Instance, ReadSet, Resolved};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberPolicy {
    /// See [`Suspicious`].
    pub suspicious: Suspicious,
    /// How long what was lost stays as last resort, and how long suspicious addresses wait. 0: not
    /// at all.
    pub empty_grace: Duration,
}

impl Default for MemberPolicy {
    fn default() -> Self {
        MemberPolicy {
            suspicious: Suspicious::default(),
            empty_grace: Duration::from_secs(15),
        }
    }
}

/// An address that calls may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The registration it comes from.
    pub instance: Arc<Instance>,
    /// Where to dial. Unique among the members of a service.
    pub dial: DialAddr,
    /// Its class.
    pub class: Class,
    /// Its share, 1 to 1,000,000.
    pub weight: u32,
    /// Registered no more: kept by `empty_grace`.
    pub last_resort: bool,
}

/// A registered address as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The registration.
    pub instance: Arc<Instance>,
    /// Its class.
    pub class: Class,
    /// The gravest finding.
    pub code: Option<Code>,
    /// The other findings.
    pub more: Vec<Code>,
    /// What is dialled for it, or would be.
    pub dial: Option<DialAddr>,
    /// Calls may be sent to it.
    pub used: bool,
    /// Why it is not used, or what is remarkable about it; may be empty.
    pub why: String,
}

impl Shown {
    /// The address that it is registered with; of a host name, the one that it stands for. `None` where nobody can be
    /// there: one that is malformed or unspecified, forbidden, or our own.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self.dial {
            Some(DialAddr::Tcp(addr)) => Some(addr),
            _ => None,
        }
    }

    /// A host name that was not looked up yet.
    pub(super) fn is_pending(&self) -> bool {
        self.class == Class::Unresolvable && self.code.is_none()
    }
}

/// What is known of a service, and where its calls may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Where calls may be sent now, in the order of the registered keys.
    pub list: Arc<[Member]>,
    /// Everything registered, used or not, and what is kept as last resort.
    pub shown: Vec<Shown>,
    /// The registry was read at least once, or left a set in `state_dir`; and not all that is there
    /// still waits for its host name to be resolved. Until then calls wait.
    pub known: bool,
    /// The registry refuses to tell: what it needs.
    pub denied: Option<Arc<str>>,
}

/// The state machine of one service. Feed it sets and time; it says what the members are.
#[derive(Debug)]
pub struct Membership {
    policy: MemberPolicy,
    registered: Vec<Candidate>,
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
            current: Vec::new(),
            lost: Vec::new(),
            good_gone: None,
            emptied: None,
        }
    }

    /// Takes in what the registry says now, with what its host names stand for.
    pub fn read(&mut self, set: &ReadSet, host: &Host, names: &Resolved, now: Instant) -> Members {
        let had_good = self.registered.iter().any(Candidate::is_good);
        self.registered = set
            .instances
            .iter()
            .flat_map(|instance| candidates(instance, host, names))
            .collect();
        let has_good = self.registered.iter().any(Candidate::is_good);
        if has_good {
            self.good_gone = None;
        } else if had_good {
            self.good_gone = Some(now);
        }
        self.settle(now)
    }

    /// Takes in a new policy.
    pub fn set_policy(&mut self, policy: MemberPolicy, now: Instant) -> Members {
        self.policy = policy;
        self.settle(now)
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
                .any(|candidate| candidate.class.suspicious());
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
                .map(|member| show_lost(member, grace)),
        );
        Members {
            list: list.into(),
            shown,
            known: true,
            denied: None,
        }
    }

    /// Splits what is registered into what may be used and why the rest may not.
    fn judge(&self) -> (Vec<Member>, Vec<Shown>) {
        let held_back = self.holds_back_suspicious();
        let winners = self.winners();
        let mut list = Vec::new();
        let mut shown = Vec::with_capacity(self.registered.len());
        for (index, candidate) in self.registered.iter().enumerate() {
            let mut entry = show(candidate);
            match &candidate.dial {
                None => {}
                Some(dial) if winners.get(dial) != Some(&index) => mark_duplicate(&mut entry),
                Some(_) if candidate.class.suspicious() && held_back.is_some() => {
                    entry.why = held_back.unwrap_or_default().to_owned();
                }
                Some(dial) => {
                    entry.used = true;
                    list.push(member(candidate, dial.clone()));
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

fn member(candidate: &Candidate, dial: DialAddr) -> Member {
    Member {
        instance: Arc::clone(&candidate.instance),
        dial,
        class: candidate.class,
        weight: candidate.instance.weight,
        last_resort: false,
    }
}

fn show(candidate: &Candidate) -> Shown {
    let mut codes = candidate.codes.iter().copied();
    Shown {
        instance: Arc::clone(&candidate.instance),
        class: candidate.class,
        code: codes.next(),
        more: codes.collect(),
        dial: candidate.dial.clone(),
        used: false,
        why: candidate.why.clone(),
    }
}

fn mark_duplicate(entry: &mut Shown) {
    entry.more.extend(entry.code.replace(Code::R11));
    entry.why = "the same address stands in a newer entry".to_owned();
}

fn show_lost(member: &Member, grace: Duration) -> Shown {
    Shown {
        instance: Arc::clone(&member.instance),
        class: member.class,
        code: None,
        more: Vec::new(),
        dial: Some(member.dial.clone()),
        used: true,
        why: format!(
            "registered no more; kept as last resort for {grace:?} since the service became empty, because a \
             registry that lost its leases looks the same"
        ),
    }
}
