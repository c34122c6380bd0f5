//! What `/why` and `tidegate why` tell: services, endpoints, breakers, each in one sentence.

use std::fmt::Write;

use super::App;
use super::breaker::known_ones;
use super::view::{registered_codes, remark};
use crate::breaker::State;
use crate::cluster::Cluster;
use crate::diagnosis::phrase;
use crate::discovery::Followed;
use crate::finding::plain;
use crate::health;
use crate::registry::{Shown, brief};
use crate::why::service::Whole;
use crate::why::{self, Clock};

impl App {
    /// Why a service, or one of its endpoints, is in the state it is in; all services where none is named.
    ///
    /// # Errors
    ///
    /// There is no such service or endpoint; which there are.
    pub fn why(&self, service: Option<&str>, endpoint: Option<&str>) -> Result<String, String> {
        let (followed, clock) = (self.routes.followed(), Clock::read());
        let Some(name) = service else {
            return Ok(all(&followed, &clock));
        };
        let Some(found) = followed.iter().find(|f| *f.cluster.name == *name) else {
            let known: Vec<&str> = followed.iter().map(|f| &*f.cluster.name).collect();
            return Err(format!("no service {name}{}", known_ones(name, &known)));
        };
        match endpoint {
            None => Ok(one(found, &clock)),
            Some(endpoint) => one_endpoint(found, endpoint, &clock),
        }
    }
}

/// A line for each service, the worst first.
fn all(followed: &[std::sync::Arc<Followed>], clock: &Clock) -> String {
    let mut lines: Vec<_> = followed
        .iter()
        .map(|f| {
            let line = with_whole(&f.cluster, clock, |whole| (whole.rank(), whole.sentence()));
            (line.0, format!("{}: {}", f.cluster.name, line.1))
        })
        .collect();
    lines.sort();
    match lines.as_slice() {
        [] => "no service yet: none is in the config, and no call named one".to_owned(),
        some => some
            .iter()
            .map(|(_, line)| line.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// A service: the whole of it, its endpoints, breakers, retry budget and limits.
fn one(followed: &Followed, clock: &Clock) -> String {
    let cluster = &followed.cluster;
    let mut text = with_whole(cluster, clock, |whole| {
        format!("{}: {}\n", cluster.name, whole.sentence())
    });
    lanes(&mut text, cluster);
    endpoints(&mut text, followed, clock);
    let pickable = cluster.set().available();
    for (method, snapshot) in cluster.breakers(clock.now) {
        let sentence = why::breaker::sentence(&snapshot, pickable, clock);
        let _ = writeln!(text, "  breaker {method}: {sentence}");
    }
    let others = why::breaker::others(cluster.methods.forced(clock.now), clock);
    let _ = writeln!(text, "  breaker of other methods: {others}");
    let policy = cluster.policy();
    let standing = cluster.budget.standing(clock.now, policy.retry_budget);
    let budget = why::service::retry_budget(&standing, policy.retry_budget);
    let _ = writeln!(text, "  retry budget: {budget}");
    let (in_flight, waiting) = cluster.busy();
    let limits = why::service::limits(in_flight, waiting, &policy);
    let _ = write!(text, "  limits: {limits}");
    text
}

/// Lanes told, at most.
const LANES: usize = 32;

/// A line for each lane, the baseline and what is preferred.
fn lanes(text: &mut String, cluster: &Cluster) {
    let parts = cluster.set().parts();
    for part in parts.iter().take(LANES) {
        let _ = writeln!(text, "  {part}");
    }
    if parts.len() > LANES {
        let _ = writeln!(text, "  and {} lanes more", parts.len() - LANES);
    }
}

/// Endpoints told, at most.
const ENDPOINTS: usize = 50;

/// A line for each registered address, by the address that is dialled, with its lane's tags: the unwell first.
fn endpoints(text: &mut String, followed: &Followed, clock: &Clock) {
    let (members, cluster) = (followed.members.load(), &followed.cluster);
    let set = cluster.set();
    let preferred = set.preferred();
    let is_preferred = |shown: &Shown| {
        let endpoint = shown.dial.as_ref().and_then(|addr| cluster.endpoint(addr));
        endpoint.is_some_and(|it| preferred.contains(&it.id))
    };
    let name = |shown: &Shown| {
        let mut marks = set.lane_tags(&shown.instance.tags);
        if !preferred.is_empty() && is_preferred(shown) {
            marks.push("preferred".to_owned());
        }
        match marks.as_slice() {
            [] => called(shown),
            marks => format!("{} [{}]", called(shown), brief(&marks.join(", "))),
        }
    };
    let mut all: Vec<&Shown> = members.shown.iter().collect();
    if all.len() > ENDPOINTS {
        all.sort_by_cached_key(|shown| wellness(cluster, shown));
    }
    for shown in all.iter().take(ENDPOINTS) {
        let (name, sentence) = (name(shown), state_of(cluster, shown, clock));
        let _ = writeln!(text, "  endpoint {name}: {sentence}");
    }
    if all.len() > ENDPOINTS {
        let more = (all.len() - ENDPOINTS) as u64;
        let _ = writeln!(text, "  and {} more", why::many(more, "endpoint"));
    }
}

/// How well it is: not used or not up, the worst, then with a finding, then neither.
fn wellness(cluster: &Cluster, shown: &Shown) -> u8 {
    let endpoint = shown.dial.as_ref().and_then(|addr| cluster.endpoint(addr));
    match endpoint {
        Some(it) if it.health.state() == health::State::Up => {
            let mut registered = registered_codes(shown, Some(&it));
            let is_sound = registered.next().is_none() && it.watch.list().is_empty();
            1 + u8::from(is_sound)
        }
        _ => 0,
    }
}

/// `10.0.0.1:8888`; `item.local:8888 (10.0.0.1:8888)` where the registered address is another; and
/// `10.0.0.7:8888 → 203.0.113.7:30080 (rewrite "office", dev.toml:4)` where a rule made another of it.
fn called(shown: &Shown) -> String {
    let leads_to = shown.rewritten.as_ref().map(|it| &*it.to);
    let known = leads_to.unwrap_or(&shown.instance.address);
    match &shown.dial {
        Some(dial) if dial.to_string() != *known => {
            format!("{} ({dial})", brief(&shown.before_and_after()))
        }
        _ => brief(&shown.before_and_after()).into_owned(),
    }
}

/// The sentence for a registered address, whether it is used or not.
fn state_of(cluster: &Cluster, shown: &Shown, clock: &Clock) -> String {
    let endpoint = shown.dial.as_ref().and_then(|addr| cluster.endpoint(addr));
    let Some(endpoint) = endpoint else {
        return format!("not used: {}", plain(&shown.why));
    };
    let rules = &cluster.policy().ejection;
    let said = why::endpoint::sentence(&endpoint.health.snapshot(), rules, clock);
    let code = shown.code.filter(|code| endpoint.watch.holds(*code));
    let why = plain(remark(shown, Some(&endpoint)));
    let mut said = match (code, &*why) {
        (Some(code), "") => format!("{said}; {code}: {}", code.cause()),
        (Some(code), why) => format!("{said}; {code}: {why}"),
        (None, "") => said,
        (None, why) => format!("{said}; {why}"),
    };
    for it in endpoint.watch.list() {
        let (code, since) = (it.code, clock.since(it.since));
        let _ = write!(
            said,
            "; {code} for {since}: it {}: {}",
            phrase(code),
            plain(&it.said)
        );
    }
    said
}

fn one_endpoint(followed: &Followed, named: &str, clock: &Clock) -> Result<String, String> {
    let (cluster, members) = (&followed.cluster, followed.members.load());
    let is_it = |shown: &&Shown| {
        let leads_to = shown.rewritten.as_ref().map(|it| &*it.to);
        shown.instance.address == named
            || leads_to == Some(named)
            || shown
                .dial
                .as_ref()
                .is_some_and(|dial| dial.to_string() == named)
    };
    let Some(shown) = members.shown.iter().find(is_it) else {
        let known: Vec<&str> = members
            .shown
            .iter()
            .map(|s| s.instance.address.as_str())
            .collect();
        let service = &cluster.name;
        return Err(format!(
            "no endpoint {named} of {service}{}",
            known_ones(named, &known)
        ));
    };
    let mut text = format!("{}: {}", called(shown), state_of(cluster, shown, clock));
    if let Some(endpoint) = shown.dial.as_ref().and_then(|addr| cluster.endpoint(addr)) {
        let (snapshot, policy) = (endpoint.health.snapshot(), cluster.policy());
        // With fewer there is no such rule.
        if snapshot.census.total() >= health::success_rate::MINIMUM_HOSTS {
            let judged = cluster.success_rates();
            let rate = why::endpoint::success_rate(snapshot.tally, &judged, &policy.ejection);
            let _ = write!(text, "\n  success rate: {rate}");
        }
        let (calls, idle) = (u64::from(endpoint.busy()), endpoint.pool.len());
        let calls = why::many(calls, "call");
        let _ = write!(text, "\n  connections: {calls} in flight, {idle} idle");
    }
    Ok(text)
}

fn with_whole<T>(cluster: &Cluster, clock: &Clock, with: impl FnOnce(&Whole<'_>) -> T) -> T {
    let (set, policy) = (cluster.set(), cluster.policy());
    let all: Vec<health::Snapshot> = set
        .all
        .iter()
        .map(|m| m.endpoint.health.snapshot())
        .collect();
    let is_kept = |it: &health::Snapshot| why::endpoint::is_kept(it, &policy.ejection);
    let count = |is: &dyn Fn(&health::Snapshot) -> bool| all.iter().filter(|it| is(it)).count();
    let breakers = cluster.breakers(clock.now);
    let problem = cluster.why_none().filter(|_| set.all.is_empty());
    with(&Whole {
        census: cluster.peers.census(),
        kept: count(&is_kept),
        well: count(&|it| it.state == health::State::Up && !is_kept(it)),
        last_resort: count(&health::Snapshot::is_last_resort),
        problem: problem.as_deref(),
        forced: cluster.methods.forced(clock.now).map(|(to, _)| to),
        breakers: breakers
            .iter()
            .map(|(method, it)| (&**method, it.state.unwrap_or(State::Closed)))
            .collect(),
    })
}
