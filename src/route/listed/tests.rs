#![allow(clippy::unwrap_used)]

use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::*;
use crate::discovery::Discovery;
use crate::registry::survey::{Ask, Survey};
use crate::registry::{Instance, Known, ReadSet, Registry, Status};
use crate::route::{Table, UNUSED};

/// A registry that says what a test tells it.
struct Told {
    listings: Mutex<HashMap<String, watch::Sender<Listing>>>,
    services: Mutex<HashMap<String, watch::Sender<Known>>>,
}

impl Told {
    fn new() -> Arc<Self> {
        Arc::new(Told {
            listings: Mutex::default(),
            services: Mutex::default(),
        })
    }

    fn lists(&self, literal: &str, names: &[&str]) {
        let names = names.iter().map(|name| Arc::from(*name)).collect();
        self.says(literal, Listing::Read(Arc::new(names)));
    }

    fn says(&self, literal: &str, listing: Listing) {
        self.listings.lock()[literal].send_replace(listing);
    }

    fn has(&self, service: &str, addresses: &[&str]) {
        self.services.lock()[service].send_replace(read(addresses));
    }

    /// What is listed now.
    fn listed(&self) -> Vec<String> {
        let mut listings = self.listings.lock();
        listings.retain(|_, sender| !sender.is_closed());
        let mut literals: Vec<_> = listings.keys().cloned().collect();
        literals.sort();
        literals
    }
}

fn read(addresses: &[&str]) -> Known {
    let instance = |address: &&str| Instance {
        address: (*address).to_owned(),
        network: "tcp".to_owned(),
        key: (*address).to_owned(),
        weight: 10,
        tags: BTreeMap::new(),
        revision: 1,
        notes: Vec::new(),
    };
    Known::Read(Arc::new(ReadSet {
        instances: addresses.iter().map(instance).map(Arc::new).collect(),
        skipped: Vec::new(),
        at: Instant::now(),
        stale: false,
    }))
}

impl Registry for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn watch(&self, service: &str) -> watch::Receiver<Known> {
        let (sender, receiver) = watch::channel(read(&[]));
        self.services.lock().insert(service.to_owned(), sender);
        receiver
    }

    fn list(&self, literal: &str) -> watch::Receiver<Listing> {
        let (sender, receiver) = watch::channel(Listing::Unread);
        self.listings.lock().insert(literal.to_owned(), sender);
        receiver
    }

    fn status(&self) -> Status {
        Status {
            last_error: Some("no answer".into()),
            ..Status::default()
        }
    }

    fn survey(&self, _ask: Ask) -> BoxFuture<'_, Survey> {
        Box::pin(std::future::ready(Survey::default()))
    }
}

struct Bench {
    discovery: Arc<Discovery>,
    routes: Arc<Routes>,
    told: Arc<Told>,
}

impl Bench {
    fn new(max_services: usize) -> Self {
        let discovery = Discovery::new(Handle::current());
        let routes = Routes::new(discovery.clone());
        let told = Told::new();
        let bench = Bench {
            discovery,
            routes,
            told: told.clone(),
        };
        bench.use_registry(told, max_services);
        bench
    }

    fn use_registry(&self, told: Arc<Told>, max_services: usize) {
        let named = HashMap::from([("main".into(), told as Arc<dyn Registry>)]);
        self.discovery.set_registries(named);
        self.routes.set_table(Table {
            max_services,
            ..Table::default()
        });
    }

    fn followed(&self) -> Vec<String> {
        let all = self.routes.followed();
        all.iter().map(|it| it.cluster.name.to_string()).collect()
    }

    async fn follows(&self, names: &[&str]) {
        settled(|| self.followed() == names).await;
    }

    /// Time passes, and what it makes one forget is forgotten.
    async fn later(&self, time: Duration) {
        tokio::time::advance(time).await;
        self.routes.sweep(Instant::now());
    }
}

/// Waits, in the time of the test, until it is so.
async fn settled(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("it never is so");
}

fn listener(services: &[&str]) -> config::Listener {
    let patterns = services.iter().map(|it| Pattern::new(it).unwrap());
    config::Listener {
        registry: Some("main".into()),
        services: Patterns::new(patterns.collect()),
        transparent: true,
        ..config::Listener::new("all", std::net::SocketAddr::from(([127, 0, 0, 1], 1)))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_and_fits_is_followed_and_never_forgotten_meanwhile() {
    let bench = Bench::new(10);
    let one = listener(&["shop.*.v2", "stock"]);
    bench.routes.set_listeners(std::slice::from_ref(&one));
    bench.follows(&["stock"]).await;
    bench
        .told
        .lists("shop.", &["shop.a", "shop.a.v2", "shop.b.v2"]);
    bench.follows(&["shop.a.v2", "shop.b.v2", "stock"]).await;
    bench.later(UNUSED * 2).await;
    assert_eq!(bench.followed().len(), 3);
    assert!(bench.routes.by_name("shop.a.v2").is_some());
    assert!(bench.routes.by_name("shop.a").is_none());
    assert!(bench.routes.unlisted(&one).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_left_the_listing_is_one_that_callers_named() {
    let bench = Bench::new(10);
    bench.routes.set_listeners(&[listener(&["shop.*"])]);
    bench.told.lists("shop.", &["shop.a", "shop.b"]);
    bench.follows(&["shop.a", "shop.b"]).await;
    bench.told.has("shop.a", &["10.0.0.1:1"]);
    settled(|| {
        !bench
            .routes
            .services_at(([10, 0, 0, 1], 1).into(), &listener(&[]))
            .is_empty()
    })
    .await;
    bench.told.lists("shop.", &[]);
    sleep(Duration::from_secs(1)).await;
    bench.later(Duration::from_secs(10)).await;
    assert_eq!(bench.followed(), ["shop.a"], "the other is unknown");
    bench.later(UNUSED).await;
    assert!(bench.followed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_followed_than_max_services_and_the_rest_once_there_is_room() {
    let bench = Bench::new(2);
    bench.routes.set_listeners(&[listener(&["*"])]);
    bench.told.lists("", &["a", "b", "c", "d"]);
    bench.follows(&["a", "b"]).await;
    settled(|| bench.routes.left_out() == 2).await;
    bench.told.lists("", &["b", "c"]);
    settled(|| bench.routes.left_out() == 1).await;
    bench.later(Duration::from_secs(10)).await;
    assert_eq!(bench.followed(), ["b", "c"]);
    assert_eq!(bench.routes.left_out(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_is_told_to_those_who_miss_it() {
    let bench = Bench::new(10);
    let (all, some) = (listener(&[]), listener(&["shop.*"]));
    bench.routes.set_listeners(&[all.clone(), some.clone()]);
    let unread = bench.routes.unlisted(&all).unwrap();
    assert!(unread.contains("not be listed yet: no answer"), "{unread}");
    bench.told.says("", Listing::Denied("ask root".into()));
    bench.told.lists("shop.", &["shop.a"]);
    bench.follows(&["shop.a"]).await;
    let denied = bench.routes.unlisted(&all).unwrap();
    assert_eq!(&*denied, "its registry could not be listed: ask root");
    assert!(bench.routes.unlisted(&some).is_none());
    let shown = bench.routes.listings();
    let names: Vec<_> = shown.iter().map(|it| (&*it.names, it.found)).collect();
    assert_eq!(names, [("*", None), ("shop.*", Some(1))]);
    assert_eq!(shown[0].problem, Some(denied));
}

#[tokio::test(start_paused = true)]
async fn listings_begin_and_end_as_listeners_change() {
    let bench = Bench::new(10);
    bench.routes.set_listeners(&[listener(&["shop.*"])]);
    bench.told.lists("shop.", &["shop.a"]);
    bench.follows(&["shop.a"]).await;
    let wider = [listener(&["shop.*"]), listener(&["*.v2", "shop.*.v2"])];
    bench.routes.set_listeners(&wider);
    assert_eq!(bench.told.listed(), ["", "shop."]);
    assert_eq!(bench.followed(), ["shop.a"], "that listing was kept");
    let plain = config::Listener {
        transparent: false,
        ..listener(&["shop.*"])
    };
    bench.routes.set_listeners(&[plain]);
    sleep(Duration::from_millis(1)).await;
    assert!(bench.told.listed().is_empty());
    bench.later(Duration::from_secs(10)).await;
    assert!(bench.followed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_registry_of_the_same_name_is_listed_and_followed_anew() {
    let bench = Bench::new(10);
    let listeners = [listener(&["shop.*"])];
    bench.routes.set_listeners(&listeners);
    bench.told.lists("shop.", &["shop.a"]);
    bench.follows(&["shop.a"]).await;
    let at = |last| {
        let at = bench
            .routes
            .services_at(([10, 0, 0, last], 1).into(), &listeners[0]);
        at.len()
    };
    bench.told.has("shop.a", &["10.0.0.1:1"]);
    settled(|| at(1) == 1).await;
    let cluster = bench
        .routes
        .by_name("shop.a")
        .unwrap()
        .followed
        .cluster
        .clone();

    let other = Told::new();
    bench.use_registry(other.clone(), 10);
    bench.routes.set_listeners(&listeners);
    other.lists("shop.", &["shop.a"]);
    other.has("shop.a", &["10.0.0.2:1"]);
    settled(|| at(2) == 1).await;
    assert_eq!(at(1), 1, "callers may go there for another minute");
    let after = bench.routes.by_name("shop.a").unwrap();
    assert!(Arc::ptr_eq(&cluster, &after.followed.cluster));
    assert!(bench.told.listed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_address_is_of_the_services_that_the_listener_may_know() {
    let bench = Bench::new(10);
    bench.routes.set_listeners(&[listener(&[])]);
    bench.told.lists("", &["shop.a", "stock", "void"]);
    bench.follows(&["shop.a", "stock", "void"]).await;
    for service in ["shop.a", "stock"] {
        bench.told.has(service, &["10.0.0.1:1", "127.0.0.1:1"]);
    }
    bench
        .told
        .has("void", &["0.0.0.0:1", "169.254.169.254:1", "nonsense"]);
    let at = |addr: &str, patterns: &[&str]| {
        let at = bench
            .routes
            .services_at(addr.parse().unwrap(), &listener(patterns));
        at.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    settled(|| at("10.0.0.1:1", &[]) == ["shop.a", "stock"]).await;
    assert_eq!(at("127.0.0.1:1", &[]), ["shop.a", "stock"]);
    assert_eq!(at("10.0.0.1:1", &["shop.*"]), ["shop.a"]);
    for nobody in ["0.0.0.0:1", "169.254.169.254:1", "10.0.0.2:1"] {
        assert!(at(nobody, &[]).is_empty(), "{nobody}");
    }
}
