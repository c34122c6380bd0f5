//! Instances that stand in the config itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Instance, Known, Listing, ReadSet, Registry, Status};

/// Where the instances of the config stand, as their key says.
pub(super) const KEY: &str = "config";

/// One service's fixed addresses. It answers for any service: it belongs to one.
#[derive(Debug)]
pub struct Fixed {
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
        let set = ReadSet {
            instances,
            skipped: Vec::new(),
            at: Instant::now(),
            stale: false,
        };
        Fixed {
            known: watch::Sender::new(Known::Read(Arc::new(set))),
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
}
