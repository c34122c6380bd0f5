//! `[runtime]`, `[admin]`, `[metrics]` and `[log]`.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::config::nearest::nearest;
use crate::config::types::{Admin, ListenAddr, Log, LogFormat, MetricsListen, Runtime};

use super::address::{socket, unix_path};
use super::{Section, Taken, Text};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn runtime(table: &mut Section<'_>) -> Runtime {
    let built_in = Runtime::default();
    let max_frame = table
        .size("max_frame", 1 << 10..=1 << 30)
        .unwrap_or(built_in.max_frame);
    let hold = table.size("hold", 1 << 10..=1 << 30);
    let max_buffered = table.size("max_buffered", 1 << 10..=1 << 40);
    let runtime = Runtime {
        workers: table.count("workers", 0..=1024).unwrap_or(built_in.workers),
        max_frame,
        // Where only `max_frame` is written, the others make room for it.
        hold: hold.unwrap_or(built_in.hold.min(max_frame)),
        max_buffered: max_buffered.unwrap_or(built_in.max_buffered.max(max_frame)),
        max_services: table
            .count("max_services", 1..=100_000)
            .unwrap_or(built_in.max_services),
        state_dir: table.file("state_dir"),
        drain_delay: table
            .duration("drain_delay", Duration::ZERO..=HOUR)
            .unwrap_or(built_in.drain_delay),
        drain_timeout: table
            .duration("drain_timeout", Duration::ZERO..=HOUR)
            .unwrap_or(built_in.drain_timeout),
        mark: table.number("mark", 0..=u32::MAX).unwrap_or(built_in.mark),
    };
    order(table, &runtime);
    if runtime.mark > 0 {
        linux_only(table, "mark", "`mark`: it is the firewall mark of Linux");
    }
    runtime
}

/// Refuses a key where this system lacks what it asks for.
pub(super) fn linux_only(table: &Section<'_>, key: &str, what: &str) {
    if let (false, Some(at)) = (cfg!(target_os = "linux"), table.place(key)) {
        let message = format!("expected no {what}, which this system does not have");
        table.report.error(at, message);
    }
}

fn order(table: &Section<'_>, runtime: &Runtime) {
    if let Some(at) = table
        .place("hold")
        .filter(|_| runtime.hold > runtime.max_frame)
    {
        let message = "expected `hold` to be at most `max_frame`: no larger frame is ever held";
        table.report.error(at, message);
    }
    let small = runtime.max_buffered < runtime.max_frame;
    if let Some(at) = table.place("max_buffered").filter(|_| small) {
        let message = "expected `max_buffered` to be at least `max_frame`: \
                       it bounds all held frames together";
        table.report.error(at, message);
    }
}

/// `None` where it is off. Read after everything else that listens.
pub(super) fn admin(file: &mut Section<'_>, taken: &mut Taken) -> Option<Admin> {
    let written = file.table("admin", |table| admin_listen(table, taken));
    match written.flatten() {
        Some(Written::Off) => None,
        Some(Written::At(listen)) => Some(Admin { listen }),
        None => Some(built_in_admin(file, taken)),
    }
}

enum Written {
    Off,
    At(ListenAddr),
}

fn admin_listen(table: &mut Section<'_>, taken: &mut Taken) -> Option<Written> {
    let expected = "an address such as \"127.0.0.1:9901\", \"unix:/path\" or \"off\"";
    let text = table.text("listen", expected)?;
    if text.text == "off" {
        return Some(Written::Off);
    }
    let listen = match text.text.strip_prefix("unix:") {
        Some(path) => ListenAddr::Unix(unix_path(table, text, path)?),
        None => ListenAddr::Tcp(loopback(table, text)?),
    };
    taken.take(table, "an address", text);
    Some(Written::At(listen))
}

/// Refuses the built-in address to whatever else has it.
fn built_in_admin(file: &Section<'_>, taken: &Taken) -> Admin {
    let admin = Admin::default();
    if let Some(at) = taken.0.get(&admin.listen.to_string()) {
        let message = format!(
            "expected an address of its own, found \"{}\", which is [admin]'s",
            admin.listen
        );
        let help = "give [admin] another `listen`, or \"off\"";
        file.report.error_with(*at, message, help);
    }
    admin
}

fn loopback(table: &Section<'_>, text: Text<'_>) -> Option<std::net::SocketAddr> {
    let addr = socket(table, text)?;
    if addr.ip().is_loopback() {
        return Some(addr);
    }
    let message = format!(
        "expected a loopback address or a unix socket, found \"{}\": \
         whoever reaches it can stop tidegate",
        text.text
    );
    let help = "for a Prometheus elsewhere, write [metrics] with this `listen`";
    table.report.error_with(text.at, message, help);
    None
}

pub(super) fn metrics(table: &mut Section<'_>, taken: &mut Taken) -> Option<MetricsListen> {
    let Some(text) = table.text("listen", "an address such as \"0.0.0.0:9464\"") else {
        if table.place("listen").is_none() {
            table.missing("listen", "\"0.0.0.0:9464\"");
        }
        return None;
    };
    let listen = socket(table, text)?;
    taken.take(table, "an address", text);
    Some(MetricsListen { listen })
}

pub(super) fn log(table: &mut Section<'_>) -> Log {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let built_in = Log::default();
    Log {
        format: table.word("format", &formats).unwrap_or(built_in.format),
        level: level(table).unwrap_or(built_in.level),
        file: table.file("file"),
    }
}

fn level(table: &mut Section<'_>) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = table.text("level", "a level such as \"info\"")?;
    for directive in text.text.split(',').map(str::trim) {
        // A lone word that is no level would silently be taken for the name of a module.
        let lone = !directive.contains(['=', '[']);
        let known = LEVELS.contains(&directive.to_ascii_lowercase().as_str());
        if lone && !known {
            let message =
                format!("expected off, error, warn, info, debug or trace, found \"{directive}\"");
            let help = match nearest(directive, LEVELS) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "for one module: \"info,tidegate::registry=debug\"".into(),
            };
            table.report.error_with(text.at, message, help);
            return None;
        }
    }
    // Trimmed, since the parser cuts what is not at the wrong places.
    let trimmed = text
        .text
        .split(',')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(",");
    if let Err(error) = EnvFilter::builder().parse(&trimmed) {
        let message = format!("expected log directives, found \"{}\": {error}", text.text);
        table.report.error(text.at, message);
        return None;
    }
    Some(trimmed)
}
