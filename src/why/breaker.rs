//! Why a breaker is open, and why it is not.

use tokio::time::Instant;

use super::{Clock, many, soon, thousands};
use crate::breaker::{Forced, PROBES, Snapshot, State};
use crate::outcome::human;

/// The state of a method's breaker with the numbers behind it. `pickable` is how many endpoints calls may be sent to: a
/// run of failures at one of several is that one's.
pub fn sentence(it: &Snapshot, pickable: usize, clock: &Clock) -> String {
    match it.state {
        None => "off: the policy has no breaker".to_owned(),
        Some(State::Closed) => format!("closed: {}", closed(it, pickable)),
        Some(State::Open) => open(it, clock),
        Some(State::HalfOpen) => half_open(it),
        Some(State::ForcedOpen) => format!("forced open for {}", forced(it, clock)),
        Some(State::ForcedClosed) => {
            format!(
                "forced closed for {}, nothing is counted",
                forced(it, clock)
            )
        }
    }
}

/// What becomes of the methods that have no breaker, where a person may have forced all until then.
pub fn others(all: Option<(Forced, Instant)>, clock: &Clock) -> String {
    match all {
        Some((to, until)) => format!("forced {to} for another {}, by request", clock.left(until)),
        None => {
            "none: a method has one from its first reply on, or by [service.method.NAME]".into()
        }
    }
}

fn forced(it: &Snapshot, clock: &Clock) -> String {
    let left = it.forced_until.map_or(String::new(), |at| clock.left(at));
    format!("another {left}, by request")
}

fn open(it: &Snapshot, clock: &Clock) -> String {
    let since = clock.at(it.since);
    let cause = it.opened.map_or(String::new(), |it| format!(", {it}"));
    let next = soon(it.next_probe.unwrap_or_default());
    format!("open since {since}{cause}, half-open {next}")
}

fn half_open(it: &Snapshot) -> String {
    let cause = it.opened.map_or(String::new(), |it| format!("; {it}"));
    let next = soon(it.next_probe.unwrap_or_default());
    let passed = it.probe_successes;
    format!("half-open: {passed} of {PROBES} probes succeeded, next probe {next}{cause}")
}

/// What of the two rules is fulfilled, and what is not.
fn closed(it: &Snapshot, pickable: usize) -> String {
    let mut said = rate(it);
    if let Some(run) = run(it, pickable) {
        said = format!("{said}; {run}");
    }
    said
}

fn rate(it: &Snapshot) -> String {
    let (window, least) = (human(it.policy.window), it.policy.min_samples);
    if it.calls == 0 {
        return format!("no call within {window}");
    }
    let calls = many(it.calls, "call");
    if it.bad == 0 {
        return format!("none of {calls} failed within {window}");
    }
    let percent = (100 * it.bad + it.calls / 2) / it.calls;
    let enough = it.calls >= u64::from(least);
    match (it.policy.error_rate.is_reached(it.bad, it.calls), enough) {
        (true, false) => {
            let have = thousands(it.calls);
            format!("{percent} % failed, but {have} of {least} samples within {window}")
        }
        (true, true) => {
            format!("{percent} % of {calls} failed within {window}: one more failure opens it")
        }
        (false, _) => {
            let limit = it.policy.error_rate.percent();
            format!("{percent} % of {calls} failed within {window}, error_rate is {limit} %")
        }
    }
}

fn run(it: &Snapshot, pickable: usize) -> Option<String> {
    let enough = it.policy.consecutive;
    if it.run == 0 || enough == 0 {
        return None;
    }
    let failures = many(u64::from(it.run), "failure");
    let at_one = match pickable > 1 && !it.several {
        true => format!(", all at one of {pickable} endpoints"),
        false => String::new(),
    };
    Some(format!("{failures} in a row of {enough}{at_one}"))
}
