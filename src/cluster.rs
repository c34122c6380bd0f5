//! What the calls of one service share: its endpoints, limits, methods, metrics. (`Service` is tower's word.)
//!
//! Calls read a snapshot of the endpoints and never lock; a change of the registry or of an endpoint's state rebuilds
//! that snapshot, of this service and nothing else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::breaker;
use crate::budget::Budget;
use crate::config::{HealthCheck, Policy};
use crate::diagnosis::Origin;
use crate::endpoint::{Endpoint, EndpointSet, Member, Tags, Waiters};
use crate::finding::{Code, plain};
use crate::health::success_rate::Judgement;
use crate::health::{Peers, State};
use crate::metrics::ServiceMetrics;
use crate::outcome::{Failed, Outcome};
use crate::rate::RateSlot;
use crate::recorder::Recorder;
use crate::registry::DialAddr;
use crate::upstream::connect::{ConnectError, connect};

mod check;
mod ejection;
pub mod finding;
mod method;
mod rescues;
#[cfg(test)]
mod tests;

pub use method::{Method, Methods};
pub use rescues::Rescues;

/// Where to dial, as discovery sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The address.
    pub addr: DialAddr,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Changes when the registry puts the entry again.
    pub revision: u64,
    /// What its owner wrote beside it.
    pub tags: Tags,
    /// It is on this host.
    pub here: bool,
    /// What its registration says of it.
    pub origin: Arc<Origin>,
}

/// What is known of a service's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// The registry has not been read yet.
    Unread,
    /// It was read; why there is no endpoint, where there is none.
    Read(Option<Arc<str>>),
    /// It was read, and nothing of the name is there.
    Nothing,
}

/// `nothing is registered (R13); see tidegate doctor item`.
fn nothing_registered(service: &str) -> String {
    let (code, service) = (Code::R13, plain(service));
    format!("nothing is registered ({code}); see tidegate doctor {service}")
}

/// Asked for what keeps a registry from being read.
pub type Trouble = Box<dyn Fn() -> Option<Arc<str>> + Send + Sync>;

/// One service.
pub struct Cluster {
    /// Its name.
    pub name: Arc<str>,
    /// Its methods.
    pub methods: Methods,
    /// Calls in flight.
    pub calls: AtomicUsize,
    /// How many of its calls may come in a second.
    pub rate: RateSlot,
    /// How many of its calls may be sent again.
    pub budget: Budget,
    /// Calls that wait for a place.
    pub waiters: Arc<Waiters>,
    /// What its endpoints know of each other.
    pub peers: Arc<Peers>,
    /// Who dials while every endpoint is down.
    pub rescues: Rescues,
    /// Its series.
    pub metrics: ServiceMetrics,
    /// Its calls that are worth a look.
    pub recorder: Recorder,
    /// No config names it, only callers or a listing do: it may be unknown.
    named: AtomicBool,
    /// Rung when a connect failed: host names are looked up again.
    pub lookup: Arc<Notify>,
    used: AtomicBool,
    set: ArcSwap<EndpointSet>,
    policy: ArcSwap<Policy>,
    known: watch::Sender<Knowledge>,
    dials: Mutex<Vec<Dial>>,
    last_failure: Mutex<Option<Failed>>,
    trouble: Mutex<Option<Trouble>>,
    /// When the success rate was last judged, and what came of it.
    judged: Mutex<(Instant, Judgement)>,
    /// How many registered addresses that are not dialled show each finding, and what was counted last.
    registered: Mutex<finding::Registered>,
    counted: Mutex<Option<finding::Registered>>,
    /// Places for the health checks under way.
    checks: Arc<Semaphore>,
    control: Handle,
    me: Weak<Cluster>,
}

impl Cluster {
    /// A service with no endpoints yet. Background connects and health checks run on `control`.
    pub fn new(name: &str, policy: Arc<Policy>, control: Handle, named: bool) -> Arc<Self> {
        let own_name: Arc<str> = name.into();
        Arc::new_cyclic(|me| Self {
            methods: Methods::new(&own_name, &policy.breaker),
            name: own_name,
            calls: AtomicUsize::new(0),
            rate: RateSlot::default(),
            budget: Budget::default(),
            waiters: Arc::new(Waiters::default()),
            peers: Arc::default(),
            metrics: ServiceMetrics::new(name),
            recorder: Recorder::default(),
            named: AtomicBool::new(named),
            lookup: Arc::default(),
            used: AtomicBool::new(false),
            set: ArcSwap::from_pointee(EndpointSet::default()),
            policy: ArcSwap::new(policy),
            known: watch::Sender::new(Knowledge::Unread),
            dials: Mutex::new(Vec::new()),
            rescues: Rescues::default(),
            last_failure: Mutex::new(None),
            trouble: Mutex::new(None),
            judged: Mutex::new((Instant::now(), Judgement::default())),
            registered: Mutex::default(),
            counted: Mutex::default(),
            checks: Arc::new(Semaphore::new(check::AT_ONCE)),
            control,
            me: me.clone(),
        })
    }

    /// The endpoints as they are now.
    #[inline]
    pub fn set(&self) -> arc_swap::Guard<Arc<EndpointSet>> {
        self.set.load()
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Another policy, after a reload; state is kept.
    pub fn set_policy(&self, policy: &Arc<Policy>) {
        self.methods.set_policy(&policy.breaker, Instant::now());
        let before = self.policy.swap(policy.clone());
        let same_checks = before.health_check == policy.health_check;
        if before.picks_as(policy) && before.ejection == policy.ejection && same_checks {
            return;
        }
        let _one = self.dials.lock();
        if !same_checks {
            self.renew_checks(&policy.health_check);
        }
        if before.ejection.enabled && !policy.ejection.enabled {
            self.pardon_all();
        }
        self.refresh();
    }

    /// Another set of endpoints. Those that stay keep their state, their connections and their calls; the others get
    /// no further call. `known` says, where there are none, what is wrong.
    pub fn apply(&self, dials: Vec<Dial>, known: Knowledge) {
        let mut current = self.dials.lock();
        for dial in &dials {
            let put_again = current
                .iter()
                .any(|old| old.addr == dial.addr && old.revision != dial.revision);
            if let Some(endpoint) = put_again.then(|| self.endpoint(&dial.addr)).flatten() {
                // Likely a new process: no need to wait for the old one's times to run out.
                endpoint.again.notify_one();
                endpoint.health.release(Instant::now());
                self.start_checks(&endpoint, &self.policy.load().health_check, true);
            }
        }
        *current = dials;
        self.rebuild(&current);
        drop(current);
        self.known.send_replace(known);
    }

    /// What is known of the registration, and when that changes.
    pub fn known(&self) -> watch::Receiver<Knowledge> {
        self.known.subscribe()
    }

    /// The endpoint at this address.
    pub fn endpoint(&self, addr: &DialAddr) -> Option<Arc<Endpoint>> {
        self.set
            .load()
            .all
            .iter()
            .find(|m| m.endpoint.addr == *addr)
            .map(|m| m.endpoint.clone())
    }

    /// A connect to this endpoint succeeded.
    pub fn connected(&self, endpoint: &Arc<Endpoint>) {
        endpoint.watch.connected();
        if endpoint.health.connected() {
            if endpoint.health.state() != State::Down {
                tracing::info!(service = %self.name, endpoint.addr = %endpoint.name, "endpoint is up again");
            }
            let _one = self.dials.lock();
            self.refresh();
        }
    }

    /// A connect to this endpoint failed: it is down at once, and dialled in the background until it is back.
    pub fn connect_failed(&self, endpoint: &Arc<Endpoint>, error: &ConnectError) {
        let jitter = fastrand::f64() * 2.0 - 1.0;
        let now = Instant::now();
        let first = endpoint
            .health
            .connect_failed(error.outcome, &error.detail, now, jitter);
        self.note_connect(endpoint, error, first);
        if !first {
            return;
        }
        tracing::warn!(
            service = %self.name, endpoint.addr = %endpoint.name, cause = error.outcome.label(),
            "endpoint is down: {}", error.detail
        );
        endpoint.pool.clear();
        self.lookup.notify_one();
        let one = self.dials.lock();
        self.refresh();
        drop(one);
        if !endpoint.is_removed() {
            self.control
                .spawn(revive(self.me.clone(), endpoint.clone()));
        }
    }

    /// Remembers how the last connect failed, for the calls that wait for somebody else's.
    pub fn remember(&self, failed: &Failed) {
        *self.last_failure.lock() = Some(failed.clone());
    }

    /// How the last connect failed, or what a health check has said since.
    pub fn last_failure(&self, now: Instant) -> Failed {
        let last = || self.last_failure.lock().clone();
        let last = self.kept_down(now).or_else(last);
        last.unwrap_or_else(|| Failed::new(Outcome::NoEndpoints, now))
    }

    /// Whom to ask, before the first read, what keeps the registry from being read.
    pub fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock() = Some(trouble);
    }

    /// Why there is no endpoint to use: what discovery said.
    pub fn why_none(&self) -> Option<Arc<str>> {
        match &*self.known.borrow() {
            Knowledge::Read(why) => return why.clone(),
            Knowledge::Nothing => return Some(nothing_registered(&self.name).into()),
            Knowledge::Unread => {}
        }
        let trouble = self.trouble.lock().as_ref().and_then(|ask| ask());
        Some(match trouble {
            Some(trouble) => format!("its registry could not be read yet: {trouble}").into(),
            None => "its registry could not be read yet".into(),
        })
    }

    /// Calls in flight, and those that wait for a place.
    pub fn busy(&self) -> (usize, usize) {
        let waiting = self.waiters.count.load(Relaxed);
        (self.calls.load(Relaxed), waiting)
    }

    /// The breakers of its methods, by name, as they are now.
    pub fn breakers(&self, now: Instant) -> Vec<(Arc<str>, breaker::Snapshot)> {
        let snapshot =
            |it: &Arc<Method>| Some((it.name.clone(), it.breaker.as_ref()?.snapshot(now)));
        self.methods.all().iter().filter_map(snapshot).collect()
    }

    /// A call goes to it.
    #[inline]
    pub fn mark_used(&self) {
        self.used.store(true, Relaxed);
    }

    /// Whether a call went to it since this was last asked.
    pub fn take_used(&self) -> bool {
        self.used.swap(false, Relaxed) || self.calls.load(Relaxed) > 0
    }

    /// Whether no config names it, only callers or a listing do.
    pub fn is_named(&self) -> bool {
        self.named.load(Relaxed)
    }

    /// Says whether no config names it, after a reload.
    pub fn set_named(&self, named: bool) {
        self.named.store(named, Relaxed);
    }

    /// Callers named it, the registry was read, and nothing of the name is there.
    pub fn is_unknown(&self) -> bool {
        self.is_named()
            && self.set.load().all.is_empty()
            && matches!(&*self.known.borrow(), Knowledge::Nothing)
    }

    /// Closes pooled connections that were idle for too long, and refreshes the gauges. On the control thread.
    pub fn upkeep(&self, now: Instant) {
        let policy = self.policy.load_full();
        let (mut idle, mut busy, mut orphans) = (0, 0, 0);
        let set = self.set.load();
        for Member { endpoint, .. } in &set.all {
            if let Some(closed) = endpoint.pool.sweep(now, policy.idle_timeout) {
                self.metrics.stale_before_use.add(closed.dead as u64);
                self.found_closed(endpoint, closed.idle);
            }
            endpoint.health.upkeep(policy.ejection.slow_start, now);
            idle += endpoint.pool.len();
            orphans += endpoint.orphans() as usize;
            busy += (endpoint.busy() - endpoint.orphans().min(endpoint.busy())) as usize;
        }
        for (state, n) in [("idle", idle), ("busy", busy), ("orphan", orphans)] {
            if let Some(gauge) = self.metrics.connections(state) {
                gauge.set(n as u64);
            }
        }
        self.methods.upkeep(now);
        self.recorder.upkeep(now);
        for state in State::ALL {
            self.metrics
                .endpoints(state.label(), self.peers.count(state));
        }
        self.judge_success_rates(&set, &policy.ejection, now);
        self.upkeep_findings(&set.all, now);
        self.metrics.in_flight(self.calls.load(Relaxed));
        let tokens = self.budget.tokens(now, policy.retry_budget);
        self.metrics.retry_budget_tokens.set(tokens);
    }

    /// Makes the snapshot anew. The caller holds the lock on the dials: rebuilds never overtake each other.
    fn rebuild(&self, dials: &[Dial]) {
        let old = self.set.load_full();
        let mut known: HashMap<DialAddr, Arc<Endpoint>> = old
            .all
            .iter()
            .map(|m| (m.endpoint.addr.clone(), m.endpoint.clone()))
            .collect();
        let checks = &self.policy.load().health_check;
        let all = dials
            .iter()
            .map(|dial| {
                let endpoint = known.remove(&dial.addr);
                let endpoint = endpoint.unwrap_or_else(|| self.found(&dial.addr, checks));
                endpoint.watch.register(&dial.origin);
                (dial, endpoint)
            })
            .map(|(dial, endpoint)| Member {
                endpoint,
                weight: dial.weight.max(1),
                tags: dial.tags.clone(),
                here: dial.here,
            })
            .collect();
        for gone in known.values() {
            gone.metrics.gone();
            gone.remove();
        }
        self.put(all);
    }

    /// A new endpoint.
    fn found(&self, addr: &DialAddr, checks: &HealthCheck) -> Arc<Endpoint> {
        let (waiters, peers) = (self.waiters.clone(), self.peers.clone());
        let endpoint = Endpoint::new(&self.name, addr.clone(), waiters, peers);
        if checks.required {
            endpoint.health.require_check(Instant::now());
        }
        self.start_checks(&endpoint, checks, checks.required);
        endpoint
    }

    /// Makes the snapshot anew, with the same endpoints: a state changed. The caller holds the lock on the dials.
    fn refresh(&self) {
        self.put(self.set.load().all.clone());
    }

    fn put(&self, all: Vec<Member>) {
        let policy = self.policy.load();
        self.release_those_too_many(&all, &policy.ejection);
        let new = |all| EndpointSet::new(all, &policy, self.peers.clone());
        let mut set = new(all);
        if self.release_stranded(&set, &policy.ejection) {
            set = new(set.all);
        }
        for Member { endpoint, .. } in &set.all {
            endpoint.metrics.state(endpoint.health.state().label());
        }
        self.set.store(Arc::new(set));
        self.waiters.ring();
    }
}

/// Dials an endpoint that is down until it is back, gone, or its service is.
async fn revive(cluster: Weak<Cluster>, endpoint: Arc<Endpoint>) {
    while let Some(next) = endpoint.health.next_connect() {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = endpoint.again.notified() => {}
        }
        if endpoint.health.next_connect().is_none() {
            return;
        }
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        if endpoint.is_removed() {
            return;
        }
        let policy = cluster.policy();
        match connect(
            &endpoint.addr,
            policy.connect_timeout.max(Duration::from_millis(1)),
        )
        .await
        {
            Ok(_) => cluster.connected(&endpoint),
            // Ours, not the endpoint's: try again as if nothing had been learned, but later.
            Err(error) => {
                cluster.note_connect(&endpoint, &error, false);
                let jitter = fastrand::f64() * 2.0 - 1.0;
                endpoint.health.connect_failed(
                    error.outcome,
                    &error.detail,
                    Instant::now(),
                    jitter,
                );
            }
        }
    }
}
