//! The one table: names, kinds, labels and what they mean.

use ::metrics::Unit;

/// What a metric is, and for a histogram its buckets' upper bounds in nanoseconds, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times, counted per bucket.
    Histogram(&'static [u64]),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name, unit and suffix included.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The base unit; `None` for plain counts and 0/1.
    pub unit: Option<Unit>,
    /// The labels' names, in the order their values are given.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

impl Metric {
    const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit: None,
            labels,
            help,
        }
    }

    const fn in_unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric::new(name, Kind::Counter, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric::new(name, Kind::Gauge, labels, help)
}

const fn times(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric::new(name, Kind::Histogram(DURATIONS), labels, help).in_unit(Unit::Seconds)
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// 100 µs to 10 s, for whatever waits on a network or a server.
pub const DURATIONS: &[u64] = &[
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2_500 * MS,
    5 * S,
    10 * S,
];

/// 10 µs to 50 ms, for what tidegate itself adds.
pub const ADDED: &[u64] = &[
    10 * US,
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    50 * MS,
];

/// Defines the constants and, from the same lines, the list of all.
macro_rules! table {
    ($($ident:ident = $metric:expr;)*) => {
        $(pub(super) const $ident: Metric = $metric;)*
        /// Every metric that tidegate exports, `process_*` aside.
        pub const ALL: &[Metric] = &[$($ident),*];
    };
}

table! {
    CALLS = counter("tidegate_calls_total", &["listener", "service", "method", "outcome"],
        "Calls, by what ended them; one each.");
    CALL_DURATION = times("tidegate_call_duration_seconds", &["service", "method"],
        "A call, from its frame's first byte in to its reply's last byte out.");
    UPSTREAM_DURATION = times("tidegate_upstream_duration_seconds", &["service"],
        "All tries of a call, upstream alone.");
    ADDED_DURATION = Metric::new("tidegate_added_duration_seconds", Kind::Histogram(ADDED),
        &["listener"], "What tidegate itself added to a call.").in_unit(Unit::Seconds);
    CALLS_IN_FLIGHT = gauge("tidegate_calls_in_flight", &["service"], "Calls in flight now.");
    CALL_BYTES = counter("tidegate_call_bytes_total", &["service", "direction"],
        "Bytes of calls; direction is request or reply.").in_unit(Unit::Bytes);
    TRIES = counter("tidegate_tries_total", &["service", "endpoint", "outcome"],
        "Tries, by what ended them; a call has one or more.");
    RETRIES = counter("tidegate_retries_total", &["service", "cause", "result"],
        "Tries after the first, by the outcome that caused them; result is ok, failed or no_budget.");
    RETRY_BUDGET_TOKENS = gauge("tidegate_retry_budget_tokens", &["service"],
        "Calls that may be sent again now, though an instance may have run them.");
    REFUSED = counter("tidegate_refused_total", &["service", "limit"],
        "What was refused because a limit was reached, by limit: calls, waiting, rate, buffered, connections or connections_per_source.");
    DEADLINE_SOURCE = counter("tidegate_deadline_source_total", &["service", "source"],
        "Calls, by whose deadline held: caller, method, service or default.");
    CLIENT_CONNECTIONS = gauge("tidegate_client_connections", &["listener"],
        "Client connections open now.");
    CLIENT_CONNECTIONS_TOTAL = counter("tidegate_client_connections_total", &["listener"],
        "Client connections accepted.");
    CLIENT_CLOSED = counter("tidegate_client_closed_total", &["listener", "reason"],
        "Client connections ended, by reason; the reasons are listed below.");
    PROTOCOL = counter("tidegate_protocol_total", &["listener", "protocol"],
        "Client connections, by what they turned out to speak.");
    REDIRECTS = counter("tidegate_redirects_total", &["listener", "to"],
        "Connections of a transparent listener, by where they were going: service, shared, unregistered, direct, loop or forbidden.");
    RELAY_BYTES = counter("tidegate_relay_bytes_total", &["listener", "direction"],
        "Bytes relayed for what is no call; direction is up or down.").in_unit(Unit::Bytes);
    CONNECTS = counter("tidegate_connects_total", &["service", "result"],
        "Connects to instances, by result: ok, refused, timeout, unreachable, reset or forbidden.");
    CONNECT_DURATION = times("tidegate_connect_duration_seconds", &["service"],
        "Connects that succeeded.");
    UPSTREAM_CONNECTIONS = gauge("tidegate_upstream_connections", &["service", "state"],
        "Connections to instances now, by state: idle, busy or orphan.");
    STALE_CONNECTIONS = counter("tidegate_stale_connections_total", &["service", "found"],
        "Reused connections that were dead, found before_use or in_use.");
    ENDPOINTS = gauge("tidegate_endpoints", &["service", "state"],
        "Endpoints now, by state: up, probation, down or ejected.");
    ENDPOINT_STATE = gauge("tidegate_endpoint_state", &["service", "endpoint", "state"],
        "1 for the state an endpoint is in, 0 for those it was in.");
    EJECTIONS = counter("tidegate_ejections_total", &["service", "reason", "enforced"],
        "Endpoints that a detector found, by the detector: consecutive, failure_rate or success_rate; \
         enforced is yes, or what kept it in: cap, last or lane.");
    BREAKER_STATE = gauge("tidegate_breaker_state", &["service", "method", "state"],
        "1 for the state a method's breaker is in, 0 for those it was in.");
    BREAKER_TRANSITIONS = counter("tidegate_breaker_transitions_total", &["service", "method", "to"],
        "Changes of a breaker's state: closed, open, half_open, forced_open or forced_closed.");
    HEALTH_CHECKS = counter("tidegate_health_checks_total", &["service", "result"],
        "Active health checks of instances, by result: pass or fail.");
    FINDINGS = gauge("tidegate_findings", &["service", "code"],
        "Addresses that show a finding now, by its code (`R…`, `P…`; not `R10` and `R11`); R13 is 1 while nothing is \
         registered. docs/findings.md lists the codes.");
    REGISTRY_UP = gauge("tidegate_registry_up", &["registry"],
        "1 while the registry answers, else 0; the last good set of endpoints stays either way.");
    REGISTRY_LAST_SYNC = gauge("tidegate_registry_last_sync_timestamp_seconds", &["registry"],
        "When what is known was last known to be the registry's, in seconds since 1970.")
        .in_unit(Unit::Seconds);
    REGISTRY_UPDATES = counter("tidegate_registry_updates_total", &["registry", "kind"],
        "Changes the registry sent, by kind: put, delete or full.");
    REGISTRY_SKIPPED = counter("tidegate_registry_skipped_total", &["registry", "code"],
        "Registered keys and values that were skipped, by the finding's code.");
    REGISTRY_WATCH_RESTARTS = counter("tidegate_registry_watch_restarts_total",
        &["registry", "cause"], "Watches of the registry that had to start again, by cause.");
    SERVICES_LEFT_OUT = gauge("tidegate_services_left_out", &[],
        "Services that are listed but not followed, because there are more than max_services.");
    REWRITE_ADDRESSES = gauge("tidegate_rewrite_addresses", &["rule"],
        "Registered addresses that a rewrite rule maps to another one now, by the rule's name or its place.");
    CONFIG_SUCCESSFUL = gauge("tidegate_config_last_reload_successful", &[],
        "1 if the last load of the configuration was taken, 0 if it was refused.");
    CONFIG_TIMESTAMP = gauge("tidegate_config_last_reload_success_timestamp_seconds", &[],
        "When the configuration in force was loaded, in seconds since 1970.")
        .in_unit(Unit::Seconds);
    CONFIG_RELOADS = counter("tidegate_config_reloads_total", &["result"],
        "Reloads of the configuration, by result: ok or failed.");
    BUFFERED = gauge("tidegate_buffered_bytes", &[],
        "Bytes of frames held now, all connections together.").in_unit(Unit::Bytes);
    DRAINING = gauge("tidegate_draining", &[], "1 while the process drains, else 0.");
    BUILD_INFO = gauge("tidegate_build_info", &["version", "commit", "rustc"],
        "Always 1; the labels say what runs.");
}
