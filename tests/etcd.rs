//! Discovery against real etcd processes: what is registered is seen, and what happens to etcd never
//! empties what was seen.
#![allow(clippy::unwrap_used)]

#[path = "support/etcd.rs"]
mod support;

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
async fn a_killed_etcd_leaves_the_last_set_and_its_return_brings_the_changes() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.kill();
    eventually("etcd is seen to be away", || !followed.registry.status().up).await;
    let status = followed.registry.status();
    assert!(status.last_error.unwrap().contains("E01"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(followed.addresses().unwrap(), ["10.0.0.1:1"]);
    assert_eq!(
        followed.registry.status().last_sync,
        status.last_sync,
        "its age says how stale the set is"
    );

    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    followed.sees(&["10.0.0.2:1"]).await;
    assert!(followed.registry.status().up);
    assert!(followed.told.restarts.lock().contains(&"unreachable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_comes_late_is_read_when_it_comes() {
    let mut etcd = Server::idle(None);
    let followed = Followed::of(&etcd);
    eventually("the failure", || {
        followed.registry.status().last_error.is_some()
    })
    .await;
    assert!(matches!(*followed.known.borrow(), Known::Unread));
    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    followed.sees(&["10.0.0.1:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_were_compacted_while_away_are_seen() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.kill();
    eventually("etcd is seen to be away", || !followed.registry.status().up).await;
    etcd.restart().await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    let mut client = etcd.client().await;
    let revision = client
        .put(format!("{RANGE}10.0.0.2:1"), value("10.0.0.2:1"), None)
        .await
        .unwrap();
    let revision = revision.header().unwrap().revision();
    client
        .compact(revision, Some(CompactionOptions::new().with_physical()))
        .await
        .unwrap();
    followed.sees(&["10.0.0.2:1"]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.3:1").await;
    followed.sees(&["10.0.0.2:1", "10.0.0.3:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_etcd_of_a_lower_revision_is_followed() {
    let mut etcd = Server::start().await;
    for at in 0..20 {
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{}:1", at % 2))
            .await;
    }
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.0:1", "10.0.0.1:1"]).await;
    etcd.kill();
    etcd.wipe();
    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.7:1").await;
    followed.sees(&["10.0.0.7:1"]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.8:1").await;
    followed.sees(&["10.0.0.7:1", "10.0.0.8:1"]).await;
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
async fn a_user_reads_what_its_role_may() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let as_user = |password: &str| EtcdOptions {
        user: Some("tide".to_owned()),
        password: Some(password.to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(as_user("s3cret"), "item");
    followed.sees(&["10.0.0.1:1"]).await;

    let wrong = Followed::new(as_user("wrong"), "item");
    eventually("the refusal", || wrong.refusal().is_some()).await;
    let why = wrong.refusal().unwrap();
    assert!(
        why.contains("password") && why.contains("tide") && !why.contains("wrong"),
        "{why}"
    );
    assert!(wrong.registry.status().last_error.unwrap().contains("E02"));

    let nobody = Followed::of(&etcd);
    eventually("the refusal", || nobody.refusal().is_some()).await;
    assert!(
        nobody.refusal().unwrap().contains("give user and password"),
        "{:?}",
        nobody.refusal()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_the_role_may_not_read_is_named_and_read_once_it_may() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.0.1:1").await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let user = Some("tide".to_owned());
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "stock");
    eventually("the refusal", || followed.refusal().is_some()).await;
    let why = followed.refusal().unwrap();
    assert!(
        why.contains("grant-permission") && why.contains("kitex/registry-etcd/stock/"),
        "{why}"
    );
    assert!(followed.registry.status().up, "etcd itself is well");
    etcd.grant("kitex/registry-etcd/stock/").await;
    followed.sees(&["10.0.0.1:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_die_and_authentication_that_is_enabled_cost_nothing() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let user = Some("tide".to_owned());
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "item");
    followed.sees(&["10.0.0.1:1"]).await;

    etcd.enable_auth("tide", "s3cret", RANGE).await;
    for at in 2..5 {
        // Simple tokens do not survive a restart.
        etcd.restart().await;
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{at}:1"))
            .await;
        eventually("the change", || followed.addresses().unwrap().len() == at).await;
    }
    assert!(followed.refusal().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_auth_revision_does_not_stop_the_changes() {
    let mut etcd = Server::start().await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let user = Some("tide".to_owned());
    let relist_every = Duration::from_millis(300);
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        relist_every,
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "item");
    followed.sees(&[]).await;
    for at in 0..5 {
        etcd.grant(&format!("elsewhere/{at}")).await;
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{at}:1"))
            .await;
        eventually("the change", || {
            followed.addresses().unwrap().len() == at + 1
        })
        .await;
    }
    assert!(followed.registry.status().up);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_endpoints_that_refuses_is_passed_over() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let dead = || format!("http://127.0.0.1:{}", free_port());
    for _ in 0..6 {
        let followed = Followed::new(options(&[dead(), etcd.url(), dead()]), "item");
        assert!(followed.sees(&["10.0.0.1:1"]).await < SOON);
        assert!(
            !followed.told.ups.lock().contains(&false),
            "a dead endpoint is no dead etcd"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_leader_keeps_the_set_and_one_member_less_costs_nothing() {
    let mut members = Server::cluster().await;
    let urls: Vec<_> = members.iter().map(Server::url).collect();
    members[0]
        .register(KITEX_PREFIX, "item", "10.0.0.1:1")
        .await;
    let followed = Followed::new(options(&urls), "item");
    followed.sees(&["10.0.0.1:1"]).await;

    for at in 0..3 {
        members[at].kill();
        let other = &members[(at + 1) % 3];
        let address = format!("10.0.1.{at}:1");
        // The others may have to elect a leader first.
        let begun = tokio::time::Instant::now();
        let key = format!("{RANGE}{address}");
        while other
            .client()
            .await
            .put(key.as_str(), value(&address), None)
            .await
            .is_err()
        {
            assert!(begun.elapsed() < PATIENCE);
        }
        eventually("the change", || {
            followed.addresses().unwrap().contains(&address)
        })
        .await;
        members[at].restart().await;
    }

    members[0].kill();
    members[1].kill();
    eventually("no leader is seen", || !followed.registry.status().up).await;
    assert_eq!(followed.addresses().unwrap().len(), 4);
    members[0].spawn();
    members[1].restart().await;
    members[1]
        .register(KITEX_PREFIX, "item", "10.0.0.9:1")
        .await;
    eventually("the change", || followed.addresses().unwrap().len() == 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_etcd_is_noticed_and_left_when_it_thaws() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.signal("STOP");
    eventually("it is seen to be frozen", || !followed.registry.status().up).await;
    assert_eq!(followed.addresses().unwrap(), ["10.0.0.1:1"]);
    etcd.signal("CONT");
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_private_authority_and_client_certificates() {
    let etcd = Server::start_with(Some(Tls::new(true))).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let tls = etcd.tls.as_ref().unwrap();
    let (ca, cert, key) = (
        Some(tls.path("ca.pem")),
        Some(tls.path("client.pem")),
        Some(tls.path("client.key")),
    );
    let mutual = EtcdOptions {
        ca: ca.clone(),
        cert,
        key,
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(mutual.clone(), "item");
    followed.sees(&["10.0.0.1:1"]).await;
    let named = Followed::new(
        EtcdOptions {
            domain: Some("etcd.test".to_owned()),
            ..mutual.clone()
        },
        "item",
    );
    named.sees(&["10.0.0.1:1"]).await;

    let misnamed = Followed::new(
        EtcdOptions {
            domain: Some("other.test".to_owned()),
            ..mutual
        },
        "item",
    );
    let plain = Followed::new(
        EtcdOptions {
            ca,
            ..options(&[etcd.url()])
        },
        "item",
    );
    let system = Followed::new(options(&[etcd.url()]), "item");
    for (failing, what) in [
        (&misnamed, "certificate"),
        (&plain, "cert"),
        (&system, "certificate"),
    ] {
        eventually("a failure", || {
            failing.registry.status().last_error.is_some()
        })
        .await;
        let error = failing.registry.status().last_error.unwrap();
        assert!(
            error.contains(what) && error.contains(&etcd.url()),
            "{error}"
        );
        assert!(failing.set().is_none());
    }
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
    let followed = Followed::new(limits, "item");
    followed.sees(&["10.0.0.1:1"]).await;
    assert_eq!(followed.set().unwrap().skipped.len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_set_survives_a_restart_of_ours_while_etcd_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let with_state = EtcdOptions {
        state_dir: Some(folder.path().to_owned()),
        ..options(&[etcd.url()])
    };
    let first = Followed::new(with_state.clone(), "item");
    first.sees(&["10.0.0.1:1"]).await;
    eventually("the file", || folder.path().join("etcd/item.json").exists()).await;
    drop(first);
    etcd.kill();

    let second = Followed::new(with_state, "item");
    second.sees(&["10.0.0.1:1"]).await;
    assert!(second.set().unwrap().stale && !second.registry.status().up);
    etcd.restart().await;
    eventually("a fresh set", || !second.set().unwrap().stale).await;
    assert_eq!(second.addresses().unwrap(), ["10.0.0.1:1"]);
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
