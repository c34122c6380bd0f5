//! `grafana/overview.json`: its shape, and each of its queries against a real Prometheus that scrapes a real tidegate.
#![cfg(unix)]
#![allow(unreachable_pub, clippy::unwrap_used)]
// Real processes take real time, and a thread that waits.
#![allow(clippy::disallowed_methods)]

mod live;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/prometheus.rs"]
mod prometheus;
mod shape;

use std::path::Path;

use serde_json::Value;

/// A file of this repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The whole dashboard.
fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/overview.json")).unwrap()
}

/// The elements of an array, which may be missing.
fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of[key].as_array().into_iter().flatten()
}

/// A text, empty where it is none.
fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

/// One query, and where it stands.
struct Query {
    /// The panel's title and the query's letter.
    at: String,
    /// As Grafana has it, variables and all.
    expression: String,
    /// How its series are called; empty in a table.
    legend: String,
}

/// All queries of a dashboard's panels.
fn queries(dashboard: &Value) -> Vec<Query> {
    let of_panel = |panel| {
        list(panel, "targets").map(|target| Query {
            at: format!("{}, {}", text(panel, "title"), text(target, "refId")),
            expression: text(target, "expr").to_owned(),
            legend: text(target, "legendFormat").to_owned(),
        })
    };
    list(dashboard, "panels").flat_map(of_panel).collect()
}

/// The names of metrics in a query.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tidegate_") || word.starts_with("process_"))
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name))
}
