//! Service and method to [`Target`]: where a call goes, and by which rules.
//!
//! A connection mostly calls one method again and again, so it remembers its last target ([`Cached`]) and looks up
//! anew only when the names or the configuration changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::{Aim, Target};
use crate::cluster::{Cluster, Method};
use crate::config::{CallPolicy, Policy, Source};
use crate::discovery::{Discovery, Followed};
use crate::frame::{self, Head, Verdict};
use crate::listener::Door;
use crate::outcome::{Failed, Limit, Outcome};
use crate::rate::Rates;
use crate::recorder::Recorder;
use crate::registry::is_name;
use crate::rpc::{Reply, Request};

mod listed;
mod redirect;

use listed::Listings;
pub use listed::Shown as ShownListing;
pub use redirect::Redirected;

/// What a client has to do to name the service it calls.
const NAME_IT: &str = "the call names no service and this listener has none: in Kitex, use TTHeader with \
    client.WithMetaHandler(transmeta.ClientTTHeaderHandler), or give the listener a service";

/// All services: those in the config, those that callers named, and those that transparent listeners may know.
pub struct Routes {
    table: ArcSwap<Table>,
    named: Mutex<HashMap<Arc<str>, Named>>,
    /// Locked before `named`, where both are.
    listings: Mutex<Listings>,
    generation: AtomicU64,
    discovery: Arc<Discovery>,
    /// Calls that had no service.
    pub unrouted: Recorder,
}

/// What the config says.
#[derive(Default)]
pub struct Table {
    /// The services of the config.
    pub services: HashMap<Arc<str>, Routed>,
    /// The policy of services that callers name.
    pub defaults: Arc<Policy>,
    /// How many of those there may be.
    pub max_services: usize,
}

/// A service of the config.
#[derive(Clone)]
pub struct Routed {
    /// The service, followed in its registry.
    pub followed: Arc<Followed>,
    /// Its policy.
    pub policy: Arc<Policy>,
    /// Methods that differ.
    pub methods: Arc<HashMap<String, CallPolicy>>,
}

/// A service that callers named, or that is listed.
struct Named {
    routed: Routed,
    /// A transparent listener may know it: not forgotten meanwhile.
    listed: bool,
    since: Instant,
    unused_since: Instant,
}

impl Named {
    fn new(routed: Routed, now: Instant) -> Self {
        Self {
            routed,
            listed: false,
            since: now,
            unused_since: now,
        }
    }
}

/// Unknown names are remembered for so long; known ones until they were not used for so long.
const UNKNOWN: std::time::Duration = std::time::Duration::from_secs(5);
const UNUSED: std::time::Duration = std::time::Duration::from_secs(600);

/// A connection's last target.
#[derive(Default)]
pub struct Cached {
    generation: u64,
    service: Box<[u8]>,
    method: Box<[u8]>,
    target: Option<Target>,
    /// Where it was going, if the firewall redirected it.
    redirected: Option<Box<Redirected>>,
}

impl Cached {
    /// A method that the service answered gets a slot of its own.
    #[inline]
    pub fn learn(&mut self, request: &Request, reply: &Reply) {
        if !request.target.method.own {
            self.adopt(request, reply);
        }
    }

    #[cold]
    fn adopt(&mut self, request: &Request, reply: &Reply) {
        let Some(head) = &reply.head else { return };
        // Unknown method, unknown service, no service name: says nothing of the method.
        let unknown = matches!(
            frame::verdict(head, &reply.frame),
            Verdict::Exception {
                type_id: Some(1 | 20 | 21) | None
            }
        );
        if !unknown {
            request
                .target
                .cluster
                .methods
                .adopt(request.head.name.of(&request.frame));
            self.target = None;
        }
    }
}

impl Routes {
    /// No service yet.
    pub fn new(discovery: Arc<Discovery>) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::default(),
            named: Mutex::default(),
            listings: Mutex::default(),
            unrouted: Recorder::default(),
            generation: AtomicU64::new(1),
            discovery,
        })
    }

    /// The services of the config, as they are now.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Another config, or other registries.
    pub fn set_table(&self, table: Table) {
        let table = Arc::new(table);
        self.keep_listed(&table);
        for named in self.named.lock().values_mut() {
            let followed = &mut named.routed.followed;
            if !self.discovery.follows_current(followed) {
                *followed = self.discovery.follow_again(followed);
            }
            named.routed.policy = table.defaults.clone();
            named.routed.followed.set_policy(&table.defaults, false);
        }
        self.named
            .lock()
            .retain(|name, _| !table.services.contains_key(name));
        self.table.store(table);
        self.generation.fetch_add(1, Relaxed);
    }

    /// Services that the config no longer has, and that are listed, stay as they are, with the policy of all.
    fn keep_listed(&self, table: &Table) {
        let listed = self.listings.lock().names();
        let before = self.table.load();
        let mut named = self.named.lock();
        for (name, routed) in &before.services {
            let source = listed.get(name).map(|it| Source::Registry(it.clone()));
            let same = source.as_ref() == Some(&routed.followed.source);
            if same && !table.services.contains_key(name) && named.len() < table.max_services {
                let routed = Routed {
                    policy: table.defaults.clone(),
                    methods: Arc::default(),
                    ..routed.clone()
                };
                routed.followed.cluster.set_named(true);
                named.insert(name.clone(), Named::new(routed, Instant::now()));
            }
        }
    }

    /// All services followed now, by name.
    pub fn all(&self) -> HashMap<Arc<str>, Routed> {
        let mut all = self.table.load().services.clone();
        let named = self.named.lock();
        all.extend(
            named
                .iter()
                .map(|(name, it)| (name.clone(), it.routed.clone())),
        );
        all
    }

    /// What connections remember is looked up again.
    pub fn renew(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// Every service followed now.
    pub fn followed(&self) -> Vec<Arc<Followed>> {
        let table = self.table.load();
        let mut all: Vec<_> = table
            .services
            .values()
            .map(|routed| routed.followed.clone())
            .collect();
        all.extend(
            self.named
                .lock()
                .values()
                .map(|named| named.routed.followed.clone()),
        );
        all.sort_by(|a, b| a.cluster.name.cmp(&b.cluster.name));
        all
    }

    /// Where a call goes.
    ///
    /// # Errors
    ///
    /// `unknown_service`, or `overloaded` where callers named too many.
    #[inline]
    pub fn resolve(
        &self,
        door: &Door,
        cached: &mut Cached,
        head: &Head,
        call: &[u8],
        now: Instant,
    ) -> Result<Target, Failed> {
        let named = head
            .tt
            .as_ref()
            .map_or(&[][..], |tt| tt.to_service.of(call));
        let method = head.name.of(call);
        if let Some(target) = &cached.target {
            let same = *cached.method == *method && *cached.service == *named;
            let chosen = target.chosen.as_ref();
            let stale = |to: &Redirected| to.is_stale(chosen, now);
            let stale = cached.redirected.as_deref().is_some_and(stale);
            if same && !stale && cached.generation == self.generation.load(Relaxed) {
                return Ok(target.clone());
            }
        }
        self.look_up(door, cached, named, method, now)
    }

    #[cold]
    fn look_up(
        &self,
        door: &Door,
        cached: &mut Cached,
        named: &[u8],
        method: &[u8],
        now: Instant,
    ) -> Result<Target, Failed> {
        let generation = self.generation.load(Relaxed);
        let routed = match &cached.redirected {
            None => self.routed(door, named, now)?,
            Some(to) => self.redirected(door, to, named, now)?,
        };
        if let Some(to) = &mut cached.redirected {
            to.looked(door, now);
        }
        let target = aim(door, &routed, method, cached.redirected.as_deref());
        *cached = Cached {
            generation,
            service: named.into(),
            method: method.into(),
            target: Some(target.clone()),
            redirected: cached.redirected.take(),
        };
        Ok(target)
    }

    /// Where a relayed connection goes: to the listener's own service.
    pub fn relay_target(&self, door: &Door) -> Option<Target> {
        let service = door.config().service.clone()?;
        let routed = self.table.load().services.get(&service).cloned()?;
        Some(aim(door, &routed, b"relay", None))
    }

    fn routed(&self, door: &Door, named: &[u8], now: Instant) -> Result<Routed, Failed> {
        let unknown = |why: &str| Failed::new(Outcome::UnknownService, now).because(why);
        let config = door.config();
        let name = match &config.service {
            Some(service) => service,
            None if named.is_empty() => return Err(unknown(NAME_IT)),
            None => std::str::from_utf8(named)
                .map_err(|_| unknown("the service's name is not UTF-8"))?,
        };
        if let Some(patterns) = config.services.as_ref().filter(|it| !it.matches(name)) {
            let (listener, why) = (&door.name, "only services that fit may be called");
            return Err(unknown(&format!("at listener {listener} {why} {patterns}")));
        }
        if let Some(routed) = self.table.load().services.get(name) {
            return Ok(routed.clone());
        }
        let Some(registry) = &config.registry else {
            return Err(unknown(
                "it is not in the config, and this listener has no registry to look it up in",
            ));
        };
        if !is_name(name) {
            return Err(unknown("no service can have such a name"));
        }
        self.follow_named(name, registry, now)
    }

    /// Follows a service that a caller names for the first time.
    fn follow_named(&self, name: &str, registry: &str, now: Instant) -> Result<Routed, Failed> {
        let table = self.table.load();
        let mut all = self.named.lock();
        if let Some(named) = all.get_mut(name) {
            named.unused_since = now;
            return Ok(named.routed.clone());
        }
        if all.len() >= table.max_services {
            return Err(Failed::new(Outcome::Overloaded, now)
                .limit(
                    Limit::Count("max_services", table.max_services),
                    std::time::Duration::ZERO,
                )
                .because("as many services are followed already, those that callers named and those that were listed"));
        }
        let routed = self.start(name, registry, &table);
        all.insert(name.into(), Named::new(routed.clone(), now));
        Ok(routed)
    }

    fn start(&self, name: &str, registry: &str, table: &Table) -> Routed {
        let policy = table.defaults.clone();
        Routed {
            followed: self.discovery.follow_named(name, registry, policy.clone()),
            policy,
            methods: Arc::default(),
        }
    }

    /// Forgets services that callers named: unknown ones after 5 s, others after 10 min unused; never what is listed.
    /// Returns their names.
    pub fn sweep(&self, now: Instant) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        self.named.lock().retain(|name, named| {
            let cluster = &named.routed.followed.cluster;
            if cluster.take_used() {
                named.unused_since = now;
            }
            let unknown =
                cluster.is_unknown() && now.saturating_duration_since(named.since) >= UNKNOWN;
            let used = now.saturating_duration_since(named.unused_since) < UNUSED;
            let keep = named.listed || !unknown && used;
            if !keep {
                gone.push(name.clone());
            }
            keep
        });
        if !gone.is_empty() {
            self.generation.fetch_add(1, Relaxed);
            self.settle_left_out();
        }
        gone
    }
}

fn aim(door: &Door, routed: &Routed, method: &[u8], to: Option<&Redirected>) -> Target {
    let cluster = routed.followed.cluster.clone();
    let slot = cluster.methods.find(method);
    let policy = std::str::from_utf8(method)
        .ok()
        .and_then(|name| routed.methods.get(name))
        .unwrap_or(&routed.policy.call);
    Arc::new(Aim {
        rates: rates(&cluster, &slot, &routed.policy, policy),
        policy: policy.clone(),
        service: routed.policy.clone(),
        counters: door.counters(&cluster.name, &slot.name),
        chosen: to.and_then(|to| to.chosen(door, routed)),
        method: slot,
        cluster,
    })
}

/// A method whose limit is its service's needs no second bucket: it would always be the fuller one.
fn rates(cluster: &Cluster, method: &Method, service: &Policy, policy: &CallPolicy) -> Rates {
    let (all, own) = (service.call.rate, policy.rate);
    Rates {
        method: if own == all { None } else { method.rate(own) },
        service: cluster.rate.of(all),
    }
}
