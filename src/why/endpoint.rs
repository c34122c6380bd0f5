//! Why an endpoint is up, on probation, down or ejected, and why it is not ejected though it fails.

use super::{Clock, many};
use crate::config::EjectionPolicy;
use crate::health::success_rate::{Judgement, MINIMUM_HOSTS, REQUEST_VOLUME};
use crate::health::{
    Cause, Census, Found, Held, Outage, PASSES, Probation, Reason, Score, Snapshot, State,
    TIMES_OTHERS, mixed, share,
};
use crate::outcome::human;

/// The state of an endpoint with the numbers behind it.
pub fn sentence(it: &Snapshot, rules: &EjectionPolicy, clock: &Clock) -> String {
    match it.state {
        State::Down => down(it, clock),
        State::Ejected => ejected(it, clock),
        State::Probation => {
            let why = it
                .probation
                .map_or(String::new(), |it| probation(&it, clock));
            let more = troubles(it, rules).map_or(String::new(), |it| format!("; {it}"));
            format!("probation{why}{more}")
        }
        State::Up => {
            let slow = slow_start(it, rules, clock).map_or(String::new(), |it| format!(", {it}"));
            let said = troubles(it, rules).unwrap_or_else(|| match rules.enabled {
                true => "no failure of late".to_owned(),
                false => "ejection is off".to_owned(),
            });
            format!("up{slow}: {said}")
        }
    }
}

fn down(it: &Snapshot, clock: &Clock) -> String {
    let why = it
        .outage
        .as_ref()
        .map_or(String::new(), |it| outage(it, clock));
    let ejected = it.ejection.map_or(String::new(), |ejection| {
        format!("; ejected for another {}", clock.left(ejection.until))
    });
    let called = match it.is_last_resort() {
        true => "; called all the same: every endpoint fails its checks",
        false => "",
    };
    format!("down{why}{ejected}{called}")
}

fn outage(it: &Outage, clock: &Clock) -> String {
    let (since, ago) = (clock.since(it.since), clock.since(it.last));
    let (how, failures) = (it.outcome.label(), it.failures);
    let detail = match it.detail.is_empty() {
        true => String::new(),
        false => format!(" ({})", it.detail),
    };
    let next = clock.coming(it.next);
    match it.found {
        Found::ByConnect => {
            format!(" for {since}: {how} {ago} ago{detail}, {failures} failed, next connect {next}")
        }
        Found::ByCheck => format!(" for {since}: {}, {ago} ago, next check {next}", it.detail),
        Found::Unchecked => {
            let last = match it.failures {
                0 => String::new(),
                _ => format!("; {}, {ago} ago, next check {next}", it.detail),
            };
            format!(
                ": it has passed no health check since it was registered, {since} ago, and must before its first \
                 call{last}"
            )
        }
    }
}

fn ejected(it: &Snapshot, clock: &Clock) -> String {
    let Some(ejection) = it.ejection else {
        return "ejected".to_owned();
    };
    let (since, back) = (clock.at(ejection.since), clock.coming(ejection.until));
    let (reason, score) = (ejection.reason.label(), &ejection.score);
    let seen = match ejection.reason {
        _ if ejection.again => "failed on probation after an ejection".to_owned(),
        Reason::Consecutive => in_a_row(score.run),
        Reason::FailureRate | Reason::SuccessRate => {
            format!("failure average {:.2}", score.average())
        }
    };
    format!("ejected since {since} by {reason} ({seen}), back on probation {back}")
}

fn in_a_row(failures: u32) -> String {
    format!("{} in a row", many(u64::from(failures), "failure"))
}

fn probation(it: &Probation, clock: &Clock) -> String {
    let ago = clock.since(it.since);
    match it.cause {
        Cause::Overdue => format!(" since {ago} ago: a try was overdue; one success ends it"),
        Cause::NoWitness => format!(
            " since {ago} ago: it fails, and no other endpoint was tried meanwhile; one success ends it"
        ),
        Cause::Returned(reason, passes) => {
            let reason = reason.label();
            format!(" after an ejection by {reason}: {passes} of {PASSES} successes in a row")
        }
    }
}

fn slow_start(it: &Snapshot, rules: &EjectionPolicy, clock: &Clock) -> Option<String> {
    let share = share(it.slow_since?, rules.slow_start, clock.now);
    (share < 1.0).then(|| format!("slow start: {:.0} % of its share", share * 100.0))
}

/// What speaks for ejecting it, and what against it; `None` where there is nothing to speak of.
fn troubles(it: &Snapshot, rules: &EjectionPolicy) -> Option<String> {
    if !rules.enabled {
        return None;
    }
    match found(it, rules) {
        Some(reason) => Some(not_ejected(it, reason, rules)),
        None if it.score.is_clean() => None,
        None => Some(nearest(&it.score, rules)),
    }
}

/// Whether a detector has found it though it is not ejected.
pub fn is_kept(it: &Snapshot, rules: &EjectionPolicy) -> bool {
    rules.enabled && it.state.is_picked() && found(it, rules).is_some()
}

fn found(it: &Snapshot, rules: &EjectionPolicy) -> Option<Reason> {
    let held = it.held.map(|(reason, _)| reason);
    held.or_else(|| it.score.found(rules))
}

/// What keeps an endpoint in that a detector has found.
fn not_ejected(it: &Snapshot, reason: Reason, rules: &EjectionPolicy) -> String {
    let (own, others) = (it.score.average(), it.mean_of_others);
    let reason = match reason {
        Reason::Consecutive => in_a_row(it.score.run),
        Reason::FailureRate => format!("failure average {own:.2}"),
        Reason::SuccessRate => "success_rate".to_owned(),
    };
    if it.held.is_none() && !it.score.stands_out(others) {
        return format!(
            "not ejected ({reason}): it fails {own:.2}, the others {others:.2} in the mean: it must be \
             {TIMES_OTHERS} times that"
        );
    }
    let lane = it
        .held
        .map(|(_, held)| held)
        .filter(|held| *held == Held::Lane);
    match it.census.held(rules).or(lane) {
        Some(held) => format!("not ejected ({reason}): {}", cap(&it.census, held, rules)),
        None if it.probation.is_some_and(|it| it.cause == Cause::NoWitness) => {
            format!("not ejected ({reason}): what others say is not known yet")
        }
        None => format!("not ejected ({reason}): nothing keeps it any more but the next failure"),
    }
}

/// Which cap keeps one more endpoint from being ejected, with its numbers.
pub(crate) fn cap(census: &Census, held: Held, rules: &EjectionPolicy) -> String {
    let (out, total) = (census.count(State::Ejected), census.total());
    match held {
        Held::Cap => {
            let (are, cap) = (
                if out == 1 { "is" } else { "are" },
                rules.max_ejection_percent,
            );
            format!("{out} of {total} {are} out already, max_ejection_percent is {cap}")
        }
        Held::Lane => "it is the last of its lane, or of the baseline: one must be left".to_owned(),
        Held::Last => {
            let (left, least) = (census.picked(), rules.min_available);
            format!(
                "min_available {least} must be left, and of {total} there {}",
                are(left)
            )
        }
    }
}

fn are(n: usize) -> String {
    match n {
        1 => "is 1".to_owned(),
        n => format!("are {n}"),
    }
}

/// The two detectors that look at its own tries, and how near they are.
fn nearest(score: &Score, rules: &EjectionPolicy) -> String {
    let average = score.average();
    let average = match rules.failure_rate.is_zero() {
        true => format!("failure average {average:.2}"),
        false => {
            let limit = rules.failure_rate.get();
            format!("failure average {average:.2}, ejected at {limit:.2}")
        }
    };
    match run(score, rules.consecutive) {
        Some(run) => format!("{run}, {average}"),
        None => average,
    }
}

/// Of the two runs the one that is nearer to its end: five timeouts, resets or closes, or eight of any kind.
fn run(score: &Score, consecutive: u32) -> Option<String> {
    if score.run == 0 {
        return None;
    }
    let (hard, any) = (consecutive, mixed(consecutive));
    Some(if consecutive == 0 {
        in_a_row(score.run)
    } else if u64::from(score.hard_run) * u64::from(any) >= u64::from(score.run) * u64::from(hard) {
        format!("{} of {hard} failures in a row", score.hard_run)
    } else {
        format!(
            "{} of {any} failures in a row, exceptions among them",
            score.run
        )
    })
}

/// What the third detector makes of an endpoint that had this of tries, and successes among them.
pub fn success_rate(tally: (u32, u32), judged: &Judgement, rules: &EjectionPolicy) -> String {
    let interval = human(crate::health::success_rate::INTERVAL);
    let (tries, successes) = tally;
    let had = match tries {
        0 => format!("no try in the last {interval} that were judged"),
        n => {
            let rate = f64::from(successes) * 100.0 / f64::from(n);
            format!("{rate:.1} % of {n} tries in the last {interval} that were judged")
        }
    };
    let hosts = judged.hosts;
    match judged.threshold {
        _ if !rules.enabled || rules.success_rate_stdev_factor == 0 => {
            format!("{had}; there is no such rule")
        }
        Some(threshold) => format!("{had}; below {threshold:.1} % it was an outlier"),
        None => format!(
            "{had}; no outliers: {hosts} endpoints of {MINIMUM_HOSTS} that it takes had {REQUEST_VOLUME} tries"
        ),
    }
}
