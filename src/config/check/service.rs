//! `[[service]]`: where a service's instances are, and how its calls are carried.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::load::source::Place;
use crate::config::load::tree::{Kind, Node};
use crate::config::policy::{CallPolicy, DeadlineSource, Policy};
use crate::config::report::Report;
use crate::config::types::{Listener, Service, Source, StaticEndpoint};

use super::address::not_dialable;
use super::registry::{Registries, name};
use super::{Section, Taken, Text, contradictions, policy};

/// Kitex's own.
const DEFAULT_WEIGHT: u32 = 10;

/// Methods of one service that have slots of their own; one more is what all others share.
const METHODS: usize = 255;

pub(super) fn services(
    file: &mut Section<'_>,
    registries: &Registries,
    defaults: &Policy,
) -> (Vec<Service>, Vec<(Arc<str>, Place)>) {
    let (mut taken, mut places) = (Taken::default(), Vec::new());
    let services = file.tables("service", |table| {
        let name = name(table, &mut taken, "service", "\"shop.item\"");
        if let (Some(name), Some(at)) = (&name, table.place("name")) {
            service_name(table, Text { text: name, at });
        }
        let policy = policy::policy(table, defaults, DeadlineSource::Service);
        contradictions::idle(table, &policy, defaults, &[]);
        contradictions::picks(table, &policy, &[]);
        let methods = methods(table, &policy);
        let source = source(table, registries, name.as_deref());
        if let Some(Source::Static(endpoints)) = &source {
            contradictions::min_available(table, &policy.ejection, endpoints.len());
        }
        places.push((name.clone()?, table.place("name").unwrap_or(table.at)));
        Some(Service {
            name: name?,
            // What is wrong with it was reported; the name still stands for the service.
            source: source.unwrap_or(Source::Static(Vec::new())),
            policy,
            methods,
        })
    });
    (services.into_iter().flatten().collect(), places)
}

/// Warns of services that no listener leads to.
pub(super) fn unreachable(
    report: &Report<'_>,
    listeners: &[Listener],
    services: &[(Arc<str>, Place)],
) {
    let led_to = |name: &Arc<str>| listeners.iter().any(|it| it.may_know(name));
    for (name, at) in services.iter().filter(|(name, _)| !led_to(name)) {
        let message = format!(
            "no listener leads to service \"{name}\": each has another `service`, or other `services`"
        );
        report.warning(*at, message);
    }
}

/// Adds the service that only a listener names.
pub(super) fn imply(
    services: &mut Vec<Service>,
    name: &Arc<str>,
    registry: impl FnOnce() -> Option<Arc<str>>,
    defaults: &Policy,
) {
    if services.iter().any(|service| service.name == *name) {
        return;
    }
    let Some(registry) = registry() else {
        return;
    };
    services.push(Service {
        name: Arc::clone(name),
        source: Source::Registry(registry),
        policy: defaults.clone(),
        methods: BTreeMap::new(),
    });
}

/// A service's name becomes part of keys and of metrics' labels.
pub(super) fn service_name(table: &Section<'_>, name: Text<'_>) {
    let bad = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    if name.text.contains(bad) || name.text.len() > 255 {
        let message = format!(
            "expected a service name of at most 255 bytes, without `/` and blanks, found \"{}\"",
            name.text.escape_debug()
        );
        table.report.error(name.at, message);
    }
}

fn methods(table: &mut Section<'_>, service: &Policy) -> BTreeMap<String, CallPolicy> {
    let base = service.call.of_methods();
    let methods = table.named_tables("method", |table| {
        let policy = policy::call_policy(table, &base, DeadlineSource::Method);
        contradictions::retries(table, &policy, service.retry_budget);
        contradictions::method_rate(table, policy.rate, service.call.rate);
        policy
    });
    if let Some((first_too_many, _)) = methods.get(METHODS) {
        let message = format!("expected at most {METHODS} methods of one service");
        table.report.error(first_too_many.at, message);
    }
    methods
        .into_iter()
        .map(|(name, policy)| (name.text.to_owned(), policy))
        .collect()
}

fn source(table: &mut Section<'_>, registries: &Registries, name: Option<&str>) -> Option<Source> {
    let named = table.text("registry", "the name of a registry");
    let endpoints = endpoints(table);
    let places = (table.place("registry"), table.place("endpoints"));
    if let (Some(registry), Some(endpoints)) = places
        && registry.file == endpoints.file
    {
        let message = "expected either `registry` or `endpoints`, found both";
        table.report.error(endpoints.max(registry), message);
        return None;
    }
    // Of two files, the later one means it.
    let is_static = match places {
        (Some(registry), Some(endpoints)) => endpoints.file > registry.file,
        (_, endpoints) => endpoints.is_some(),
    };
    if is_static {
        return endpoints.map(Source::Static);
    }
    if places.0.is_some() && named.is_none() {
        return None;
    }
    let whose = format!("service \"{}\"", name.unwrap_or("?"));
    let picked = registries.pick(table, named, &whose, table.at);
    picked.map(Source::Registry)
}

fn endpoints(table: &mut Section<'_>) -> Option<Vec<StaticEndpoint>> {
    let expected = "addresses, such as [\"127.0.0.1:9001\"]";
    let items = table.array("endpoints", expected)?;
    if let (true, Some(at)) = (items.is_empty(), table.place("endpoints")) {
        let message = format!("expected {expected}, found an empty array");
        table.report.error(at, message);
    }
    let mut taken = Taken::default();
    let endpoints = items.iter().map(|item| endpoint(table, item, &mut taken));
    Some(endpoints.flatten().collect())
}

fn endpoint(table: &Section<'_>, item: &Node, taken: &mut Taken) -> Option<StaticEndpoint> {
    if let Kind::Text { text, .. } = &item.kind {
        address(table, Text { text, at: item.at }, taken);
        return Some(StaticEndpoint {
            address: text.clone(),
            weight: DEFAULT_WEIGHT,
            tags: BTreeMap::new(),
        });
    }
    table.element(item, "service.endpoints", |inner| {
        let text = inner.text("address", "an address such as \"127.0.0.1:9001\"");
        match text {
            Some(text) => address(inner, text, taken),
            None if inner.place("address").is_none() => {
                inner.missing("address", "\"127.0.0.1:9001\"");
            }
            None => {}
        }
        let weight = inner.count("weight", 1..=1_000_000);
        StaticEndpoint {
            address: text.map(|it| it.text.into()).unwrap_or_default(),
            weight: weight
                .and_then(|weight| u32::try_from(weight).ok())
                .unwrap_or(DEFAULT_WEIGHT),
            tags: inner.labels("tags").into_iter().collect(),
        }
    })
}

fn address(table: &Section<'_>, text: Text<'_>, taken: &mut Taken) {
    match not_dialable(text.text) {
        Some(help) => {
            let message = format!(
                "expected an address such as \"127.0.0.1:9001\", found \"{}\"",
                text.text
            );
            table.report.error_with(text.at, message, help);
        }
        None => taken.take(table, "an address", text),
    }
}
