//! The names of services, listed; and what is listed, followed.

use std::collections::HashMap;

use etcd_client::Client;
use tidegate::config::{self, Pattern, Patterns};
use tidegate::discovery::Discovery;
use tidegate::registry::Listing;
use tidegate::route::{Routes, Table};
use tokio::runtime::Handle;

use super::*;

const PREFIX_RANGE: &str = "kitex/registry-etcd/";

/// A registry whose services are listed.
struct Listed {
    registry: Etcd,
    listing: watch::Receiver<Listing>,
    told: Arc<Told>,
}

impl Listed {
    fn new(options: EtcdOptions, literal: &str) -> Self {
        let told = Arc::new(Told::default());
        let registry = Etcd::new(options, Arc::clone(&told) as _).unwrap();
        let listing = registry.list(literal);
        Listed {
            registry,
            listing,
            told,
        }
    }

    fn of(server: &Server) -> Self {
        Listed::new(options(&[server.url()]), "")
    }

    fn names(&self) -> Option<Vec<String>> {
        match &*self.listing.borrow() {
            Listing::Read(names) => Some(names.iter().map(ToString::to_string).collect()),
            _ => None,
        }
    }

    fn refusal(&self) -> Option<Arc<str>> {
        match &*self.listing.borrow() {
            Listing::Denied(why) => Some(Arc::clone(why)),
            _ => None,
        }
    }

    async fn sees(&self, names: &[&str]) {
        eventually(&format!("{names:?}"), || {
            self.names().is_some_and(|seen| seen == names)
        })
        .await;
    }
}

/// A process's services, with one transparent listener that may know those of these patterns.
struct Bench {
    discovery: Arc<Discovery>,
    routes: Arc<Routes>,
    listener: config::Listener,
}

impl Bench {
    fn new(options: EtcdOptions, services: &[&str]) -> Self {
        let discovery = Discovery::new(Handle::current());
        let routes = Routes::new(Arc::clone(&discovery));
        let etcd: Arc<dyn Registry> =
            Arc::new(Etcd::new(options, Arc::new(Told::default())).unwrap());
        discovery.set_registries(HashMap::from([("main".into(), etcd)]));
        let defaults = config::Policy {
            empty_grace: Duration::ZERO,
            ..config::Policy::default()
        };
        routes.set_table(Table {
            defaults: Arc::new(defaults),
            max_services: 1000,
            ..Table::default()
        });
        let patterns = services.iter().map(|it| Pattern::new(it).unwrap());
        let listener = config::Listener {
            registry: Some("main".into()),
            services: Patterns::new(patterns.collect()),
            transparent: true,
            ..config::Listener::new("all", std::net::SocketAddr::from(([127, 0, 0, 1], 1)))
        };
        routes.set_listeners(std::slice::from_ref(&listener));
        Bench {
            discovery,
            routes,
            listener,
        }
    }

    fn at(&self, address: &str) -> Vec<String> {
        let at = self
            .routes
            .services_at(address.parse().unwrap(), &self.listener);
        at.iter().map(ToString::to_string).collect()
    }

    async fn knows(&self, address: &str, services: &[&str]) -> Duration {
        eventually(&format!("{services:?} at {address}"), || {
            self.at(address) == services
        })
        .await
    }

    fn follows(&self, service: &str) -> bool {
        self.routes.by_name(service).is_some()
    }
}

fn as_user(etcd: &Server) -> EtcdOptions {
    EtcdOptions {
        user: Some("tide".to_owned()),
        password: Some("s3cret".to_owned()),
        ..options(&[etcd.url()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_listed_from_its_first_key_to_its_last() {
    let etcd = Server::start().await;
    etcd.register("elsewhere", "other", "10.0.0.1:1").await;
    let listed = Listed::of(&etcd);
    listed.sees(&[]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.register(KITEX_PREFIX, "item", "/run/item.sock").await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.0.1:1").await;
    listed.sees(&["item", "stock"]).await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    etcd.delete("kitex/registry-etcd/stock/10.0.0.1:1").await;
    listed.sees(&["item"]).await;
    etcd.delete(&format!("{RANGE}/run/item.sock")).await;
    listed.sees(&[]).await;
    assert!(
        listed.told.updates.lock().is_empty(),
        "counted once, where the instances are read"
    );
    let narrow = Listed::new(options(&[etcd.url()]), "shop.");
    for service in ["shop.item", "shopping", "shop"] {
        etcd.register(KITEX_PREFIX, service, "10.0.0.1:1").await;
    }
    narrow.sees(&["shop.item"]).await;
    listed.sees(&["shop", "shop.item", "shopping"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_a_compaction_and_lost_data_leave_the_listing_right() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.0.1:1").await;
    let listed = Listed::of(&etcd);
    listed.sees(&["item", "stock"]).await;
    etcd.kill();
    eventually("etcd is seen to be away", || !listed.registry.status().up).await;
    assert_eq!(listed.names().unwrap(), ["item", "stock"]);

    etcd.restart().await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    let mut client = etcd.client().await;
    let put = client
        .put("kitex/registry-etcd/user/10.0.0.2:1", "", None)
        .await;
    let revision = put.unwrap().header().unwrap().revision();
    let physical = CompactionOptions::new().with_physical();
    client.compact(revision, Some(physical)).await.unwrap();
    listed.sees(&["stock", "user"]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.3:1").await;
    listed.sees(&["item", "stock", "user"]).await;

    etcd.kill();
    etcd.wipe();
    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.4:1").await;
    listed.sees(&["item"]).await;
    etcd.register(KITEX_PREFIX, "user", "10.0.0.4:1").await;
    listed.sees(&["item", "user"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_survives_a_restart_of_ours_while_etcd_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "shop.item", "10.0.0.1:1").await;
    let with_state = EtcdOptions {
        state_dir: Some(folder.path().to_owned()),
        ..options(&[etcd.url()])
    };
    let first = Bench::new(with_state.clone(), &["shop.*"]);
    first.knows("10.0.0.1:1", &["shop.item"]).await;
    let file = folder.path().join("etcd/shop.item.json");
    eventually("the file", || file.exists()).await;
    drop(first);
    etcd.kill();

    let second = Bench::new(with_state, &["shop.*"]);
    second.knows("10.0.0.1:1", &["shop.item"]).await;
    etcd.restart().await;
    etcd.delete("kitex/registry-etcd/shop.item/10.0.0.1:1")
        .await;
    etcd.register(KITEX_PREFIX, "shop.stock", "10.0.0.2:1")
        .await;
    second.knows("10.0.0.2:1", &["shop.stock"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_that_the_role_may_not_read_is_named_with_what_would_help() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "shop.item", "10.0.0.1:1").await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.0.2:1").await;
    etcd.enable_auth("tide", "s3cret", "kitex/registry-etcd/shop.")
        .await;
    let denied = Listed::new(as_user(&etcd), "");
    eventually("the refusal", || denied.refusal().is_some()).await;
    let why = denied.refusal().unwrap();
    for part in [
        "\"kitex/registry-etcd/\" up to \"kitex/registry-etcd0\"",
        "etcdctl role grant-permission ROLE --prefix=true read kitex/registry-etcd/",
        "services = [\"shop.*\"]",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(denied.registry.status().up, "etcd itself is well");

    let all = Bench::new(as_user(&etcd), &["*"]);
    eventually("it is told", || {
        let why = all.routes.unlisted(&all.listener);
        why.is_some_and(|why| {
            why.contains("could not be listed: ") && why.contains("grant-permission")
        })
    })
    .await;
    let some = Bench::new(as_user(&etcd), &["shop.*"]);
    some.knows("10.0.0.1:1", &["shop.item"]).await;
    assert!(some.at("10.0.0.2:1").is_empty());
    assert_eq!(some.routes.unlisted(&some.listener), None);

    etcd.grant(PREFIX_RANGE).await;
    all.knows("10.0.0.2:1", &["stock"]).await;
    assert_eq!(all.routes.unlisted(&all.listener), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_written_out_need_no_right_to_list() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let bench = Bench::new(as_user(&etcd), &["item"]);
    bench.knows("10.0.0.1:1", &["item"]).await;
    assert_eq!(bench.routes.unlisted(&bench.listener), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_appears_is_followed_and_what_has_gone_is_let_go() {
    let etcd = Server::start().await;
    let bench = Bench::new(options(&[etcd.url()]), &["shop.*"]);
    etcd.register(KITEX_PREFIX, "shop.item", "10.0.0.1:1").await;
    etcd.register(KITEX_PREFIX, "shop.stock", "10.0.0.1:1")
        .await;
    etcd.register(KITEX_PREFIX, "user", "10.0.0.1:1").await;
    bench
        .knows("10.0.0.1:1", &["shop.item", "shop.stock"])
        .await;
    assert!(!bench.follows("user"));
    etcd.delete("kitex/registry-etcd/shop.item/10.0.0.1:1")
        .await;
    bench.knows("10.0.0.1:1", &["shop.stock"]).await;
    etcd.delete("kitex/registry-etcd/shop.stock/10.0.0.1:1")
        .await;
    // Unknown to etcd for longer than unknown names are remembered.
    let later = tokio::time::Instant::now() + Duration::from_secs(60);
    eventually("both are let go", || {
        bench.routes.sweep(later);
        !bench.follows("shop.item") && !bench.follows("shop.stock")
    })
    .await;
    bench
        .discovery
        .index()
        .sweep(later + Duration::from_secs(120));
    assert!(bench.at("10.0.0.1:1").is_empty());
}

/// Puts or deletes so many instances of each of so many services.
async fn all(client: &mut Client, services: usize, instances: usize) {
    for service in 0..services {
        let puts = (0..instances).map(|at| {
            let address = address(service, at);
            TxnOp::put(
                format!("{PREFIX_RANGE}shop.{service:03}/{address}"),
                value(&address),
                None,
            )
        });
        let puts: Vec<_> = puts.collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
}

fn address(service: usize, at: usize) -> String {
    format!("10.1.{service}.{at}:8888")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_addresses_in_two_hundred_services_are_indexed() {
    let etcd = Server::start().await;
    let mut client = etcd.client().await;
    all(&mut client, 200, 50).await;
    let begun = tokio::time::Instant::now();
    let bench = Bench::new(options(&[etcd.url()]), &["*"]);
    let index = bench.discovery.index();
    eventually("all of them", || index.len() == 10_000).await;
    println!(
        "200 services, 10,000 addresses: listed and indexed after {:?}",
        begun.elapsed()
    );
    for service in [0, 77, 199] {
        let name = format!("shop.{service:03}");
        assert_eq!(bench.at(&address(service, 49)), [name]);
    }

    let members: Vec<_> = bench
        .routes
        .followed()
        .iter()
        .map(|it| it.members.load_full())
        .collect();
    etcd.register(KITEX_PREFIX, "shop.077", "10.2.0.1:8888")
        .await;
    let took = bench.knows("10.2.0.1:8888", &["shop.077"]).await;
    println!("one more address: indexed after {took:?}");
    assert_eq!(index.len(), 10_001);
    let followed = bench.routes.followed();
    let changed = followed.iter().zip(&members);
    let changed = changed.filter(|(now, before)| !Arc::ptr_eq(&now.members.load(), before));
    let names: Vec<_> = changed
        .map(|(now, _)| now.cluster.name.to_string())
        .collect();
    assert_eq!(names, ["shop.077"], "no other was touched");
}
