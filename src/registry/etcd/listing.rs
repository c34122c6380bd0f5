//! The names of services in etcd, told by the keys alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use etcd_client::KeyValue;
use tokio::sync::watch;

use super::connection::Connection;
use super::follow::{Kept, follow};
use crate::registry::{Layout, Listing, StateDir};

#[cfg(test)]
mod tests;

/// Follows the names that begin with `literal` until all receivers are dropped.
pub(super) fn spawn(connection: Arc<Connection>, literal: &str) -> watch::Receiver<Listing> {
    let (listing, receiver) = watch::channel(Listing::Unread);
    let literal = literal.to_owned();
    tokio::spawn(async move {
        let unwanted = listing.clone();
        tokio::select! {
            () = unwanted.closed() => {}
            () = run(connection, literal, listing) => {}
        }
    });
    receiver
}

async fn run(connection: Arc<Connection>, literal: String, listing: watch::Sender<Listing>) {
    let options = connection.options();
    if let Some(state) = options.state() {
        remember(state, literal.clone(), &listing).await;
    }
    let range = options.layout.range_of_names(&literal);
    let names = Names {
        table: NameTable::new(options.layout.clone()),
        fresh: false,
        listing,
    };
    follow(connection, range, names).await;
}

/// Publishes the services of which an earlier run of tidegate left the instances, until etcd says more.
async fn remember(state: StateDir, literal: String, listing: &watch::Sender<Listing>) {
    let Ok(mut names) = tokio::task::spawn_blocking(move || state.services()).await else {
        return;
    };
    names.retain(|name| name.starts_with(&literal));
    if !names.is_empty() {
        listing.send_replace(Listing::Read(Arc::new(names)));
    }
}

struct Names {
    table: NameTable,
    /// etcd was read since the start.
    fresh: bool,
    listing: watch::Sender<Listing>,
}

/// Nothing of it is counted as an update: each change is one of a service's instances, too, and counted there.
impl Kept for Names {
    const WHAT: &'static str = "services";
    const KEYS_ONLY: bool = true;
    const OTHERWISE: &'static str =
        "; or let the listener ask for what it needs and may read only: services = [\"shop.*\"]";

    fn replace(&mut self, entries: &[KeyValue]) -> bool {
        let differs = self.table.replace(entries.iter().map(KeyValue::key));
        differs | !std::mem::replace(&mut self.fresh, true)
    }

    fn put(&mut self, entry: &KeyValue) -> bool {
        self.table.put(entry.key())
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        self.table.delete(key)
    }

    fn publish(&mut self) {
        let names = Arc::new(self.table.names());
        self.listing.send_replace(Listing::Read(names));
    }

    fn refuse(&mut self, why: &Arc<str>) {
        self.listing.send_if_modified(|listing| {
            let is_news = match listing {
                Listing::Unread => true,
                Listing::Denied(before) => before != why,
                Listing::Read(_) => false,
            };
            if is_news {
                *listing = Listing::Denied(Arc::clone(why));
            }
            is_news
        });
    }
}

/// The keys of each service, what comes before and including its name left out: it is there as long as it has one.
struct NameTable {
    layout: Layout,
    services: HashMap<Arc<str>, HashSet<Box<[u8]>>>,
}

impl NameTable {
    fn new(layout: Layout) -> Self {
        NameTable {
            layout,
            services: HashMap::new(),
        }
    }

    /// Takes in a fresh read. Says whether there are other names now.
    fn replace<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let before = std::mem::take(&mut self.services);
        for key in keys {
            self.put(key);
        }
        let same = before.len() == self.services.len()
            && before.keys().all(|name| self.services.contains_key(name));
        !same
    }

    /// Says whether it is the first key of its service.
    fn put(&mut self, key: &[u8]) -> bool {
        let Some((name, rest)) = self.layout.name_of(key) else {
            return false;
        };
        match self.services.get_mut(name) {
            Some(keys) => {
                keys.insert(rest.into());
                false
            }
            None => {
                let keys = HashSet::from([rest.into()]);
                self.services.insert(name.into(), keys);
                true
            }
        }
    }

    /// Says whether it was the last key of its service.
    fn delete(&mut self, key: &[u8]) -> bool {
        let Some((name, rest)) = self.layout.name_of(key) else {
            return false;
        };
        let Some(keys) = self.services.get_mut(name) else {
            return false;
        };
        keys.remove(rest);
        keys.is_empty() && self.services.remove(name).is_some()
    }

    fn names(&self) -> BTreeSet<Arc<str>> {
        self.services.keys().cloned().collect()
    }
}
