//! `[[listener]]`: the ways in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::types::{Listener, Protocol};

use super::address::socket;
use super::registry::{Registries, name};
use super::service::service_name;
use super::{Section, Taken, Text, contradictions};

const MILLI: Duration = Duration::from_millis(1);
const STEP: std::ops::RangeInclusive<Duration> = MILLI..=Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// All listeners. `imply` is told of each fixed service and how to find a registry for it, should
/// it have no table of its own.
pub(super) fn listeners<'a>(
    file: &mut Section<'a>,
    registries: &Registries,
    addresses: &mut Taken,
    mut imply: impl FnMut(&Arc<str>, &mut dyn FnMut() -> Option<Arc<str>>),
) -> Vec<Listener> {
    let mut names = Taken::default();
    let listeners = file.tables("listener", |table| {
        let name = name(table, &mut names, "listener", "\"item\"");
        let listen = listen(table, addresses);
        let mut listener = limits(table, name, listen);
        contradictions::connections(table, &listener);
        listener.protocol = protocol(table).unwrap_or_default();
        route(table, registries, &mut listener, &mut imply);
        listener
    });
    if listeners.is_empty() {
        let help = "add [[listener]] with name, listen and service";
        file.report
            .error_nowhere("expected at least one [[listener]], found none", help);
    }
    listeners
}

fn listen(table: &mut Section<'_>, addresses: &mut Taken) -> Option<SocketAddr> {
    let text = table.text("listen", "an address such as \"127.0.0.1:18890\"");
    if let Some(text) = text {
        addresses.take(table, "an address", text);
        return socket(table, text);
    }
    if table.place("listen").is_none() {
        table.missing("listen", "\"127.0.0.1:18890\"");
    }
    None
}

/// Everything but where calls go. What is missing was reported; a stand-in goes on with the check.
fn limits(table: &mut Section<'_>, name: Option<Arc<str>>, at: Option<SocketAddr>) -> Listener {
    let name = name.unwrap_or_else(|| "?".into());
    let built_in = Listener::new(&name, at.unwrap_or_else(|| ([127, 0, 0, 1], 1).into()));
    Listener {
        max_connections: table
            .count("max_connections", 1..=1_000_000)
            .unwrap_or(built_in.max_connections),
        max_connections_per_source: table
            .count("max_connections_per_source", 0..=1_000_000)
            .unwrap_or(built_in.max_connections_per_source),
        max_in_flight: table
            .count("max_in_flight", 1..=65_536)
            .unwrap_or(built_in.max_in_flight),
        detect_timeout: table
            .duration("detect_timeout", STEP)
            .unwrap_or(built_in.detect_timeout),
        frame_timeout: table
            .duration("frame_timeout", STEP)
            .unwrap_or(built_in.frame_timeout),
        client_write_timeout: table
            .duration("client_write_timeout", STEP)
            .unwrap_or(built_in.client_write_timeout),
        client_idle_timeout: table
            .duration("client_idle_timeout", MILLI..=MONTH)
            .unwrap_or(built_in.client_idle_timeout),
        ..built_in
    }
}

fn protocol(table: &mut Section<'_>) -> Option<Protocol> {
    let words = [
        ("auto", Protocol::Auto),
        ("thrift", Protocol::Thrift),
        ("opaque", Protocol::Opaque),
    ];
    table.word("protocol", &words)
}

/// Where calls go: to one service, or to the one that each names, found in a registry.
fn route(
    table: &mut Section<'_>,
    registries: &Registries,
    listener: &mut Listener,
    imply: &mut impl FnMut(&Arc<str>, &mut dyn FnMut() -> Option<Arc<str>>),
) {
    let service = table.text("service", "a service's name");
    let registry = table.text("registry", "the name of a registry");
    if let Some(service) = service {
        service_name(table, service);
        refuse_registry(table, registry);
        let fixed: Arc<str> = service.text.into();
        let whose = format!("service \"{fixed}\", which has no [[service]]");
        imply(&fixed, &mut || {
            registries.pick(table, None, &whose, service.at)
        });
        listener.service = Some(fixed);
        return;
    }
    if let (Protocol::Opaque, None) = (listener.protocol, table.place("service")) {
        let message = "expected the key `service` beside `protocol = \"opaque\"`, found none: \
                       bytes that are not looked at name no service";
        table
            .report
            .error(table.place("protocol").unwrap_or(table.at), message);
    }
    // With no registry at all, callers can name the services that have endpoints in the config.
    if registry.is_some() || !registries.is_empty() {
        let whose = format!(
            "the services that calls to listener \"{}\" name",
            listener.name
        );
        listener.registry = registries.pick(table, registry, &whose, table.at);
    }
}

fn refuse_registry(table: &Section<'_>, registry: Option<Text<'_>>) {
    if let Some(registry) = registry {
        let message = "expected no `registry` beside `service`: it stands in the service's own \
                       [[service]]";
        table.report.error(registry.at, message);
    }
}
