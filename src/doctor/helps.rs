//! What helps with what was found, filled in with what was seen.

use std::sync::Arc;
use std::time::Duration;

use super::report::{Entry, RegistryReport, ServiceReport, What, Whole};
use crate::diagnosis::{Lease, is_of_another_network};
use crate::finding::remedy::{Etcdctl, Remedy, Subject, remedies};
use crate::finding::{Code, Lang};
use crate::registry::Skipped;

/// What all findings of a service have in common, or those of a registry.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The service; empty of a registry.
    pub service: &'a str,
    /// Where it stands.
    pub whence: &'a Whence,
}

/// Where something is registered, as far as what is to be pasted must know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whence {
    /// It stands in a file, or in the config.
    pub in_file: bool,
    /// How the etcd is reached, where it stands in one.
    pub etcd: Option<Arc<Etcdctl>>,
    /// It stands in no config: it was named on the command line, and callers are Kitex's own.
    pub unconfigured: bool,
    /// What stands before the names of the services there.
    pub prefix: Option<Arc<str>>,
}

impl ServiceReport {
    /// What its findings have in common.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        About {
            service: &self.name,
            whence: &self.whence,
        }
    }
}

impl RegistryReport {
    /// What its findings have in common.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        About {
            service: "",
            whence: &self.whence,
        }
    }
}

impl<'a> About<'a> {
    fn subject(self) -> Subject<'a> {
        Subject {
            service: self.service,
            in_file: self.whence.in_file,
            etcd: self.whence.etcd.as_deref(),
            own_prefix: self.whence.prefix.as_deref(),
            unconfigured: self.whence.unconfigured,
            ..Subject::default()
        }
    }

    /// What helps with a finding about a service or a registry as a whole.
    #[must_use]
    pub fn of_whole(self, whole: &Whole, lang: Lang) -> Vec<Remedy> {
        let Some(code) = whole.code else {
            return Vec::new();
        };
        let mut subject = self.subject();
        match &whole.what {
            What::NoService { nearest, .. } => subject.nearest = nearest.as_deref(),
            What::Gone { .. } => subject.was_registered = true,
            What::Begins(longer) => subject.nearest = longer.first().map(|it| &**it),
            What::Unregistered(address) => subject.address = address,
            What::Member { endpoint, step, .. } => {
                (subject.address, subject.step) = (endpoint, step);
            }
            What::Unread { step, .. } => subject.step = step,
            What::Advertises { endpoint, .. } | What::Slow { endpoint, .. } => {
                subject.address = endpoint;
            }
            What::Nothing { .. } | What::Empty | What::OnTrust(_) | What::OwnBridge(_) => {}
        }
        let elsewhere = whole.what.elsewhere(self.service);
        subject.prefix = elsewhere.first().map(|it| &*it.prefix);
        remedies(code, &subject, lang)
    }

    /// What helps with an entry that is no registration.
    #[must_use]
    pub fn of_skipped(self, entry: &Skipped, lang: Lang) -> Vec<Remedy> {
        let subject = Subject {
            key: &entry.key,
            ..self.subject()
        };
        remedies(entry.code, &subject, lang)
    }

    /// What helps with one finding of a registration.
    #[must_use]
    pub fn of_entry(self, entry: &Entry, code: Code, lang: Lang) -> Vec<Remedy> {
        let of_key = entry.codes.contains(&Code::R08);
        let subject = Subject {
            address: &entry.instance().address,
            key: &entry.instance().key,
            host: entry.host.filter(|_| of_key || !entry.is_a_stranger()),
            here: !of_key,
            no_lease: entry.lease == Lease::None,
            elsewhere: is_of_another_network(entry.shown.dialled_class(), entry.on_link),
            rule: entry
                .shown
                .rewritten
                .as_ref()
                .map(|it| &*it.rule)
                .filter(|_| is_of_what_is_dialled(code)),
            longer: entry.connect_timeout.and_then(|_| longer(entry)),
            ..self.subject()
        };
        remedies(code, &subject, lang)
    }
}

/// Whether it is a finding of the address that is dialled, or says that another server may be meant: where a rule leads
/// there, that may be wrong.
fn is_of_what_is_dialled(code: Code) -> bool {
    use Code::{P01, P02, P03, P04, P05, P06, P08, P11};
    code.is_of_the_address() || matches!(code, P01 | P02 | P03 | P04 | P05 | P06 | P08 | P11)
}

/// Twice what the connect took, in tenths of a second.
fn longer(entry: &Entry) -> Option<Duration> {
    let tenths = (entry.connect()? * 2).as_millis().div_ceil(100);
    Some(Duration::from_millis(100) * u32::try_from(tenths).ok()?)
}
