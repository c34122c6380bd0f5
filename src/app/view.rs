//! What `/services` shows: each service, each registered address, its state and why.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::App;
use crate::cluster::Cluster;
use crate::discovery::Followed;
use crate::endpoint::Endpoint;
use crate::outcome::human;
use crate::registry::Shown;

impl App {
    /// The state of everything, as JSON.
    pub fn services(&self) -> Value {
        let registries: Vec<Value> = self.discovery.registries().iter().map(|(name, registry)| {
            let status = registry.status();
            let age = status.last_sync.and_then(|at| at.elapsed().ok()).map(|age| age.as_secs_f64());
            json!({ "name": &**name, "up": status.up, "last_sync_seconds_ago": age, "last_error": status.last_error.as_deref() })
        }).collect();
        let services: Vec<Value> = self.routes.followed().iter().map(|f| service(f)).collect();
        let listeners: Vec<Value> = self
            .doors
            .lock()
            .iter()
            .map(|door| {
                let config = door.config();
                json!({
                    "name": &*door.name, "listen": door.addr.to_string(), "service": config.service.as_deref(),
                    "connections": door.connections(), "calls": door.calls(), "draining": door.drain.is_closing(),
                })
            })
            .collect();
        json!({ "listeners": listeners, "registries": registries, "services": services, "draining": self.is_draining() })
    }
}

fn service(followed: &Followed) -> Value {
    let cluster = &followed.cluster;
    let members = followed.members.load();
    let endpoints: Vec<Value> = members
        .shown
        .iter()
        .map(|shown| registered(cluster, shown))
        .collect();
    let set = cluster.set();
    json!({
        "name": &*cluster.name,
        "named_by_callers": cluster.named,
        "known": members.known,
        "problem": cluster.why_none().filter(|_| set.all.is_empty()).as_deref(),
        "calls_in_flight": cluster.calls.load(std::sync::atomic::Ordering::Relaxed),
        "up": set.available(),
        "endpoints": endpoints,
    })
}

/// One registered address. A host name with several addresses shows the first.
fn registered(cluster: &Cluster, shown: &Shown) -> Value {
    let endpoint = shown.dial.and_then(|addr| cluster.endpoint(addr));
    let mut value = json!({
        "registered": shown.instance.address,
        "key": shown.instance.key,
        "class": shown.class.label(),
        "findings": shown.code.iter().chain(&shown.more).map(|code| code.label()).collect::<Vec<_>>(),
        "dial": shown.dial.map(|addr| addr.to_string()),
        "used": shown.used,
        "weight": shown.instance.weight,
        "tags": shown.instance.tags,
        "why": shown.why,
    });
    if let (Some(endpoint), Some(object)) = (endpoint, value.as_object_mut()) {
        object.extend(state(&endpoint));
    }
    value
}

fn state(endpoint: &Endpoint) -> serde_json::Map<String, Value> {
    let mut map = serde_json::Map::new();
    map.insert("state".into(), endpoint.health.label().into());
    map.insert("calls_in_flight".into(), endpoint.busy().into());
    map.insert("idle_connections".into(), endpoint.pool.len().into());
    if let Some(outage) = endpoint.health.outage() {
        let now = Instant::now();
        let ago = human(now.saturating_duration_since(outage.last));
        let next = human(outage.next.saturating_duration_since(now));
        let since = human(now.saturating_duration_since(outage.since));
        let why = format!(
            "down for {since}: {} {ago} ago ({}), {} failed, next connect in {next}",
            outage.outcome.label(),
            outage.detail,
            outage.failures
        );
        map.insert("state_why".into(), why.into());
    }
    map
}
