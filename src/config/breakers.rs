//! What the breakers of a config mean, in sentences: from which rate of calls on they can open at all.
//!
//! A window that holds `min_samples` is a rate of calls. Below it a breaker opens by failures in a row only, and
//! Kitex's rules have no such rule: its 200 calls in 10 s are 20 calls/s of one method.

use super::resilience::{BreakerPolicy, Preset, Share};
use super::{Config, Policy, units};

#[cfg(test)]
mod tests;

impl Config {
    /// One sentence about the breaker of `[defaults]`, and one for each service whose breaker differs: from which rate
    /// of calls of one method on it opens; or, with such a rate in calls per second, above 0, what it does at that.
    pub fn breakers(&self, rate: Option<f64>) -> Vec<String> {
        let of = |policy: &Policy| (policy.breaker.clone(), policy.call.rate.per_second);
        let defaults = of(&self.defaults);
        let differs = self
            .services
            .iter()
            .filter(|service| of(&service.policy) != defaults)
            .map(|service| (&*service.name, &service.policy));
        std::iter::once(("[defaults]", &self.defaults))
            .chain(differs)
            .map(|(whose, policy)| match rate {
                _ if !policy.breaker.enabled => format!("breaker of {whose}: off"),
                None => format!("breaker of {whose}: {}", in_general(policy)),
                Some(rate) => at(whose, policy, rate),
            })
            .collect()
    }
}

/// What it does at so many calls a second, of which it sees those that the rate limit lets through.
fn at(whose: &str, policy: &Policy, rate: f64) -> String {
    let (breaker, limit) = (&policy.breaker, f64::from(policy.call.rate.per_second));
    let (preset, shown) = (name(breaker.preset), show(rate));
    if limit > 0.0 && limit < rate {
        let (passing, does) = (show(limit), at_rate(breaker, limit));
        return format!(
            "at {shown} calls/s, of which rate_limit lets {passing} pass, the breaker of {whose} ({preset}) {does}"
        );
    }
    let does = at_rate(breaker, rate);
    format!("at {shown} calls/s the breaker of {whose} ({preset}) {does}")
}

fn in_general(policy: &Policy) -> String {
    let said = by_rules(&policy.breaker);
    match policy.call.rate.per_second {
        0 => said,
        limit => format!(
            "{said}; it sees at most {limit} calls/s: what rate_limit refuses is not counted"
        ),
    }
}

fn by_rules(breaker: &BreakerPolicy) -> String {
    let least = show(breaker.least_rate());
    let (count, window) = (breaker.min_samples, units::show_duration(breaker.window));
    let failed = part(breaker.error_rate);
    let by_rate = format!(
        "by rate it opens from {least} calls/s per method on ({count} calls in {window}, {failed} of them failed)"
    );
    match breaker.consecutive {
        0 => format!("{by_rate}; below {least} calls/s it cannot open"),
        run => format!("{by_rate}; by {} at any rate", in_a_row(run)),
    }
}

fn at_rate(breaker: &BreakerPolicy, rate: f64) -> String {
    let least = show(breaker.least_rate());
    let (count, window) = (breaker.min_samples, units::show_duration(breaker.window));
    let need = format!("{count} calls in {window} need {least} calls/s");
    let held = (rate * breaker.window.as_secs_f64() + TINY).floor();
    let failed = part(breaker.error_rate);
    match (held < f64::from(count), breaker.consecutive) {
        (true, 0) => format!("cannot trip: {need}"),
        (true, run) => format!("trips only by {}: by rate, {need}", in_a_row(run)),
        (false, 0) => format!("trips once {failed} of the {held} calls in {window} failed"),
        (false, run) => {
            let run = in_a_row(run);
            format!("trips once {failed} of the {held} calls in {window} failed, or by {run}")
        }
    }
}

/// What the arithmetic of a rate may be off by.
const TINY: f64 = 1e-6;

/// A rate with two decimals, below 1 with four; rounded up, so that it is enough.
fn show(rate: f64) -> String {
    let scale = if rate < 1.0 { 1e4 } else { 1e2 };
    let rounded = (rate * scale - TINY).ceil() / scale;
    rounded.to_string()
}

fn part(share: Share) -> String {
    match share.percent() {
        50.0 => "half".into(),
        100.0 => "all".into(),
        percent => format!("{percent} %"),
    }
}

fn in_a_row(run: u32) -> String {
    match run {
        1 => "a single failure".into(),
        run => format!("{run} failures in a row"),
    }
}

fn name(preset: Preset) -> &'static str {
    match preset {
        Preset::Tidegate => "tidegate",
        Preset::Kitex => "kitex",
    }
}
