//! One look at a registry, for a person who asks: nothing is followed, nothing is changed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ReadSet;
use crate::diagnosis::Lease;
use crate::finding::Code;

/// What to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// These services; all that there are, where it names none.
    pub services: Vec<Arc<str>>,
    /// Also for what was registered for them and is no more.
    pub gone: bool,
}

impl Ask {
    /// These services, with all that is known of them.
    #[must_use]
    pub fn of(services: Vec<Arc<str>>) -> Self {
        Ask {
            services,
            gone: true,
        }
    }
}

/// What was seen. Bounded, whatever a registry holds.
#[derive(Debug, Default)]
pub struct Survey {
    /// The members that were asked, in the order of the config; of a registry that has members.
    pub members: Vec<MemberSeen>,
    /// The services asked for, in the order in which they were; else all, by name.
    pub services: Vec<ServiceSeen>,
    /// The names of the services there, as far as they were read.
    pub names: BTreeSet<Arc<str>>,
    /// Why there are no names, where there are none for another reason than that there is nothing.
    pub names_unread: Option<String>,
    /// Where else, under which prefix, services stand, and one name of each: looked for where nothing asked for was
    /// found.
    pub elsewhere: Vec<Elsewhere>,
    /// Addresses that stand in the keys of any service, of the ports of those in [`ServiceSeen::gone`].
    pub still: Vec<String>,
    /// Entries that were left out since there are too many.
    pub left_out: usize,
    /// Keys of other programs that stand among the services' and were passed over: those of names that were not asked
    /// for and of which no entry is a registration, under the empty prefix.
    pub passed_over: usize,
    /// What kept it from being read, or from being read to its end: what had been read by then stands.
    pub failed: Option<MemberFault>,
}

/// Keys of the same shape under another prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The prefix; may be empty.
    pub prefix: String,
    /// A service there: one that was asked for, if it is among them.
    pub service: Arc<str>,
}

/// One member of the registry, as it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSeen {
    /// Its URL, as configured.
    pub endpoint: String,
    /// How long a read took, or why there was none.
    pub answer: Result<Duration, MemberFault>,
    /// Client URLs that the cluster advertises and that are loopback, where this endpoint is not.
    pub advertises_loopback: Vec<String>,
}

/// Why a member could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFault {
    /// E01, E02, E03 or E07, by the step; `None` where the registry is a file: none of these is said of it.
    pub code: Option<Code>,
    /// Which step failed: `name`, `route`, `port`, `answer`, `tls`, `password`, `permission`; `file`, where the registry
    /// is one.
    pub step: &'static str,
    /// What it said, and what to check.
    pub text: String,
}

impl fmt::Display for MemberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, step) = (&self.text, self.step);
        match self.code {
            Some(code) => write!(f, "{text} ({step}, {code})"),
            None => write!(f, "{text} ({step})"),
        }
    }
}

/// One service, as it is registered.
#[derive(Debug, Clone)]
pub struct ServiceSeen {
    /// Its name.
    pub name: Arc<str>,
    /// Its entries.
    pub set: ReadSet,
    /// The leases of the entries, by [`Instance::key`](super::Instance::key).
    pub leases: HashMap<String, Lease>,
    /// Addresses that were registered and are no more, the newest first, each once; as far as the registry remembers.
    pub gone: Vec<String>,
    /// Some of its entries were left out, maybe all: nothing is known of what is not there.
    pub partly: bool,
    /// Why it could not be read.
    pub failed: Option<MemberFault>,
}

impl ServiceSeen {
    /// A service of which nothing is known but its entries.
    #[must_use]
    pub fn new(name: Arc<str>, set: ReadSet) -> Self {
        ServiceSeen {
            name,
            set,
            leases: HashMap::new(),
            gone: Vec::new(),
            partly: false,
            failed: None,
        }
    }
}
