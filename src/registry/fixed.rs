//! Instances that stand in the config itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::survey::{Ask, ServiceSeen, Survey};
use super::{Instance, Known, Listing, ReadSet, Registry, Status};

#[cfg(test)]
mod tests;

/// Where the instances of the config stand, as their key says.
pub(super) const KEY: &str = "config";

/// One service's fixed addresses. It answers for any service: it belongs to one.
#[derive(Debug)]
pub struct Fixed {
    set: Arc<ReadSet>,
    known: watch::Sender<Known>,
    since: SystemTime,
}

impl Fixed {
    /// These addresses with their weights and tags, in this order.
    #[must_use]
    pub fn new(
        endpoints: impl IntoIterator<Item = (String, u32, BTreeMap<String, String>)>,
    ) -> Self {
        let instances = endpoints
            .into_iter()
            .map(|(address, weight, tags)| Arc::new(instance(address, weight, tags)))
            .collect();
        let set = Arc::new(ReadSet {
            instances,
            skipped: Vec::new(),
            at: Instant::now(),
            stale: false,
        });
        Fixed {
            known: watch::Sender::new(Known::Read(set.clone())),
            set,
            since: SystemTime::now(),
        }
    }
}

pub(super) fn instance(address: String, weight: u32, tags: BTreeMap<String, String>) -> Instance {
    Instance {
        address,
        network: "tcp".to_owned(),
        key: KEY.to_owned(),
        weight,
        tags,
        revision: 0,
        notes: Vec::new(),
    }
}

impl Registry for Fixed {
    fn name(&self) -> &str {
        "config"
    }

    /// The receiver stays open for as long as this value lives.
    fn watch(&self, _service: &str) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Nothing to list: it knows no names, and what stands in the config is known anyway.
    fn list(&self, _literal: &str) -> watch::Receiver<Listing> {
        let none = Listing::Read(Arc::new(BTreeSet::new()));
        watch::Sender::new(none).subscribe()
    }

    fn status(&self) -> Status {
        Status {
            up: true,
            last_sync: Some(self.since),
            last_error: None,
        }
    }

    /// The same set for each service asked for; nothing where none is, as in [`Registry::list`].
    fn survey(&self, ask: Ask) -> BoxFuture<'_, Survey> {
        let seen = |name| ServiceSeen::new(name, self.set.as_ref().clone());
        let survey = Survey {
            services: ask.services.into_iter().map(seen).collect(),
            ..Survey::default()
        };
        Box::pin(std::future::ready(survey))
    }
}
