//! Endpoints learn how tries went; those that fail are taken out, within the caps, and put back.
//!
//! Who decides what: [`Health`](crate::health::Health) finds an outlier, the caps are checked here, under the lock that
//! every change of the snapshot takes, so that no two endpoints are ejected past them.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::Cluster;
use crate::config::EjectionPolicy;
use crate::endpoint::{Endpoint, EndpointSet, Member};
use crate::health::success_rate::Judgement;
use crate::health::{Cause, Ejection, Held, Learned, Reason, State, success_rate};
use crate::outcome::{Charge, human};
use crate::upstream::connect::connect;
use crate::why;

impl Cluster {
    /// A try at this endpoint ended, with this charge.
    #[inline]
    pub fn observe(
        &self,
        endpoint: &Arc<Endpoint>,
        charge: Charge,
        rules: &EjectionPolicy,
        now: Instant,
    ) {
        let learned = endpoint.health.observe(charge, rules, now);
        if learned != Learned::default() {
            self.act(endpoint, learned, now);
        }
    }

    #[cold]
    fn act(&self, endpoint: &Arc<Endpoint>, learned: Learned, now: Instant) {
        if let Some(state) = learned.state {
            endpoint.metrics.state(state.label());
            if state == State::Up {
                // The time of an overdue try would keep calls away for a minute.
                endpoint.load.forget();
            }
            let (service, addr) = (&self.name, &endpoint.name);
            match state {
                State::Probation => {
                    let cause = endpoint.health.snapshot().probation.map(|it| it.cause);
                    let why = match cause {
                        Some(Cause::NoWitness) => {
                            "it fails, and no other endpoint was tried meanwhile"
                        }
                        _ => "a try was overdue",
                    };
                    tracing::info!(%service, endpoint.addr = %addr, "endpoint on probation: {why}");
                }
                _ => {
                    tracing::info!(%service, endpoint.addr = %addr, "endpoint is {} again", state.label());
                }
            }
        }
        if let Some((reason, held)) = learned.held {
            self.say_held(endpoint, reason, held);
        }
        if let Some(reason) = learned.eject {
            self.eject(endpoint, reason, now);
        }
    }

    /// Ejects an endpoint, if the caps allow it.
    pub fn eject(&self, endpoint: &Arc<Endpoint>, reason: Reason, now: Instant) {
        let policy = self.policy();
        let rules = &policy.ejection;
        let one = self.dials.lock();
        if !endpoint.health.state().is_picked() {
            return;
        }
        let lane = rules.min_available > 0 && self.set().is_last_of_lane(endpoint);
        let held = self.peers.held(rules);
        if let Some(held) = held.or(lane.then_some(Held::Lane)) {
            drop(one);
            if endpoint.health.hold(reason, held) {
                self.say_held(endpoint, reason, held);
            }
            return;
        }
        let jitter = fastrand::f64() * 2.0 - 1.0;
        let Some(ejection) = endpoint.health.eject(reason, rules, now, jitter) else {
            return;
        };
        self.refresh();
        drop(one);
        self.metrics.ejection(reason.label(), "yes");
        tracing::warn!(
            service = %self.name, endpoint.addr = %endpoint.name, reason = reason.label(),
            "endpoint ejected for {}: {}",
            human(ejection.until.saturating_duration_since(now)), seen(&ejection),
        );
        self.control
            .spawn(come_back(self.me.clone(), endpoint.clone(), ejection));
    }

    fn say_held(&self, endpoint: &Endpoint, reason: Reason, held: Held) {
        self.metrics.ejection(reason.label(), held.label());
        let (census, rules) = (self.peers.census(), &self.policy().ejection);
        let why = why::endpoint::cap(&census, held, rules);
        tracing::warn!(
            service = %self.name, endpoint.addr = %endpoint.name, reason = reason.label(),
            "endpoint fails and is not ejected: {why}"
        );
    }

    /// Ends an ejection before its time.
    pub fn release(&self, endpoint: &Endpoint, now: Instant) -> bool {
        let _one = self.dials.lock();
        let was = endpoint.health.release(now);
        if was {
            self.refresh();
        }
        was
    }

    /// Endpoints went down, or went, or the caps are others: those nearest to their return come back at once.
    pub(super) fn release_those_too_many(&self, all: &[Member], rules: &EjectionPolicy) {
        while self.peers.too_many_out(rules) {
            let ejected = all
                .iter()
                .filter(|m| m.endpoint.health.state() == State::Ejected);
            let Some(next) = ejected.min_by_key(|m| m.endpoint.health.ejected_until()) else {
                return;
            };
            tracing::info!(
                service = %self.name, endpoint.addr = %next.endpoint.name,
                "endpoint comes back before its time: too few are left"
            );
            next.endpoint.health.release(Instant::now());
        }
    }

    /// A lane has nobody left: who is ejected there comes back at once. True if the set is another now.
    pub(super) fn release_stranded(&self, set: &EndpointSet, rules: &EjectionPolicy) -> bool {
        if rules.min_available == 0 {
            return false;
        }
        let stranded = set.stranded();
        for endpoint in &stranded {
            tracing::info!(
                service = %self.name, endpoint.addr = %endpoint.name,
                "endpoint comes back before its time: none is left of its lane"
            );
            endpoint.health.release(Instant::now());
        }
        !stranded.is_empty()
    }

    /// Ejections are off: whoever is out, or on probation, is up.
    pub(super) fn pardon_all(&self) {
        for Member { endpoint, .. } in &self.set.load().all {
            endpoint.health.pardon();
        }
    }

    /// Every ten seconds: the third detector.
    pub(super) fn judge_success_rates(
        &self,
        set: &EndpointSet,
        rules: &EjectionPolicy,
        now: Instant,
    ) {
        {
            let mut judged = self.judged.lock();
            if now.saturating_duration_since(judged.0) < success_rate::INTERVAL {
                return;
            }
            *judged = (now, Judgement::default());
        }
        let tallies: Vec<_> = set
            .all
            .iter()
            .map(|m| m.endpoint.health.take_tally())
            .collect();
        if !rules.enabled {
            return;
        }
        let judgement = success_rate::judge(&tallies, rules.success_rate_stdev_factor);
        for outlier in &judgement.outliers {
            self.eject(&set.all[*outlier].endpoint, Reason::SuccessRate, now);
        }
        self.judged.lock().1 = judgement;
    }

    /// What the last judgement of success rates came to.
    pub fn success_rates(&self) -> Judgement {
        self.judged.lock().1.clone()
    }
}

/// What led to it, for the log.
fn seen(ejection: &Ejection) -> String {
    let (run, average) = (ejection.score.run, ejection.score.average() * 100.0);
    let failures = why::many(u64::from(run), "failure");
    match ejection.again {
        true => "it failed on probation after an ejection".to_owned(),
        false => format!("{failures} in a row, {average:.0} % of its last tries failed"),
    }
}

/// When its time is over, an ejected endpoint is on probation. At once one connect asks whether it is there at all:
/// calls that broke off together may mean that its process ended, and then it is down, and back as soon as it listens.
async fn come_back(cluster: Weak<Cluster>, endpoint: Arc<Endpoint>, ejection: Ejection) {
    if let Some(cluster) = cluster.upgrade()
        && let Err(error) = connect(&endpoint.addr, cluster.policy().connect_timeout).await
        && error.outcome.row().endpoint == Charge::Down
    {
        cluster.connect_failed(&endpoint, &error);
    }
    tokio::time::sleep_until(ejection.until).await;
    let Some(cluster) = cluster.upgrade() else {
        return;
    };
    // Another ejection has a timer of its own.
    if endpoint.health.ejected_until() == Some(ejection.until)
        && cluster.release(&endpoint, Instant::now())
    {
        tracing::info!(service = %cluster.name, endpoint.addr = %endpoint.name, "endpoint is back, on probation");
    }
}
