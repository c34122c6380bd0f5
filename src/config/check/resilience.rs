//! The tables and keys that keep one bad instance, method or minute from becoming everyone's.
//!
//! As in `policy`, each key is read over the value of the table above. A `preset` that is written takes that place:
//! what is not written beside it comes from the preset.

use std::time::Duration;

use crate::config::resilience::{
    BreakerPolicy, CheckKind, Counted, EjectionPolicy, HealthCheck, Preset, RateLimit, RetryBudget,
    Share,
};
use crate::outcome::{Again, Outcome, Outcomes};

use super::{Section, contradictions};

const MILLI: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// More is no rate of calls.
const MOST_CALLS: u32 = 10_000_000;

/// `breaker`.
pub(super) fn breaker(outer: &mut Section<'_>, base: &BreakerPolicy) -> BreakerPolicy {
    let read = |table: &mut Section<'_>| {
        let words = [("tidegate", Preset::Tidegate), ("kitex", Preset::Kitex)];
        let preset = table.word("preset", &words);
        let base = preset.map_or_else(|| base.clone(), Preset::policy);
        let breaker = BreakerPolicy {
            enabled: table.flag("enabled").unwrap_or(base.enabled),
            preset: base.preset,
            window: table
                .duration("window", 100 * MILLI..=HOUR)
                .unwrap_or(base.window),
            min_samples: table
                .number("min_samples", 1..=1_000_000)
                .unwrap_or(base.min_samples),
            error_rate: table
                .share("error_rate", Share::millionths(1))
                .unwrap_or(base.error_rate),
            consecutive: table
                .number("consecutive", 0..=1_000_000)
                .unwrap_or(base.consecutive),
            cooling: table
                .duration("cooling", MILLI..=HOUR)
                .unwrap_or(base.cooling),
            counts: counts(table).unwrap_or(base.counts),
        };
        contradictions::breaker(table, &breaker);
        breaker
    };
    outer.table("breaker", read).unwrap_or_else(|| base.clone())
}

fn counts(table: &mut Section<'_>) -> Option<Counted> {
    let all = Counted {
        declared_exception: true,
        biz_status: true,
        exception: true,
        timeout: true,
    };
    let named = table.names("counts", &all.names(), |_| None)?;
    let counts = |name| named.contains(&name);
    Some(Counted {
        declared_exception: counts("declared_exception"),
        biz_status: counts("biz_status"),
        exception: counts("exception"),
        timeout: counts("timeout"),
    })
}

/// `ejection`.
pub(super) fn ejection(outer: &mut Section<'_>, base: &EjectionPolicy) -> EjectionPolicy {
    let read = |table: &mut Section<'_>| {
        let ejection = EjectionPolicy {
            enabled: table.flag("enabled").unwrap_or(base.enabled),
            consecutive: table
                .number("consecutive", 0..=1000)
                .unwrap_or(base.consecutive),
            failure_rate: table
                .share("failure_rate", Share::millionths(0))
                .unwrap_or(base.failure_rate),
            success_rate_stdev_factor: table
                .number("success_rate_stdev_factor", 0..=100_000)
                .unwrap_or(base.success_rate_stdev_factor),
            max_ejection_percent: table
                .number("max_ejection_percent", 0..=100)
                .unwrap_or(base.max_ejection_percent),
            min_available: table
                .count("min_available", 0..=10_000)
                .unwrap_or(base.min_available),
            base_ejection_time: table
                .duration("base_ejection_time", MILLI..=DAY)
                .unwrap_or(base.base_ejection_time),
            max_ejection_time: table
                .duration("max_ejection_time", MILLI..=DAY)
                .unwrap_or(base.max_ejection_time),
            slow_start: table
                .duration("slow_start", Duration::ZERO..=HOUR)
                .unwrap_or(base.slow_start),
        };
        contradictions::ejection(table, &ejection);
        ejection
    };
    outer
        .table("ejection", read)
        .unwrap_or_else(|| base.clone())
}

/// `retry_budget`.
pub(super) fn retry_budget(outer: &mut Section<'_>, base: RetryBudget) -> RetryBudget {
    let read = |table: &mut Section<'_>| RetryBudget {
        percent: table.number("percent", 0..=1000).unwrap_or(base.percent),
        min_per_second: table
            .number("min_per_second", 0..=100_000)
            .unwrap_or(base.min_per_second),
    };
    outer.table("retry_budget", read).unwrap_or(base)
}

/// `health_check`: who writes the table wants checks, so without a `kind` they connect.
pub(super) fn health_check(outer: &mut Section<'_>, base: &HealthCheck) -> HealthCheck {
    let read = |table: &mut Section<'_>| {
        let implied = match base.kind {
            CheckKind::Off => CheckKind::Connect,
            kind => kind,
        };
        let mut check = HealthCheck {
            kind: check_kind(table).unwrap_or(implied),
            method: table
                .text("method", "a method's name")
                .map_or_else(|| base.method.clone(), |it| it.text.into()),
            interval: table
                .duration("interval", 10 * MILLI..=HOUR)
                .unwrap_or(base.interval),
            jitter: table
                .share("jitter", Share::millionths(0))
                .unwrap_or(base.jitter),
            timeout: table
                .duration("timeout", MILLI..=HOUR)
                .unwrap_or(base.timeout),
            unhealthy_threshold: table
                .number("unhealthy_threshold", 1..=1000)
                .unwrap_or(base.unhealthy_threshold),
            healthy_threshold: table
                .number("healthy_threshold", 1..=1000)
                .unwrap_or(base.healthy_threshold),
            required: table.flag("required").unwrap_or(base.required),
        };
        contradictions::health_check(table, &check);
        // What is required above is not where nothing checks.
        check.required &= check.kind != CheckKind::Off;
        check
    };
    outer
        .table("health_check", read)
        .unwrap_or_else(|| base.clone())
}

fn check_kind(table: &mut Section<'_>) -> Option<CheckKind> {
    let words = [
        ("off", CheckKind::Off),
        ("connect", CheckKind::Connect),
        ("call", CheckKind::Call),
    ];
    table.word("kind", &words)
}

/// `retry_on`.
pub(super) fn retry_on(table: &mut Section<'_>) -> Option<Outcomes> {
    let named = table.names("retry_on", &Outcomes::nameable(), never_or_always)?;
    let outcomes = named.into_iter().fold(Outcomes::NONE, Outcomes::with);
    Some(outcomes)
}

/// Why an outcome cannot be named, if it is one.
fn never_or_always(name: &str) -> Option<String> {
    if name == "timeout" {
        let help = "`read_deadline` is a try without an answer in time, `connect_timeout` always tried again";
        return Some(help.to_owned());
    }
    let outcome = Outcome::ALL.iter().find(|it| it.label() == name)?;
    let when = match outcome.row().again {
        Again::Unwritten => "always tried again, since nothing of it was sent",
        _ => "never tried again",
    };
    Some(format!("a call that ends in `{name}` is {when}"))
}

/// `rate_limit` and `rate_burst`.
pub(super) fn rate(table: &mut Section<'_>, base: RateLimit) -> RateLimit {
    RateLimit {
        per_second: table
            .number("rate_limit", 0..=MOST_CALLS)
            .unwrap_or(base.per_second),
        burst: table
            .number("rate_burst", 0..=MOST_CALLS)
            .unwrap_or(base.burst),
    }
}
