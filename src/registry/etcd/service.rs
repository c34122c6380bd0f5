//! One service in etcd: its instances, as they stand under its range.

use std::sync::Arc;

use etcd_client::KeyValue;
use tokio::sync::watch;

use super::connection::Connection;
use super::follow::{Kept, follow};
use super::table::{Put, Table};
use crate::registry::state::Saver;
use crate::registry::{Known, StateDir};

/// Follows `service` until all receivers are dropped.
pub(super) fn spawn(connection: Arc<Connection>, service: &str) -> watch::Receiver<Known> {
    let (known, receiver) = watch::channel(Known::Unread);
    let service: Arc<str> = service.into();
    tokio::spawn(async move {
        let unwanted = known.clone();
        tokio::select! {
            () = unwanted.closed() => {}
            () = run(connection, service, known) => {}
        }
    });
    receiver
}

async fn run(connection: Arc<Connection>, service: Arc<str>, known: watch::Sender<Known>) {
    let options = connection.options();
    let state = options.state();
    if let Some(state) = state.clone() {
        remember(state, Arc::clone(&service), &known).await;
    }
    let saver = state.map(|state| Saver::spawn(state, Arc::clone(&service)));
    let range = options.layout.range(&service);
    let instances = Instances {
        table: Table::new(options.layout.clone(), range.clone()),
        connection: Arc::clone(&connection),
        known,
        saver,
    };
    follow(connection, range, instances).await;
}

/// Publishes what an earlier run of tidegate left, until etcd says more.
async fn remember(state: StateDir, service: Arc<str>, known: &watch::Sender<Known>) {
    let name = Arc::clone(&service);
    if let Ok(Some(set)) = tokio::task::spawn_blocking(move || state.load(&name)).await {
        tracing::info!(%service, instances = set.instances.len(), "instances of an earlier run, until etcd is read");
        known.send_replace(Known::Read(Arc::new(set)));
    }
}

struct Instances {
    connection: Arc<Connection>,
    table: Table,
    known: watch::Sender<Known>,
    saver: Option<Saver>,
}

impl Kept for Instances {
    const WHAT: &'static str = "instances";
    const KEYS_ONLY: bool = false;
    const OTHERWISE: &'static str = "";

    fn replace(&mut self, entries: &[KeyValue]) -> bool {
        let (differs, findings) = self.table.replace(entries.iter().map(as_put));
        let watcher = self.connection.watcher();
        findings.into_iter().for_each(|code| watcher.skipped(code));
        let is_fresh = matches!(&*self.known.borrow(), Known::Read(set) if !set.stale);
        let is_news = differs || !is_fresh;
        if is_news {
            watcher.update("full");
        }
        is_news
    }

    fn put(&mut self, entry: &KeyValue) -> bool {
        let watcher = self.connection.watcher();
        watcher.update("put");
        if let Some(code) = self.table.put(&as_put(entry)) {
            watcher.skipped(code);
        }
        true
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        self.connection.watcher().update("delete");
        self.table.delete(key)
    }

    fn publish(&mut self) {
        let set = Arc::new(self.table.set());
        if let Some(saver) = &self.saver {
            saver.save(Arc::clone(&set));
        }
        self.known.send_replace(Known::Read(set));
    }

    fn refuse(&mut self, why: &Arc<str>) {
        self.known.send_if_modified(|known| {
            let is_news = match known {
                Known::Unread => true,
                Known::Denied(before) => before != why,
                Known::Read(_) => false,
            };
            if is_news {
                *known = Known::Denied(Arc::clone(why));
            }
            is_news
        });
    }
}

fn as_put(entry: &KeyValue) -> Put<'_> {
    Put {
        key: entry.key(),
        value: entry.value(),
        revision: entry.mod_revision(),
    }
}
