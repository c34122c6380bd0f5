//! Policies: `[defaults]`, and what a service or a method has for itself.
//!
//! Each key is read over the value of the table above, so the result is always complete.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::policy::{
    Balance, CallPolicy, DeadlineSource, OnDeadline, Policy, ReadDeadline, Suspicious,
};
use crate::config::resilience::Share;

use super::{Section, contradictions, lanes, resilience};

const MILLI: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Durations of one step.
const STEP: RangeInclusive<Duration> = MILLI..=HOUR;
/// Durations of a call or of idleness.
const LONG: RangeInclusive<Duration> = MILLI..=Duration::from_secs(24 * 3600);

/// The keys of a policy in `table`, over `base`. `source` names the table.
pub(super) fn policy(table: &mut Section<'_>, base: &Policy, source: DeadlineSource) -> Policy {
    let policy = Policy {
        connect_timeout: table
            .duration("connect_timeout", STEP)
            .unwrap_or(base.connect_timeout),
        connect_stagger: table
            .duration("connect_stagger", STEP)
            .unwrap_or(base.connect_stagger),
        connect_attempts: table
            .count("connect_attempts", 1..=10)
            .unwrap_or(base.connect_attempts),
        idle_timeout: table
            .duration("idle_timeout", LONG)
            .unwrap_or(base.idle_timeout),
        max_idle: table.count("max_idle", 0..=65_536).unwrap_or(base.max_idle),
        max_calls: table
            .count("max_calls", 1..=1_000_000)
            .unwrap_or(base.max_calls),
        max_waiting: table
            .count("max_waiting", 0..=1_000_000)
            .unwrap_or(base.max_waiting),
        max_endpoint_calls: table
            .count("max_endpoint_calls", 0..=1_000_000)
            .unwrap_or(base.max_endpoint_calls),
        balance: balance(table).unwrap_or(base.balance),
        hash_key: lanes::hash_key(table).unwrap_or_else(|| base.hash_key.clone()),
        prefer: lanes::prefer(table).unwrap_or_else(|| base.prefer.clone()),
        min_share: table
            .share("min_share", Share::millionths(0))
            .unwrap_or(base.min_share),
        suspicious: suspicious(table).unwrap_or(base.suspicious),
        empty_grace: table
            .duration("empty_grace", Duration::ZERO..=HOUR)
            .unwrap_or(base.empty_grace),
        call: call_policy(table, &base.call, source),
        breaker: resilience::breaker(table, &base.breaker),
        ejection: resilience::ejection(table, &base.ejection),
        retry_budget: resilience::retry_budget(table, base.retry_budget),
        health_check: resilience::health_check(table, &base.health_check),
        lanes: lanes::lanes(table).unwrap_or_else(|| base.lanes.clone()),
    };
    contradictions::connects(table, &policy);
    contradictions::hash(table, &policy, base);
    contradictions::retries(table, &policy.call, policy.retry_budget);
    policy
}

/// The keys that a method may have too, over `base`.
pub(super) fn call_policy(
    table: &mut Section<'_>,
    base: &CallPolicy,
    source: DeadlineSource,
) -> CallPolicy {
    let deadline = table.duration_or_off("deadline", LONG);
    let policy = CallPolicy {
        read_deadline: read_deadline(table).unwrap_or(base.read_deadline),
        deadline: deadline.unwrap_or(base.deadline),
        deadline_source: deadline.map_or(base.deadline_source, |_| source),
        on_deadline: on_deadline(table).unwrap_or(base.on_deadline),
        idempotent: table.flag("idempotent").unwrap_or(base.idempotent),
        tries: table.number("tries", 1..=6).unwrap_or(base.tries),
        resend_unacknowledged: table
            .flag("resend_unacknowledged")
            .unwrap_or(base.resend_unacknowledged),
        retry_on: resilience::retry_on(table).unwrap_or(base.retry_on),
        retry_backoff: table
            .duration("retry_backoff", Duration::ZERO..=HOUR)
            .unwrap_or(base.retry_backoff),
        rate: resilience::rate(table, base.rate),
    };
    contradictions::deadlines(table, &policy);
    policy
}

fn read_deadline(table: &mut Section<'_>) -> Option<ReadDeadline> {
    let after = table.duration("read_deadline", LONG)?;
    let explicit = true;
    Some(ReadDeadline { after, explicit })
}

fn balance(table: &mut Section<'_>) -> Option<Balance> {
    let words = [
        ("least_loaded", Balance::LeastLoaded),
        ("weighted_round_robin", Balance::WeightedRoundRobin),
        ("weighted_random", Balance::WeightedRandom),
        ("consistent_hash", Balance::ConsistentHash),
    ];
    table.word("balance", &words)
}

fn suspicious(table: &mut Section<'_>) -> Option<Suspicious> {
    let words = [
        ("avoid", Suspicious::Avoid),
        ("allow", Suspicious::Allow),
        ("refuse", Suspicious::Refuse),
    ];
    table.word("suspicious", &words)
}

fn on_deadline(table: &mut Section<'_>) -> Option<OnDeadline> {
    let words = [
        ("answer", OnDeadline::Answer),
        ("silence", OnDeadline::Silence),
    ];
    table.word("on_deadline", &words)
}
