//! What `doctor` found, as data.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::helps::Whence;
use crate::diagnosis::{Lease, code_of};
use crate::finding::Code;
use crate::probe::{Connect, Seen};
use crate::registry::survey::{Elsewhere, MemberSeen};
use crate::registry::{Instance, Shown, Skipped};

/// All of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The registries that were looked at, in the order of the config.
    pub registries: Vec<RegistryReport>,
    /// The services, in the order in which they were asked for; else by registry and name.
    pub services: Vec<ServiceReport>,
}

/// One registry.
#[derive(Debug)]
pub struct RegistryReport {
    /// Its name in the config.
    pub name: Arc<str>,
    /// `etcd` or `file`.
    pub kind: &'static str,
    /// Where that is.
    pub whence: Whence,
    /// Its members, as they answered.
    pub members: Vec<MemberSeen>,
    /// What is wrong with it as a whole.
    pub findings: Vec<Whole>,
    /// Nothing could be read of it.
    pub unread: bool,
    /// Registrations that were not looked at since there are too many.
    pub left_out: usize,
    /// Keys of other programs that were passed over.
    pub passed_over: usize,
}

/// A finding about a service or a registry as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Which finding it is; `None` of a registry that is a file and cannot be read, and of what is
    /// taken on trust or may be meant otherwise, for which there is none.
    pub code: Option<Code>,
    /// What was seen.
    pub what: What,
}

impl Whole {
    /// Whether nothing is held against anyone by it.
    #[must_use]
    pub fn is_note(&self) -> bool {
        self.code.is_some_and(Code::is_note)
            || matches!(self.what, What::OnTrust(_) | What::OwnBridge(_))
    }

    /// What is said of it, its code in front.
    #[must_use]
    pub fn headed(&self, said: &str) -> String {
        match self.code {
            Some(code) => format!("{code} {said}"),
            None => said.to_owned(),
        }
    }
}

/// What was seen of a service or a registry as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// No service of this name is there.
    NoService {
        /// What stands before the services' names; `None` where the registry has no such thing.
        prefix: Option<String>,
        /// How many services are there; `None` where that could not be read.
        services: Option<usize>,
        /// The nearest of their names.
        nearest: Option<Arc<str>>,
        /// All of them, where they are few and none is near.
        names: Vec<Arc<str>>,
        /// Where else services stand.
        elsewhere: Vec<Elsewhere>,
    },
    /// The service is there, and has no instance.
    Empty,
    /// The service was there, and has no instance any more.
    Gone {
        /// The address of the one that went last.
        last: String,
        /// Where else services stand.
        elsewhere: Vec<Elsewhere>,
    },
    /// No service is there at all.
    Nothing {
        /// What stands before the services' names.
        prefix: Option<String>,
        /// Where else services stand.
        elsewhere: Vec<Elsewhere>,
    },
    /// The service's name begins these.
    Begins(Vec<Arc<str>>),
    /// At this address of this host something listens that was registered, and is no more.
    Unregistered(String),
    /// So many registrations are loopback addresses and answer, which is well as long as the registry, which is here,
    /// is no tunnel to another host.
    OnTrust(usize),
    /// So many registrations are this host's own address on a container bridge, and answer: well where a server of this
    /// host is meant, and not where it is another host, which has such an address too.
    OwnBridge(usize),
    /// A member did not answer.
    Member {
        /// Its URL.
        endpoint: String,
        /// Which step failed.
        step: &'static str,
        /// What it said.
        text: String,
    },
    /// It could not be read.
    Unread {
        /// Which step failed.
        step: &'static str,
        /// What it said.
        text: String,
    },
    /// A member's cluster advertises these URLs.
    Advertises {
        /// The member's URL.
        endpoint: String,
        /// What it advertises.
        urls: Vec<String>,
    },
    /// A member took so long to answer a read.
    Slow {
        /// Its URL.
        endpoint: String,
        /// How long it took.
        took: Duration,
    },
}

impl What {
    /// Where else `service` may be meant: where it stands under another prefix, or where anything does, while nothing
    /// stands under this one.
    #[must_use]
    pub fn elsewhere(&self, service: &str) -> Vec<&Elsewhere> {
        match self {
            What::NoService {
                services,
                elsewhere,
                ..
            } => {
                let all = elsewhere.iter();
                all.filter(|it| *services == Some(0) || *it.service == *service)
                    .collect()
            }
            What::Gone { elsewhere, .. } => {
                let all = elsewhere.iter();
                all.filter(|it| *it.service == *service).collect()
            }
            What::Nothing { elsewhere, .. } => elsewhere.iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// One service.
#[derive(Debug)]
pub struct ServiceReport {
    /// Its name.
    pub name: Arc<str>,
    /// The registry's name, or `config`.
    pub registry: Arc<str>,
    /// Where that is.
    pub whence: Whence,
    /// Findings about the service as a whole.
    pub findings: Vec<Whole>,
    /// Entries that could not be read as registrations.
    pub skipped: Vec<Skipped>,
    /// What is registered, in the order of the keys; a host name has an entry for each of its addresses.
    pub entries: Vec<Entry>,
    /// It could not be read: the findings say why.
    pub unread: bool,
}

/// One address of one registration.
#[derive(Debug)]
pub struct Entry {
    /// What is registered, and what a running tidegate would make of it.
    pub shown: Shown,
    /// Its lease.
    pub lease: Lease,
    /// What was seen at the address; `None` where it was not dialled.
    pub seen: Option<Seen>,
    /// The findings, the gravest first.
    pub codes: Vec<Code>,
    /// What comes of them; the same for all addresses of a registration.
    pub verdict: Verdict,
    /// Whoever registers there seems to share this host: that nobody listens is then told beside what is wrong with the
    /// address.
    pub alone: bool,
    /// An interface of this host is in the network of what is dialled.
    pub on_link: bool,
    /// What is dialled is this host's own address on a container bridge.
    pub own_bridge: bool,
    /// The longest that a connect of its callers may take, as it is configured.
    pub connect_timeout: Option<Duration>,
    /// An address of its host that others can dial, where one is known.
    pub host: Option<IpAddr>,
}

/// What comes of a registration's findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can be called from here.
    Reachable,
    /// Something is wrong with it.
    Wrong,
    /// This host could not look.
    Unknown,
}

impl Verdict {
    /// The word in JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Reachable => "reachable",
            Verdict::Wrong => "wrong",
            Verdict::Unknown => "unknown",
        }
    }
}

impl Entry {
    /// Whether something is held against this address.
    #[must_use]
    pub fn is_accused(&self) -> bool {
        self.codes.iter().any(|code| !code.is_note())
    }

    /// The time of the connect, where there is a connection.
    #[must_use]
    pub fn connect(&self) -> Option<Duration> {
        match self.seen.as_ref()?.connect {
            Connect::Open(took) => Some(took),
            _ => None,
        }
    }

    /// Whether something else than an RPC server answered: this host's port is then no sign of the instance.
    #[must_use]
    pub fn is_a_stranger(&self) -> bool {
        let spoke = self.seen.as_ref().and_then(|it| it.spoke.as_ref());
        spoke.is_some_and(|it| code_of(it) != Code::P07)
    }

    /// Whether it would be accused of meaning another host, and is not, since it answers here.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        let mut registered = self.shown.code.iter().chain(&self.shown.more);
        self.connect().is_some()
            && registered.any(|it| super::names_no_host(*it) && !self.codes.contains(it))
    }

    /// Whether somebody answers at this host's own address on a container bridge, of which nobody knows whether this
    /// host was meant.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.own_bridge && !self.alone && self.connect().is_some() && !self.is_accused()
    }

    /// The registration.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.shown.instance
    }
}

impl ServiceReport {
    /// The registrations: the addresses of each.
    pub fn registrations(&self) -> impl Iterator<Item = &[Entry]> {
        self.entries
            .chunk_by(|a, b| Arc::ptr_eq(a.instance(), b.instance()))
    }

    /// How many registrations there are, those among them that cannot be read.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.registrations().count() + self.skipped.len()
    }

    /// How many registrations have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let is_it = |all: &&[Entry]| all.first().is_some_and(|it| it.verdict == verdict);
        let unreadable = match verdict {
            Verdict::Wrong => self.skipped.len(),
            Verdict::Reachable | Verdict::Unknown => 0,
        };
        self.registrations().filter(is_it).count() + unreadable
    }

    /// Whether it is not there, or has no instance.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let is_it = |it: &Whole| it.code == Some(Code::R13);
        self.findings.iter().any(is_it)
    }

    /// Whether anything of it is wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.findings.iter().any(|it| !it.is_note()) || self.count(Verdict::Wrong) > 0
    }
}

/// What it all comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Registrations that were looked at.
    pub registrations: usize,
    /// Services that were looked at.
    pub services: usize,
    /// Registrations that can be called from here.
    pub reachable: usize,
    /// Registrations that something is wrong with.
    pub wrong: usize,
    /// Registrations that could not be tried.
    pub unknown: usize,
    /// Services that are not there, or have no instance.
    pub missing: usize,
    /// Other findings that are held against services or registries as a whole.
    pub others: usize,
    /// The exit code.
    pub exit: u8,
}

/// Something is wrong.
const WRONG: u8 = 1;
/// Nothing could be looked at, or not all.
pub(super) const BLIND: u8 = 3;

impl Report {
    /// See [`Summary`].
    #[must_use]
    pub fn summary(&self) -> Summary {
        let sum = |verdict| self.services.iter().map(|it| it.count(verdict)).sum();
        Summary {
            registrations: self.services.iter().map(ServiceReport::registered).sum(),
            services: self.services.len(),
            reachable: sum(Verdict::Reachable),
            wrong: sum(Verdict::Wrong),
            unknown: sum(Verdict::Unknown),
            missing: self.services.iter().filter(|it| it.is_missing()).count(),
            others: self.others(),
            exit: self.exit(),
        }
    }

    fn others(&self) -> usize {
        let of_registries = self.registries.iter().flat_map(|it| &it.findings);
        let of_services = self.services.iter().filter(|it| !it.is_missing());
        let all = of_registries.chain(of_services.flat_map(|it| &it.findings));
        all.filter(|it| !it.is_note()).count()
    }

    /// 0: all can be called; 1: something is wrong; 3: could not look, or not at all of it, and nothing else is wrong.
    fn exit(&self) -> u8 {
        let saw = self.services.iter().any(|it| !it.unread);
        let read = self.registries.iter().any(|it| !it.unread);
        if !saw && (!read || !self.services.is_empty()) {
            return BLIND;
        }
        let whole = self.registries.iter().flat_map(|it| &it.findings);
        let is_wrong = whole.clone().any(|it| !it.is_note())
            || self.services.iter().any(ServiceReport::is_wrong);
        let unknown = |it: &ServiceReport| it.count(Verdict::Unknown) > 0;
        let left_out = self.registries.iter().any(|it| it.left_out > 0);
        match is_wrong {
            true => WRONG,
            false if self.services.iter().any(unknown) || left_out => BLIND,
            false => 0,
        }
    }
}
