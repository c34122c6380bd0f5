//! What is right key by key, but not together: errors where it cannot be meant, warnings where it can hardly be.
//!
//! Each is said once, in the table that writes one of the keys, not again for the tables below.

use std::time::Duration;

use crate::config::load::source::Place;
use crate::config::policy::{Balance, CallPolicy, Policy};
use crate::config::print::policy_difference;
use crate::config::resilience::{
    BreakerPolicy, CheckKind, EjectionPolicy, HealthCheck, RateLimit, RetryBudget, Share,
};
use crate::config::types::{Listener, Service};
use crate::outcome::Outcomes;

use super::Section;
use super::value::listed;

/// Calls per second that one method of one process hardly ever has.
const HARDLY: f64 = 10_000.0;
/// One failure in [`EjectionPolicy::failure_rate`]'s average, which begins at 0.
const ONE_FAILURE: Share = Share::millionths(50_000);

impl Section<'_> {
    /// Where the first of these keys stands that is written.
    fn first(&self, keys: &[&str]) -> Option<Place> {
        keys.iter().find_map(|key| self.place(key))
    }

    /// Warns at the first of these keys, if one is written and it is so.
    fn warn(&self, is_so: bool, keys: &[&str], message: &str) {
        if let Some(at) = self.first(keys).filter(|_| is_so) {
            self.report.warning(at, message);
        }
    }
}

pub(super) fn connections(table: &Section<'_>, listener: &Listener) {
    table.warn(
        listener.max_connections_per_source >= listener.max_connections,
        &["max_connections_per_source"],
        "`max_connections_per_source` is not below `max_connections`: it never acts",
    );
}

pub(super) fn connects(table: &Section<'_>, policy: &Policy) {
    let built_in = policy.connect_timeout == Policy::default().connect_timeout;
    let deadline = policy.call.deadline;
    table.warn(
        deadline.is_some_and(|whole| policy.connect_timeout > whole) && !built_in,
        &["connect_timeout", "deadline"],
        "`connect_timeout` is longer than `deadline`, which ends the call before: it never acts",
    );
    table.warn(
        policy.connect_stagger >= policy.connect_timeout && policy.connect_attempts > 1,
        &["connect_stagger", "connect_timeout"],
        "`connect_stagger` is not shorter than `connect_timeout`: \
         another endpoint is dialled only once the first has failed",
    );
}

/// A consistent hash of nothing.
pub(super) fn hash(table: &Section<'_>, policy: &Policy, base: &Policy) {
    let wants = policy.balance == Balance::ConsistentHash && policy.hash_key.is_empty();
    // Said once, where it is written.
    let new = base.balance != policy.balance || base.hash_key != policy.hash_key;
    let at = table.first(&["hash_key", "balance"]);
    // What is wrong with one that is written was said already.
    let said = table.place("hash_key").is_some() && !table.is_empty_array("hash_key");
    if let Some(at) = at.filter(|_| wants && new && !said) {
        let message = "expected a `hash_key` beside `balance = \"consistent_hash\"`, found none";
        let help = "for example: hash_key = [\"ring_hash_key\", \"source\"]";
        table.report.error_with(at, message, help);
    }
}

/// Keys of picking that change nothing here, nor in any service `below`.
pub(super) fn picks(table: &Section<'_>, policy: &Policy, below: &[Service]) {
    let no = |used: fn(&Policy) -> bool| {
        !used(policy) && !below.iter().any(|service| used(&service.policy))
    };
    table.warn(
        no(|it| it.balance == Balance::ConsistentHash) && !policy.hash_key.is_empty(),
        &["hash_key"],
        "`hash_key` changes nothing without `balance = \"consistent_hash\"`",
    );
    table.warn(
        no(|it| !it.prefer.is_empty()) && policy.min_share != Policy::default().min_share,
        &["min_share"],
        "`min_share` changes nothing without `prefer`",
    );
}

/// A service whose endpoints stand in the config, so many of them.
pub(super) fn min_available(table: &Section<'_>, policy: &EjectionPolicy, endpoints: usize) {
    let own = table.peek("ejection");
    let at = own.and_then(|it| it.place("min_available"));
    let asked = at.is_some() || policy.min_available != EjectionPolicy::default().min_available;
    if policy.enabled && asked && policy.min_available >= endpoints {
        let message = format!(
            "`min_available = {}` of {endpoints} endpoints: none is ever ejected",
            policy.min_available
        );
        let at = at.or_else(|| table.place("endpoints")).unwrap_or(table.at);
        table.report.warning(at, message);
    }
}

pub(super) fn deadlines(table: &Section<'_>, policy: &CallPolicy) {
    let read = policy.read_deadline;
    let longer_than = |time: Duration| policy.deadline.is_some_and(|whole| time > whole);
    table.warn(
        longer_than(read.after) && read.explicit,
        &["read_deadline", "deadline"],
        "`read_deadline` is longer than `deadline`, which ends the call before: it never acts",
    );
    let built_in = policy.retry_backoff == CallPolicy::default().retry_backoff;
    table.warn(
        longer_than(policy.retry_backoff) && !built_in,
        &["retry_backoff", "deadline"],
        "`retry_backoff` is longer than `deadline`: the call may end before its second further try",
    );
    let rate = policy.rate;
    table.warn(
        rate.per_second == 0 && rate.burst > 0,
        &["rate_burst"],
        "`rate_burst` changes nothing without `rate_limit`: there is no limit",
    );
}

/// What asks for further tries, where there are none.
pub(super) fn retries(table: &Section<'_>, policy: &CallPolicy, budget: RetryBudget) {
    let named = policy.retry_on != Outcomes::NONE;
    let once = policy.tries == 1;
    for (key, is_so) in [("idempotent", policy.idempotent), ("retry_on", named)] {
        // A table that says only `tries = 1` means just that.
        let at = table.place(key).and(table.first(&["tries", key]));
        if let Some(at) = at.filter(|_| once && is_so) {
            let message =
                format!("`{key}` changes nothing with `tries = 1`: nothing is sent again");
            table.report.warning(at, message);
        }
    }
    let built_in = policy.retry_backoff == CallPolicy::default().retry_backoff;
    table.warn(
        policy.tries <= 2 && !built_in,
        &["retry_backoff"],
        "`retry_backoff` changes nothing with at most 2 `tries`: \
         it is the pause before the second further try",
    );
    let none = budget.percent == 0 && budget.min_per_second == 0;
    table.warn(
        none && !once && (policy.idempotent || named),
        &["retry_on", "idempotent"],
        "with a `retry_budget` of 0 no call that may have arrived is sent again: \
         neither `idempotent` nor `retry_on` changes anything",
    );
}

pub(super) fn method_rate(table: &Section<'_>, method: RateLimit, service: RateLimit) {
    table.warn(
        service.per_second > 0 && method.per_second > service.per_second,
        &["rate_limit"],
        "`rate_limit` is above that of the whole service, which acts before: it hardly ever does",
    );
}

pub(super) fn breaker(table: &Section<'_>, breaker: &BreakerPolicy) {
    if !breaker.enabled {
        return;
    }
    table.warn(
        breaker.min_samples == 1,
        &["min_samples"],
        "`min_samples = 1`: a single failed call opens the breaker where no other came within `window`",
    );
    table.warn(
        breaker.consecutive == 1,
        &["consecutive"],
        "`consecutive = 1`: every failed call opens the breaker",
    );
    table.warn(
        breaker.consecutive == 0 && breaker.least_rate() >= HARDLY,
        &["min_samples", "window", "consecutive"],
        "`min_samples` within `window` is more than 10000 calls/s of one method, \
         and `consecutive = 0`: the breaker hardly ever opens",
    );
}

pub(super) fn ejection(table: &Section<'_>, ejection: &EjectionPolicy) {
    let times = table.first(&["base_ejection_time", "max_ejection_time"]);
    if let Some(at) = times.filter(|_| ejection.base_ejection_time > ejection.max_ejection_time) {
        let message = "expected `base_ejection_time` to be at most `max_ejection_time`: \
                       it only grows from there";
        table.report.error(at, message);
    }
    let factor = ejection.success_rate_stdev_factor;
    table.warn(
        (1..100).contains(&factor),
        &["success_rate_stdev_factor"],
        "`success_rate_stdev_factor` is in thousandths, as Envoy's: 1900 is a factor of 1.9",
    );
    if !ejection.enabled {
        return;
    }
    let (percent, failures) = (ejection.max_ejection_percent, ejection.failure_rate);
    table.warn(
        percent == 100 && ejection.min_available == 0,
        &["max_ejection_percent", "min_available"],
        "with `max_ejection_percent = 100` and `min_available = 0` \
         all endpoints of a service may be ejected at once",
    );
    table.warn(
        percent == 0,
        &["max_ejection_percent"],
        "`max_ejection_percent = 0`: no endpoint is ever ejected",
    );
    table.warn(
        ejection.consecutive == 0 && failures.is_zero() && factor == 0,
        &["consecutive", "failure_rate", "success_rate_stdev_factor"],
        "all three rules are 0: no endpoint is ever ejected",
    );
    table.warn(
        !failures.is_zero() && failures <= ONE_FAILURE,
        &["failure_rate"],
        "`failure_rate` is reached by a single failed try: that is 0.05 in an average over 20",
    );
}

pub(super) fn health_check(table: &Section<'_>, check: &HealthCheck) {
    let kind = table.place("kind").unwrap_or(table.at);
    match check.kind {
        CheckKind::Off => {
            let required = check.required;
            if let Some(at) = table.place("required").filter(|_| required) {
                let message = "expected a `kind` of check beside `required = true`, found \"off\": \
                               no endpoint would ever get a call";
                table.report.error(at, message);
            }
            return;
        }
        CheckKind::Connect => table.warn(
            !check.method.is_empty(),
            &["method"],
            "`method` changes nothing: it is called only with `kind = \"call\"`",
        ),
        CheckKind::Call if check.method.is_empty() && table.place("method").is_none() => {
            let message = "expected the key `method` beside `kind = \"call\"`, found none";
            let help = "for example: method = \"Ping\"";
            table.report.error_with(kind, message, help);
        }
        CheckKind::Call => {}
    }
    table.warn(
        check.timeout > check.interval,
        &["timeout", "interval"],
        "`timeout` is longer than `interval`: checks of a slow endpoint come late",
    );
}

/// A table of a policy with what switches it off.
type Switch = (&'static str, fn(&Policy) -> bool, &'static str);

const SWITCHES: [Switch; 3] = [
    ("breaker", |it| it.breaker.enabled, "enabled = false"),
    ("ejection", |it| it.ejection.enabled, "enabled = false"),
    (
        "health_check",
        |it| it.health_check.kind != CheckKind::Off,
        "kind = \"off\"",
    ),
];

/// Warns of keys that change something in a table that is switched off, for all of `below` too.
pub(super) fn idle(outer: &Section<'_>, policy: &Policy, base: &Policy, below: &[Service]) {
    let differs = policy_difference(policy, base).unwrap_or_default();
    for (name, is_on, off) in SWITCHES {
        let used = is_on(policy) || below.iter().any(|service| is_on(&service.policy));
        let (Some(table), Some(changed), false) = (outer.peek(name), differs.get(name), used)
        else {
            continue;
        };
        let is_idle = |key: &&str| !off.starts_with(key) && table.place(key).is_some();
        let keys = changed.as_table().into_iter().flat_map(|it| it.keys());
        let keys: Vec<&str> = keys.map(String::as_str).filter(is_idle).collect();
        if let Some(at) = table.first(&keys) {
            let (keys, change) = (listed(&keys, "`", "and"), verb(keys.len()));
            let message = format!("{keys} {change} nothing with `{off}`");
            table.report.warning(at, message);
        }
    }
}

fn verb(subjects: usize) -> &'static str {
    match subjects {
        1 => "changes",
        _ => "change",
    }
}
