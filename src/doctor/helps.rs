//! What helps with what was found, filled in with what was seen.

use super::report::{Entry, ServiceReport, What, Whole};
use crate::finding::remedy::{Remedy, Subject, remedies};
use crate::finding::{Code, Lang};
use crate::registry::Skipped;

/// What all findings of a service have in common, or those of a registry.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The service; empty of a registry.
    pub service: &'a str,
    /// It stands in a file, or in the config.
    pub in_file: bool,
}

impl ServiceReport {
    /// What its findings have in common.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        About {
            service: &self.name,
            in_file: self.in_file,
        }
    }
}

impl<'a> About<'a> {
    fn subject(self) -> Subject<'a> {
        Subject {
            service: self.service,
            in_file: self.in_file,
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
            What::NoService {
                nearest, elsewhere, ..
            } => {
                subject.nearest = nearest.as_deref();
                subject.prefix = elsewhere.first().map(|it| &*it.prefix);
            }
            What::Nothing { elsewhere, .. } => {
                subject.prefix = elsewhere.first().map(|it| &*it.prefix);
            }
            What::Begins(longer) => subject.nearest = longer.first().map(|it| &**it),
            What::Unregistered(address) => subject.address = address,
            What::Member { endpoint, .. }
            | What::Advertises { endpoint, .. }
            | What::Slow { endpoint, .. } => subject.address = endpoint,
            What::Unread { .. } | What::Empty | What::OnTrust(_) => {}
        }
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
        let subject = Subject {
            address: &entry.instance().address,
            key: &entry.instance().key,
            host: entry.host,
            ..self.subject()
        };
        remedies(code, &subject, lang)
    }
}
