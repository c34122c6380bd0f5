//! What `/services` shows: each service, each registered address, its state and why.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::App;
use crate::breaker::{Snapshot, State};
use crate::cluster::Cluster;
use crate::config::{Listener, Source};
use crate::discovery::{Followed, unreadable};
use crate::endpoint::{Endpoint, Part};
use crate::finding::Code;
use crate::registry::{Shown, brief};
use crate::why::{self, Clock};

impl App {
    /// Says in the log, once the registries were read (or 2 s have passed), what is listened on and what each service
    /// has.
    pub(super) fn say_summary(self: &Arc<Self>) {
        for (name, addr) in self.listeners() {
            let config = self.config();
            let listener = config.listeners.iter().find(|l| l.name == name);
            let whose = listener.map(whose).unwrap_or_default();
            tracing::info!(listener = %name, listen = %addr, "listening: {whose}");
        }
        let app = Arc::downgrade(self);
        tokio::spawn(async move {
            let until = Instant::now() + Duration::from_secs(2);
            while let Some(app) = app.upgrade() {
                let followed = app.routes.followed();
                if followed.iter().all(|f| f.members.load().known) || Instant::now() >= until {
                    followed.iter().for_each(|f| say_service(f));
                    return;
                }
                drop((app, followed));
                sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// The state of everything, as JSON.
    pub fn services(&self) -> Value {
        let clock = Clock::read();
        let registries: Vec<Value> = self
            .discovery
            .registries()
            .iter()
            .map(|(name, registry)| {
                let status = registry.status();
                let age = status
                    .last_sync
                    .and_then(|at| at.elapsed().ok())
                    .map(|age| age.as_secs_f64());
                json!({
                    "name": &**name, "up": status.up, "last_sync_seconds_ago": age,
                    "last_error": status.last_error.as_deref(), "listings": self.listings(name),
                })
            })
            .collect();
        let followed = self.routes.followed();
        let services: Vec<Value> = followed.iter().map(|f| service(f, &clock)).collect();
        let listeners: Vec<Value> = self
            .doors
            .lock()
            .iter()
            .map(|door| {
                let config = door.config();
                json!({
                    "name": &*door.name, "listen": door.addr.to_string(), "service": config.service.as_deref(),
                    "transparent": config.transparent,
                    "services": config.services.as_ref().map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>()),
                    "connections": door.connections(), "calls": door.calls(), "draining": door.drain.is_closing(),
                })
            })
            .collect();
        json!({
            "listeners": listeners, "registries": registries, "rewrites": self.rewrites(&followed),
            "services": services, "services_left_out": self.routes.left_out(), "draining": self.is_draining(),
        })
    }

    /// What is listed in a registry, and why it could not be.
    fn listings(&self, registry: &str) -> Vec<Value> {
        let all = self.routes.listings();
        let here = all.iter().filter(|it| *it.registry == *registry);
        here.map(|it| json!({ "services": it.names, "found": it.found, "problem": it.problem.as_deref() }))
            .collect()
    }

    /// The rewrite rules, each with how many registered addresses it takes.
    fn rewrites(&self, followed: &[Arc<Followed>]) -> Vec<Value> {
        let mut taken: HashMap<Arc<str>, i64> = HashMap::new();
        for (label, n) in followed.iter().flat_map(|it| it.rewritten()) {
            *taken.entry(label).or_default() += n;
        }
        let config = self.config();
        let rule = |rule: &crate::config::Rewrite| {
            let addresses = taken.get(&rule.label()).copied().unwrap_or(0);
            json!({ "rule": rule.to_string(), "addresses": addresses })
        };
        config.rewrites.iter().map(rule).collect()
    }
}

/// Whose calls a listener takes.
fn whose(listener: &Listener) -> String {
    let those = listener.services.as_ref();
    let those = those.map_or(String::new(), |those| format!(", one of {those}"));
    match &listener.service {
        Some(service) => format!("service {service}"),
        None if listener.transparent => {
            format!("the address that a connection was going to says its service{those}")
        }
        None => format!("each call names its service{those}"),
    }
}

/// Addresses of a service that are named in one line.
const NAMED: usize = 5;

/// One line for a service at the start.
fn say_service(followed: &Followed) {
    let members = followed.members.load();
    if members.is_nothing() {
        // The log says so already, with what helps.
        return;
    }
    let source = match &followed.source {
        Source::Registry(name) => format!("registry {name}"),
        Source::Static(_) => "the config".to_owned(),
    };
    let addresses: Vec<String> = members
        .shown
        .iter()
        .take(NAMED)
        .map(|shown| {
            let code = shown
                .code
                .map_or(String::new(), |code| format!(" {}", code.label()));
            let unused = if shown.used { "" } else { ", not used" };
            let (address, class) = (shown.before_and_after(), shown.dialled_class().label());
            let address = brief(&address);
            format!("{address} ({class}{code}{unused})")
        })
        .collect();
    let addresses = match (addresses.as_slice(), members.known) {
        ([], false) => "not read yet".to_owned(),
        ([], true) => unreadable(&followed.cluster.name, &members).unwrap_or_default(),
        (some, _) => some.join(", "),
    };
    let addresses = match members.shown.len() {
        all if all > NAMED => format!("{addresses} and {} more", all - NAMED),
        _ => addresses,
    };
    tracing::info!(service = %followed.cluster.name, "service from {source}: {addresses}");
}

fn service(followed: &Followed, clock: &Clock) -> Value {
    let cluster = &followed.cluster;
    let members = followed.members.load();
    let (set, policy) = (cluster.set(), cluster.policy());
    let preferred = set.preferred();
    let endpoints: Vec<Value> = members
        .shown
        .iter()
        .map(|shown| registered(cluster, shown, &preferred, clock))
        .collect();
    let breakers: Vec<Value> = cluster
        .breakers(clock.now)
        .iter()
        .map(|(method, it)| breaker(method, it, set.available(), clock))
        .collect();
    let standing = cluster.budget.standing(clock.now, policy.retry_budget);
    let (in_flight, waiting) = cluster.busy();
    json!({
        "name": &*cluster.name,
        "named_by_callers": cluster.is_named(),
        "known": members.known,
        "problem": cluster.why_none().filter(|_| set.all.is_empty()).as_deref(),
        "calls_in_flight": in_flight,
        "up": cluster.peers.census().picked(),
        "lanes": set.parts().iter().map(part).collect::<Vec<_>>(),
        "endpoints": endpoints,
        "breakers": breakers,
        "other_methods_why": why::breaker::others(cluster.methods.forced(clock.now), clock),
        "retry_budget": {
            "tokens": standing.tokens,
            "why": why::service::retry_budget(&standing, policy.retry_budget),
        },
        "limits": why::service::limits(in_flight, waiting, &policy),
    })
}

/// A lane, or the baseline, or what is preferred.
fn part(part: &Part) -> Value {
    json!({
        "name": part.name,
        "live": part.live,
        "registered": part.registered,
        "preferred": part.preferred.as_ref().map(ToString::to_string),
    })
}

/// One registered address. A host name with several addresses shows the first.
fn registered(cluster: &Cluster, shown: &Shown, preferred: &HashSet<u32>, clock: &Clock) -> Value {
    let endpoint = shown.dial.as_ref().and_then(|addr| cluster.endpoint(addr));
    let mut value = json!({
        "registered": shown.instance.address,
        "key": shown.instance.key,
        "class": shown.class.label(),
        "findings": findings(shown, endpoint.as_deref(), clock),
        "rewritten": shown.rewritten.as_ref().map(|it| json!({
            "to": &*it.to, "class": it.class.label(), "rule": &*it.rule,
        })),
        "dial": shown.dial.as_ref().map(ToString::to_string),
        "used": shown.used,
        "weight": shown.instance.weight,
        "tags": shown.instance.tags,
        "why": remark(shown, endpoint.as_deref()),
    });
    if let (Some(endpoint), Some(object)) = (endpoint, value.as_object_mut()) {
        object.extend(state(cluster, &endpoint, clock));
        object.insert("preferred".into(), preferred.contains(&endpoint.id).into());
    }
    value
}

/// What its registration is found to be, as far as that still holds after what was seen at its endpoint.
pub(super) fn registered_codes(
    shown: &Shown,
    endpoint: Option<&Endpoint>,
) -> impl Iterator<Item = Code> {
    let codes = shown.code.iter().chain(&shown.more).copied();
    codes.filter(move |code| endpoint.is_none_or(|it| it.watch.holds(*code)))
}

/// Why it is not used, or what is remarkable about it, unless that is over.
pub(super) fn remark<'a>(shown: &'a Shown, endpoint: Option<&Endpoint>) -> &'a str {
    let is_over = |code| endpoint.is_some_and(|it| !it.watch.holds(code));
    match shown.code.is_some_and(is_over) {
        true => "",
        false => &shown.why,
    }
}

/// The findings of its registration, and what was seen at its endpoint, since when that is known.
fn findings(shown: &Shown, endpoint: Option<&Endpoint>, clock: &Clock) -> Vec<Value> {
    let registered = registered_codes(shown, endpoint).map(|code| {
        let is_why = shown.code == Some(code) && !shown.why.is_empty();
        let said = if is_why { &*shown.why } else { code.cause() };
        json!({ "code": code, "said": said, "since_seconds_ago": null })
    });
    let seen = endpoint.map_or(Vec::new(), |it| it.watch.list());
    let seen = seen.iter().map(|it| {
        let since = clock.now.saturating_duration_since(it.since).as_secs_f64();
        json!({ "code": it.code, "said": &*it.said, "since_seconds_ago": since })
    });
    registered.chain(seen).collect()
}

/// The state of an endpoint, why, and the numbers behind it.
fn state(cluster: &Cluster, endpoint: &Endpoint, clock: &Clock) -> serde_json::Map<String, Value> {
    let (it, policy) = (endpoint.health.snapshot(), cluster.policy());
    let seconds = |at: Instant| at.saturating_duration_since(clock.now).as_secs_f64();
    let value = json!({
        "state": it.state.label(),
        "state_why": why::endpoint::sentence(&it, &policy.ejection, clock),
        "calls_in_flight": endpoint.busy(),
        "idle_connections": endpoint.pool.len(),
        "failures_in_a_row": it.score.run,
        "failure_average": it.score.average(),
        "ejected_for_seconds": it.ejection.map(|ejection| seconds(ejection.until)),
        "next_connect_seconds": it.outage.as_ref().map(|outage| seconds(outage.next)),
    });
    value.as_object().cloned().unwrap_or_default()
}

/// A method's breaker, why it is so, and the numbers behind it.
fn breaker(method: &str, it: &Snapshot, pickable: usize, clock: &Clock) -> Value {
    json!({
        "method": method,
        "state": it.state.map_or("off", State::label),
        "why": why::breaker::sentence(it, pickable, clock),
        "calls": it.calls,
        "failed": it.bad,
        "failures_in_a_row": it.run,
        "next_probe_seconds": it.next_probe.map(|span| span.as_secs_f64()),
    })
}
