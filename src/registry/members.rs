//! What [`Membership`](super::Membership) says: where calls may go, and everything registered as people are shown it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::candidate::Candidate;
use super::{Class, Code, DialAddr, Instance, Naming, Rewritten};

/// An address that calls may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The registration it comes from.
    pub instance: Arc<Instance>,
    /// Where to dial. Unique among the members of a service.
    pub dial: DialAddr,
    /// The class of what is registered.
    pub class: Class,
    /// What is registered, as [`Shown::registered`].
    pub registered: Option<SocketAddr>,
    /// The rule that led to it.
    pub rewritten: Option<Rewritten>,
    /// The findings, the gravest first.
    pub codes: Vec<Code>,
    /// Its share, 1 to 1,000,000.
    pub weight: u32,
    /// Registered no more: kept by `empty_grace`.
    pub last_resort: bool,
}

impl Member {
    /// What calls are sent to at `dial`.
    pub(super) fn new(candidate: &Candidate, dial: DialAddr) -> Self {
        Self {
            instance: Arc::clone(&candidate.instance),
            dial,
            class: candidate.class,
            registered: candidate.registered,
            rewritten: candidate.rewritten.clone(),
            codes: candidate.codes.clone(),
            weight: candidate.instance.weight,
            last_resort: false,
        }
    }

    /// The class that counts: that of what is dialled.
    #[must_use]
    pub fn dialled_class(&self) -> Class {
        self.rewritten.as_ref().map_or(self.class, |it| it.class)
    }

    /// Whether calls stay on this host.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(
            self.dialled_class(),
            Class::ThisHost | Class::Loopback | Class::UnixSocket
        )
    }
}

/// A registered address as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The registration.
    pub instance: Arc<Instance>,
    /// The class of what is registered.
    pub class: Class,
    /// What is registered, before any rule, resolved where it is a name; `None` where it has no IP address, or where
    /// nobody had to know it.
    pub registered: Option<SocketAddr>,
    /// What a rule made of it; the class of that is the one that counts.
    pub rewritten: Option<Rewritten>,
    /// The gravest finding.
    pub code: Option<Code>,
    /// The other findings.
    pub more: Vec<Code>,
    /// What is dialled for it, or would be.
    pub dial: Option<DialAddr>,
    /// How far it is known what the host name of what is dialled stands for.
    pub naming: Naming,
    /// Calls may be sent to it.
    pub used: bool,
    /// Why it is not used, or what is remarkable about it; may be empty.
    pub why: String,
}

impl Shown {
    /// As it stands; whether it is used is yet to be said.
    pub(super) fn new(candidate: &Candidate) -> Self {
        let mut codes = candidate.codes.iter().copied();
        Self {
            instance: Arc::clone(&candidate.instance),
            class: candidate.class,
            registered: candidate.registered,
            rewritten: candidate.rewritten.clone(),
            code: codes.next(),
            more: codes.collect(),
            dial: candidate.dial.clone(),
            naming: candidate.naming,
            used: false,
            why: candidate.why.clone(),
        }
    }

    /// What is registered no more and still used.
    pub(super) fn lost(member: &Member, grace: Duration) -> Self {
        Self {
            instance: Arc::clone(&member.instance),
            class: member.class,
            registered: member.registered,
            rewritten: member.rewritten.clone(),
            code: None,
            more: Vec::new(),
            dial: Some(member.dial.clone()),
            naming: Naming::Settled,
            used: true,
            why: format!(
                "registered no more; kept as last resort for {grace:?} since the service became empty, because a \
                 registry that lost its leases looks the same"
            ),
        }
    }

    /// Says that it is dialled for another entry, or for another address of its own.
    pub(super) fn mark_duplicate(&mut self, winner: Option<&Candidate>) {
        let led = self.rewritten.is_some() || winner.is_some_and(|it| it.rewritten.is_some());
        if led {
            let same = winner.is_some_and(|it| Arc::ptr_eq(&it.instance, &self.instance));
            let whose = if same {
                "another address of this entry"
            } else {
                "another entry"
            };
            self.why = format!("{whose} leads to the same address, which is dialled for both");
            return;
        }
        self.more.extend(self.code.replace(Code::R11));
        self.why = "the same address stands in a newer entry".to_owned();
    }

    /// The address that it is registered with; of a host name, the one that it stands for. `None` where nobody can be
    /// there: one that is malformed or unspecified, forbidden, or our own.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        self.registered.filter(|_| self.class.dialable())
    }

    /// The class that counts: that of what is dialled.
    #[must_use]
    pub fn dialled_class(&self) -> Class {
        self.rewritten.as_ref().map_or(self.class, |it| it.class)
    }

    /// `10.0.0.7:8888`, or what it is and what a rule made of it.
    #[must_use]
    pub fn before_and_after(&self) -> String {
        let registered = &self.instance.address;
        match &self.rewritten {
            Some(rewritten) => format!("{registered} → {rewritten}"),
            None => registered.clone(),
        }
    }

    /// What can be done about one of its findings.
    #[must_use]
    pub fn remedy(&self, code: Code) -> String {
        code.remedy_of(&self.instance, self.rewritten.as_ref())
    }

    /// A host name that was not looked up yet.
    pub(super) fn is_pending(&self) -> bool {
        self.naming == Naming::Pending
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
    /// How many entries could not be read.
    pub unreadable: usize,
}

impl Members {
    /// Whether the registry was read, and nothing of the name is there, readable or not: [`Code::R13`].
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let is_empty = self.list.is_empty() && self.shown.is_empty() && self.unreadable == 0;
        is_empty && self.known && self.denied.is_none()
    }
}
