//! `[[listener]]`: the ways in.

use std::sync::Arc;
use std::time::Duration;

use crate::config::load::source::Place;
use crate::config::load::tree::{Kind, Node};
use crate::config::patterns::{Pattern, Patterns};
use crate::config::types::{ListenAddr, Listener, Protocol};

use super::address::{socket, unix_path};
use super::process::linux_only;
use super::registry::{Registries, name};
use super::service::service_name;
use super::value::found;
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
    file.tables("listener", |table| {
        let name = name(table, &mut names, "listener", "\"item\"");
        let listen = listen(table, addresses);
        let mut listener = limits(table, name, listen);
        contradictions::connections(table, &listener);
        listener.protocol = protocol(table).unwrap_or_default();
        redirect(table, &mut listener);
        listener.services = services(table);
        route(table, registries, &mut listener, &mut imply);
        listener
    })
}

/// Reports that nothing listens, where that is so.
pub(super) fn complain_of_none(file: &Section<'_>, listeners: &[Listener]) {
    if listeners.is_empty() {
        let help = "add [[listener]] with name, listen and service";
        file.report.error_nowhere(
            format!("expected at least one [[listener]], found none{}", of(file)),
            help,
        );
    }
}

/// ` in a.toml or b.toml`.
fn of(file: &Section<'_>) -> String {
    let names = file.report.sources().0.iter().map(|it| it.name.as_str());
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" in {}", names.join(" or ")),
    }
}

fn listen(table: &mut Section<'_>, addresses: &mut Taken) -> Option<ListenAddr> {
    let expected = "an address such as \"127.0.0.1:18890\" or \"unix:/path\"";
    if let Some(text) = table.text("listen", expected) {
        addresses.take(table, "an address", text);
        return match text.text.strip_prefix("unix:") {
            Some(path) => unix_path(table, text, path).map(ListenAddr::Unix),
            None => socket(table, text).map(ListenAddr::Tcp),
        };
    }
    if table.place("listen").is_none() {
        table.missing("listen", "\"127.0.0.1:18890\"");
    }
    None
}

/// Everything but where calls go. What is missing was reported; a stand-in goes on with the check.
fn limits(table: &mut Section<'_>, name: Option<Arc<str>>, at: Option<ListenAddr>) -> Listener {
    let name = name.unwrap_or_else(|| "?".into());
    let written = at.is_some();
    let stand_in = || ListenAddr::Tcp(([127, 0, 0, 1], 1).into());
    let built_in = Listener::new(&name, at.unwrap_or_else(stand_in));
    let socket_mode = table.mode("socket_mode");
    if let (true, Some(_), Some(at)) = (written, built_in.listen.tcp(), table.place("socket_mode"))
    {
        let message = "expected no `socket_mode` beside a TCP address: it is the mode of a unix socket's file";
        table.report.error(at, message);
    }
    Listener {
        socket_mode: built_in
            .socket_mode
            .map(|built_in| socket_mode.unwrap_or(built_in)),
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

fn redirect(table: &mut Section<'_>, listener: &mut Listener) {
    listener.transparent = table.flag("transparent").unwrap_or_default();
    if listener.transparent {
        let what = "`transparent = true`: it asks Linux where a redirected connection was going to";
        linux_only(table, "transparent", what);
    }
    if let (true, ListenAddr::Unix(_), Some(at)) = (
        listener.transparent,
        &listener.listen,
        table.place("transparent"),
    ) {
        let message = "expected an IP address and a port in `listen` beside `transparent = true`: \
                       no firewall redirects a connection to a unix socket";
        table.report.error(at, message);
    }
    listener.sticky_destination = table.flag("sticky_destination").unwrap_or_default();
    if let (false, true, Some(at)) = (
        listener.transparent,
        listener.sticky_destination,
        table.place("sticky_destination"),
    ) {
        let message = "expected `transparent = true` beside `sticky_destination`: \
                       without it no caller chooses an instance";
        table.report.error(at, message);
    }
}

/// Names of services and patterns of them, at least one.
fn services(table: &mut Section<'_>) -> Option<Patterns> {
    let expected = "names of services and patterns of them, such as [\"shop.*\", \"stock\"]";
    let items = table.array("services", expected)?;
    if let (true, Some(at)) = (items.is_empty(), table.place("services")) {
        let message = format!("expected {expected}, found an empty array");
        table.report.error(at, message);
    }
    let patterns = items.iter().filter_map(|item| pattern(table, item));
    Patterns::new(patterns.collect())
}

fn pattern(table: &Section<'_>, item: &Node) -> Option<Pattern> {
    let text = match &item.kind {
        Kind::Text { text, .. } => text.as_str(),
        _ => "",
    };
    let read = Pattern::new(text);
    if let Err(error) = &read {
        let message = format!("{error}, found {}", found(item));
        table.report.error(item.at, message);
    }
    read.ok()
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
        refuse_choice(table, listener, service.at);
        let fixed: Arc<str> = service.text.into();
        let whose = format!("service \"{fixed}\", which has no [[service]]");
        imply(&fixed, &mut || {
            registries.pick(table, None, &whose, service.at)
        });
        listener.service = Some(fixed);
        return;
    }
    let names_none = listener.protocol == Protocol::Opaque && !listener.transparent;
    if names_none && table.place("service").is_none() {
        let message = "expected the key `service` beside `protocol = \"opaque\"`, found none: \
                       bytes that are not looked at name no service";
        table
            .report
            .error(table.place("protocol").unwrap_or(table.at), message);
    }
    // With no registry at all, callers can name the services that have endpoints in the config.
    if registry.is_some() || !registries.is_empty() || listener.transparent {
        let whose = match listener.transparent {
            true => format!("the transparent listener \"{}\"", listener.name),
            false => format!(
                "the services that calls to listener \"{}\" name",
                listener.name
            ),
        };
        listener.registry = registries.pick(table, registry, &whose, table.at);
    }
}

/// Where the service is fixed, nothing else says which one is meant.
fn refuse_choice(table: &Section<'_>, listener: &mut Listener, service: Place) {
    if listener.transparent {
        let message = "expected no `service` beside `transparent = true`: \
                       the address that a connection was going to says which one it means";
        table.report.error(service, message);
    }
    if let Some(at) = table.place("services") {
        let message = "expected no `services` beside `service`: all calls are of that one";
        table.report.error(at, message);
        listener.services = None;
    }
}

fn refuse_registry(table: &Section<'_>, registry: Option<Text<'_>>) {
    if let Some(registry) = registry {
        let message = "expected no `registry` beside `service`: it stands in the service's own \
                       [[service]]";
        table.report.error(registry.at, message);
    }
}
