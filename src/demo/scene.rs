//! What there is to see at one moment: the proxy's own view, its metrics and the callers' tally, side by side.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::stage::{Role, Stage};
use crate::metrics;
use crate::outcome::Outcome;

/// How a connect fails.
const CONNECT: [Outcome; 3] = [
    Outcome::ConnectRefused,
    Outcome::ConnectTimeout,
    Outcome::Unreachable,
];

/// One moment.
pub(super) struct Scene {
    pub(super) elapsed: Duration,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Failures that name no address.
    pub(super) unplaced: u64,
    pub(super) rows: Vec<Row>,
}

/// One registered address.
pub(super) struct Row {
    pub(super) role: Role,
    pub(super) addr: SocketAddr,
    /// What the proxy takes the address for; `None` while it is not registered.
    pub(super) class: Option<String>,
    /// `up`, `down` and the like; `None` while it is not registered.
    pub(super) state: Option<String>,
    /// The proxy's reason for the state.
    pub(super) why: Option<String>,
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Of all calls answered.
    pub(super) share: f64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
    /// Calls that arrived at the instance, as it counts them itself.
    pub(super) received: u64,
    /// Connects that failed while a call waited for one.
    pub(super) refused: u64,
}

impl Scene {
    /// Looks at everything now.
    pub(super) fn look(stage: &Stage, elapsed: Duration) -> Self {
        let view = stage.app.services();
        let tries = tries(&metrics::render());
        let tally = stage.tally.lock();
        let answered = tally.all_answered();
        let rows = stage.cast.iter().map(|actor| {
            let count = tally.by_address.get(&actor.addr);
            let mine = count.map_or(0, |c| c.answered);
            let seen = registered(&view, actor.addr);
            let text = |key: &str| Some(seen?.get(key)?.as_str()?.to_owned());
            Row {
                role: actor.role,
                addr: actor.addr,
                class: text("class"),
                state: text("state"),
                why: text("state_why"),
                answered: mine,
                failed: count.map_or(0, |c| c.failed),
                share: mine as f64 / answered.max(1) as f64,
                p50: count.and_then(|c| c.quantile(0.5)),
                p99: count.and_then(|c| c.quantile(0.99)),
                received: actor.received(),
                refused: tries.get(&actor.addr.to_string()).copied().unwrap_or(0),
            }
        });
        Self {
            elapsed,
            sent: tally.sent,
            answered,
            failed: tally.all_failed(),
            unplaced: tally.unplaced,
            rows: rows.collect(),
        }
    }

    /// The address of this role; every role has one.
    pub(super) fn row(&self, role: Role) -> Option<&Row> {
        self.rows.iter().find(|row| row.role == role)
    }

    /// Whether the demo shows what it is for: calls are answered, and the address where nobody listens is down.
    pub(super) fn shows_it(&self) -> bool {
        let down = self.row(Role::Nobody).and_then(|row| row.state.as_deref());
        self.answered > 0 && down == Some("down")
    }
}

/// An address in the proxy's view.
fn registered(view: &Value, addr: SocketAddr) -> Option<&Value> {
    let services = view.get("services")?.as_array()?;
    let endpoints = services
        .iter()
        .filter_map(|s| s.get("endpoints")?.as_array());
    endpoints
        .flatten()
        .find(|e| e.get("registered").and_then(Value::as_str) == Some(&*addr.to_string()))
}

/// Tries that ended before there was a connection, by address, as any scrape tells them: only tries are counted by
/// endpoint and outcome.
fn tries(scrape: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let outcome = label(line, "outcome");
        let connect = CONNECT.iter().any(|o| outcome == Some(o.label()));
        let value = line.rsplit(' ').next().and_then(|v| v.parse::<u64>().ok());
        if let (true, Some(endpoint), Some(value)) = (connect, label(line, "endpoint"), value) {
            *found.entry(endpoint.to_owned()).or_default() += value;
        }
    }
    found
}

/// The value of a label in a line of a scrape. The demo's own values have no quotes in them.
fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests;
