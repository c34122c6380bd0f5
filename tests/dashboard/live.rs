//! Every query gives data while calls run into faults of every kind that the dashboard shows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use scripted::{Act, Fault, Instance, Load, Options, Plan, free};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{PATIENCE, Tidegate, listener, service};
use crate::prometheus::Prometheus;
use crate::{Query, dashboard, queries};

/// As Grafana fills the variables in, where everything is chosen; the interval is five scrapes.
const VARIABLES: [(&str, &str); 4] = [
    ("$__rate_interval", "5s"),
    ("$job", "tidegate"),
    ("$instance", ".*"),
    ("$service", ".*"),
];

/// A registry's file with these instances of `item`, and the table that names it.
fn registry(folder: &TempDir, item: &[SocketAddr]) -> String {
    let file = folder.path().join("instances.toml");
    let instance = |address: &SocketAddr| {
        format!("[[instance]]\nservice = \"item\"\naddress = \"{address}\"\n")
    };
    std::fs::write(&file, item.iter().map(instance).collect::<String>()).unwrap();
    let path = file.display();
    format!("[[registry]]\nname = \"main\"\nkind = \"file\"\npath = \"{path}\"\n")
}

/// Calls that come for as long as this lives.
fn load(to: SocketAddr, rate: u32, methods: &'static [&'static str]) -> Load {
    let plan = Plan::new(to, rate);
    Load::start(Plan { methods, ..plan })
}

async fn instance(fault: Fault) -> Instance {
    let usual = Duration::from_millis(2);
    Instance::start(free(), usual, fault).await.unwrap()
}

/// The query with its variables filled in.
fn filled(query: &Query) -> String {
    let mut filled = query.expression.clone();
    for (variable, value) in VARIABLES {
        filled = filled.replace(variable, value);
    }
    filled
}

/// The series that Prometheus gives to an expression.
#[track_caller]
fn series(prometheus: &Prometheus, expression: &str) -> Vec<Value> {
    let said = prometheus.query(expression);
    let mut answer: Value = serde_json::from_str(&said).unwrap_or_default();
    assert_ne!(answer["status"], "error", "{expression}: {said}");
    match answer["data"]["result"].take() {
        Value::Array(series) => series,
        _ => Vec::new(),
    }
}

/// Whether a query gives any value that is a number.
fn has_data(prometheus: &Prometheus, query: &Query) -> bool {
    // NaN compares to nothing.
    let count = format!("count(({}) >= -Inf)", filled(query));
    !series(prometheus, &count).is_empty()
}

/// Asks all until each has had data once.
async fn all_have_data(prometheus: &Prometheus, mut waiting: Vec<Query>) {
    let begun = Instant::now();
    while !waiting.is_empty() {
        let left: Vec<_> = waiting.iter().map(|query| &query.at).collect();
        assert!(begun.elapsed() < PATIENCE, "no data: {left:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        waiting.retain(|query| !has_data(prometheus, query));
    }
}

/// Waits until the query of that place gives a series with this label a value for which this holds: `> 0`.
async fn shows(prometheus: &Prometheus, at: &str, (label, value): (&str, &str), holds: &str) {
    let all = queries(&dashboard());
    let query = all.iter().find(|query| query.at == at);
    let expression = format!("({}) {holds}", filled(query.expect(at)));
    let begun = Instant::now();
    let shown = || {
        let mut found = series(prometheus, &expression).into_iter();
        found.any(|one| one["metric"][label] == value)
    };
    while !shown() {
        let spent = begun.elapsed();
        assert!(spent < PATIENCE, "{at}: no {label}={value} {holds}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_gives_data_while_faults_run() {
    let (well, hangs, down) = (
        instance(Fault::None).await,
        instance(Fault::None).await,
        instance(Fault::Down).await,
    );
    let broken = instance(Fault::FailMethod("Get")).await;
    let slow = instance(Fault::Slow(Duration::from_millis(200))).await;
    let impatient = Options::always(Act::Echo)
        .close_idle_after(Duration::from_millis(30))
        .start()
        .await
        .unwrap();
    let (item, shaky, tight, idle) = (free(), free(), free(), free());
    let folder = tempfile::tempdir().unwrap();
    let proxy = Tidegate::start(&format!(
        "{}{}{}{}{}{}{}{}{}",
        registry(&folder, &[well.address(), hangs.address(), down.address()]),
        listener("item", item, "item"),
        listener("shaky", shaky, "shaky"),
        listener("tight", tight, "tight"),
        listener("idle", idle, "idle"),
        "[defaults]\nsuspicious = \"allow\"\n\
         [[service]]\nname = \"item\"\nregistry = \"main\"\nread_deadline = \"150ms\"\n\
         [service.method.Echo]\nidempotent = true\n",
        service(
            "shaky",
            &[broken.address()],
            "[service.method.Get]\nidempotent = false"
        ),
        service("tight", &[slow.address()], "max_calls = 1"),
        service("idle", &[impatient.address()], ""),
    ));
    let prometheus = Prometheus::start(proxy.admin, "1s");
    let _loads = [
        load(item, 50, &["Echo"]),
        load(shaky, 30, &["Get", "Echo"]),
        load(tight, 10, &["Echo"]),
        load(idle, 10, &["Echo"]),
    ];
    hangs.set(Fault::Hang).await;

    let asked = queries(&dashboard());
    assert!(asked.len() > 30, "{} queries", asked.len());
    all_have_data(&prometheus, asked).await;

    let table = |column: &str| format!("Services, worst first, {column}");
    let (hung, gone) = (hangs.address().to_string(), down.address().to_string());
    let state = "State of each endpoint, A";
    for (at, series, holds) in [
        (&*table("B"), ("service", "tight"), "> 0"),
        (&*table("B"), ("service", "idle"), "== 0"),
        (&*table("E"), ("service", "shaky"), "== 1"),
        (&*table("E"), ("service", "idle"), "== 0"),
        (&*table("F"), ("service", "item"), "< 3"),
        (&*table("G"), ("service", "item"), "== 3"),
        (state, ("endpoint", &*hung), "== 3"),
        (state, ("endpoint", &*gone), "== 4"),
        ("Breakers, A", ("method", "Get"), "== 4"),
        ("Breakers, A", ("method", "Echo"), "== 1"),
    ] {
        shows(&prometheus, at, series, holds).await;
    }
}
