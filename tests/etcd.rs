//! Discovery against real etcd processes: what is registered is seen, and what happens to etcd never
//! empties what was seen.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "etcd/access.rs"]
mod access;
#[path = "etcd/away.rs"]
mod away;
#[path = "etcd/listing.rs"]
mod listing;
#[path = "support/etcd.rs"]
mod support;
#[path = "etcd/survey.rs"]
mod survey;

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{CompactionOptions, Txn, TxnOp};
use parking_lot::Mutex;
use support::{Etcd as Server, PATIENCE, Tls, eventually, free_port, value};
use tidegate::registry::{
    Code, Etcd, EtcdOptions, KITEX_PREFIX, Known, Layout, ReadSet, Registry, Watcher,
};
use tokio::sync::watch;
use tokio::time::sleep;

const RANGE: &str = "kitex/registry-etcd/item/";
/// "Within a second", with slack for a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Remembers what it was told.
#[derive(Default)]
struct Told {
    ups: Mutex<Vec<bool>>,
    skipped: Mutex<Vec<Code>>,
    restarts: Mutex<Vec<&'static str>>,
    updates: Mutex<Vec<&'static str>>,
}

impl Watcher for Told {
    fn up(&self, up: bool) {
        self.ups.lock().push(up);
    }

    fn update(&self, kind: &'static str) {
        self.updates.lock().push(kind);
    }

    fn skipped(&self, code: Code) {
        self.skipped.lock().push(code);
    }

    fn watch_restarted(&self, cause: &'static str) {
        self.restarts.lock().push(cause);
    }
}

fn options(endpoints: &[String]) -> EtcdOptions {
    EtcdOptions {
        endpoints: endpoints.to_vec(),
        request_timeout: Duration::from_secs(2),
        retry_refused_every: Duration::from_millis(500),
        ..EtcdOptions::default()
    }
}

/// A registry that follows one service.
struct Followed {
    registry: Etcd,
    known: watch::Receiver<Known>,
    told: Arc<Told>,
}

impl Followed {
    fn new(options: EtcdOptions, service: &str) -> Self {
        let told = Arc::new(Told::default());
        let registry = Etcd::new(options, Arc::clone(&told) as _).unwrap();
        let known = registry.watch(service);
        Followed {
            registry,
            known,
            told,
        }
    }

    fn of(server: &Server) -> Self {
        Followed::new(options(&[server.url()]), "item")
    }

    fn set(&self) -> Option<Arc<ReadSet>> {
        match &*self.known.borrow() {
            Known::Read(set) => Some(Arc::clone(set)),
            _ => None,
        }
    }

    fn addresses(&self) -> Option<Vec<String>> {
        Some(
            self.set()?
                .instances
                .iter()
                .map(|instance| instance.address.clone())
                .collect(),
        )
    }

    fn refusal(&self) -> Option<Arc<str>> {
        match &*self.known.borrow() {
            Known::Denied(why) => Some(Arc::clone(why)),
            _ => None,
        }
    }

    async fn sees(&self, addresses: &[&str]) -> Duration {
        eventually(&format!("{addresses:?}"), || {
            self.addresses().is_some_and(|seen| seen == addresses)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_and_deleted_is_seen_soon() {
    let etcd = Server::start().await;
    let followed = Followed::of(&etcd);
    followed.sees(&[]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    assert!(followed.sees(&["10.0.0.1:1"]).await < SOON);
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    assert!(followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await < SOON);
    let before = followed.set().unwrap().instances[1].revision;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    assert!(followed.sees(&["10.0.0.2:1"]).await < SOON);
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    eventually("put again", || {
        followed.set().unwrap().instances[0].revision > before
    })
    .await;
    assert_eq!(
        *followed.told.updates.lock(),
        ["full", "put", "put", "delete", "put"]
    );
    assert!(followed.registry.status().up);
    assert!(followed.registry.status().last_sync.is_some());
    assert_eq!(*followed.told.ups.lock(), [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lease_is_a_deletion() {
    let etcd = Server::start().await;
    etcd.register_for(KITEX_PREFIX, "item", "10.0.0.1:1", 1)
        .await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    let followed = Followed::of(&etcd);
    eventually("the first read", || followed.set().is_some()).await;
    followed.sees(&["10.0.0.2:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_not_mixed_with_one_whose_name_begins_with_its_own() {
    let etcd = Server::start().await;
    for service in ["item", "item-v2", "ite", "item/v2"] {
        etcd.register(
            KITEX_PREFIX,
            service,
            &format!("{}.test:1", service.replace('/', ".")),
        )
        .await;
    }
    let (item, other) = (
        Followed::of(&etcd),
        Followed::new(options(&[etcd.url()]), "item-v2"),
    );
    other.sees(&["item-v2.test:1"]).await;
    eventually("the first read", || item.set().is_some()).await;
    item.sees(&["item.test:1"]).await;
    etcd.register(KITEX_PREFIX, "item-v2", "10.0.0.9:1").await;
    eventually("the other's change", || {
        other.addresses().unwrap().len() == 2
    })
    .await;
    assert_eq!(item.addresses().unwrap(), ["item.test:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prefix_may_be_empty() {
    let etcd = Server::start().await;
    etcd.register("", "item", "10.0.0.1:1").await;
    let layout = Layout::Kitex {
        prefix: String::new(),
    };
    let followed = Followed::new(
        EtcdOptions {
            layout,
            ..options(&[etcd.url()])
        },
        "item",
    );
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.register("", "item", "10.0.0.2:1").await;
    followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_values_are_skipped_named_and_counted_and_the_rest_is_served() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.put(&format!("{RANGE}10.0.0.2:1"), "nonsense").await;
    let mut client = etcd.client().await;
    client
        .put(
            [RANGE.as_bytes(), &[0xff, 0x00, 0xfe]].concat(),
            vec![0xff; 100],
            None,
        )
        .await
        .unwrap();
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    let skipped = followed.set().unwrap().skipped.clone();
    assert_eq!(skipped.len(), 2);
    assert!(skipped[0].key.ends_with("10.0.0.2:1") && skipped[0].code == Code::R09);
    etcd.put(&format!("{RANGE}10.0.0.3:1"), "{").await;
    eventually("a third", || followed.told.skipped.lock().len() == 3).await;
    etcd.put(&format!("{RANGE}10.0.0.3:1"), &value("10.0.0.3:1"))
        .await;
    followed.sees(&["10.0.0.1:1", "10.0.0.3:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_read_anew_now_and_then() {
    let etcd = Server::start().await;
    let relist_every = Duration::from_millis(200);
    let followed = Followed::new(
        EtcdOptions {
            relist_every,
            ..options(&[etcd.url()])
        },
        "item",
    );
    followed.sees(&[]).await;
    for at in 0..30 {
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.1.{at:02}:1"))
            .await;
        sleep(Duration::from_millis(20)).await;
    }
    eventually("all of them", || followed.addresses().unwrap().len() == 30).await;
    assert!(
        followed.told.restarts.lock().is_empty(),
        "and that is no restart of the watch"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_instances_are_read_and_followed() {
    let etcd = Server::start().await;
    let mut client = etcd.client().await;
    let addresses: Vec<_> = (0..5000)
        .map(|at| format!("10.0.{}.{}:8888", at / 250, at % 250))
        .collect();
    for part in addresses.chunks(100) {
        let puts: Vec<_> = part
            .iter()
            .map(|address| TxnOp::put(format!("{RANGE}{address}"), value(address), None))
            .collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
    let followed = Followed::of(&etcd);
    eventually("all of them", || {
        followed.addresses().is_some_and(|seen| seen.len() == 5000)
    })
    .await;
    etcd.delete(&format!("{RANGE}{}", addresses[4321])).await;
    eventually("one less", || followed.addresses().unwrap().len() == 4999).await;
    for part in addresses.chunks(100) {
        let deletions: Vec<_> = part
            .iter()
            .map(|address| TxnOp::delete(format!("{RANGE}{address}"), None))
            .collect();
        client.txn(Txn::new().and_then(deletions)).await.unwrap();
    }
    followed.sees(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_are_read_in_smaller_pages() {
    let etcd = Server::start().await;
    let mut client = etcd.client().await;
    for at in 0..80 {
        client
            .put(format!("{RANGE}x{at}"), vec![b'x'; 1_000_000], None)
            .await
            .unwrap();
    }
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let limits = EtcdOptions {
        request_timeout: Duration::from_secs(10),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(limits.clone(), "item");
    followed.sees(&["10.0.0.1:1"]).await;
    assert_eq!(followed.set().unwrap().skipped.len(), 80);
    let look = survey::unhurried(limits, &["item"]).await;
    assert!(look.failed.is_none(), "{:?}", look.failed);
    assert_eq!(look.services[0].set.skipped.len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_nobody_wants_ends() {
    let etcd = Server::start().await;
    let followed = Followed::of(&etcd);
    followed.sees(&[]).await;
    eventually("one watcher", || watchers(&etcd) == Some(1)).await;
    let Followed {
        registry, known, ..
    } = followed;
    drop(known);
    eventually("no watcher", || watchers(&etcd) == Some(0)).await;
    assert!(registry.status().up);
}

/// How many watchers etcd says it has.
fn watchers(etcd: &Server) -> Option<u32> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", etcd.port())).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("etcd_debugging_mvcc_watcher_total "))?;
    line.rsplit(' ').next()?.parse().ok()
}
