//! Active health checks: each endpoint is asked how it is, calls or no calls, and its state follows.
//!
//! One task per endpoint, on the control thread; it ends with its endpoint, and is replaced when the rules change. It
//! holds neither endpoint nor service while it waits. A check is neither a call nor a try, and no latency.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::{Cluster, revive};
use crate::config::{CheckKind, HealthCheck};
use crate::endpoint::{Endpoint, Member};
use crate::health::{Checked, Found, Missed};
use crate::outcome::{Failed, Outcome};
use crate::upstream::check::check;

#[cfg(test)]
mod tests;

/// Checks of one service under way at once, at most: the others wait.
pub(super) const AT_ONCE: usize = 64;

impl Cluster {
    /// Checks this endpoint from now on, by these rules; whatever checked it before ends. The first check comes `at
    /// once`, or anywhere within the first interval, so that a thousand endpoints are not asked in one moment.
    pub(super) fn start_checks(
        &self,
        endpoint: &Arc<Endpoint>,
        rules: &HealthCheck,
        at_once: bool,
    ) {
        let task = (rules.kind != CheckKind::Off).then(|| {
            let wait = if at_once { 0.0 } else { fastrand::f64() };
            let checks = Checker {
                cluster: self.me.clone(),
                endpoint: Arc::downgrade(endpoint),
                rules: rules.clone(),
                slots: self.checks.clone(),
                due: Instant::now() + rules.interval.mul_f64(wait),
            };
            AbortOnDropHandle::new(self.control.spawn(checks.run()))
        });
        endpoint.set_checks(task);
    }

    /// Other rules, after a reload: runs and states are kept, but for what these rules would not keep down. The caller
    /// holds the lock on the dials.
    pub(super) fn renew_checks(&self, rules: &HealthCheck) {
        for Member { endpoint, .. } in &self.set.load().all {
            if endpoint.health.set_checks(rules, Instant::now()) {
                self.control
                    .spawn(revive(self.me.clone(), endpoint.clone()));
            }
            self.start_checks(endpoint, rules, false);
        }
    }

    /// A check of this endpoint, by these rules, that began at `began`, has ended.
    pub(super) fn checked(
        &self,
        endpoint: &Arc<Endpoint>,
        result: &Result<(), Missed>,
        rules: &HealthCheck,
        began: Instant,
    ) {
        // What is this host's own doing says nothing of the endpoint.
        if matches!(result, Err(missed) if missed.outcome == Outcome::Overloaded) {
            return;
        }
        let one = self.dials.lock();
        // Nothing would bring back what rules that hold no longer take down.
        if endpoint.is_removed() || self.policy.load().health_check != *rules {
            return;
        }
        self.note_check(endpoint, result);
        let passed = result.is_ok();
        self.metrics.check(if passed { "pass" } else { "fail" });
        let now = Instant::now();
        let was_last_resort = endpoint.health.is_last_resort();
        let news = endpoint.health.checked(result, rules, now);
        let released = passed && endpoint.health.release_from_before(began, now);
        let is_last_resort = endpoint.health.is_last_resort();
        if news.is_some() || released || was_last_resort != is_last_resort {
            self.refresh();
        }
        drop(one);
        self.say_checked(endpoint, news, released);
    }

    /// Whether a new endpoint waits for the end of its very first check.
    pub fn awaits_first_check(&self) -> bool {
        let set = self.set.load();
        let mut outages = set.all.iter().filter_map(|m| m.endpoint.health.outage());
        outages.any(|outage| outage.found == Found::Unchecked && outage.failures == 0)
    }

    /// Why a call finds no endpoint, where checks are what was last heard of.
    pub(super) fn kept_down(&self, now: Instant) -> Option<Failed> {
        let set = self.set.load();
        let outages = set
            .all
            .iter()
            .filter_map(|m| Some((&m.endpoint, m.endpoint.health.outage()?)));
        let (endpoint, outage) = outages
            .max_by_key(|(_, outage)| outage.last)
            .filter(|(_, outage)| outage.found != Found::ByConnect)?;
        let failed = Failed::new(Outcome::NoEndpoints, now).to(endpoint.id, &endpoint.name);
        Some(failed.because(outage.detail))
    }

    fn say_checked(&self, endpoint: &Endpoint, news: Option<Checked>, released: bool) {
        let (service, addr) = (&self.name, &endpoint.name);
        match news {
            Some(Checked::Down(detail)) => {
                tracing::warn!(%service, endpoint.addr = %addr, "endpoint is down: {detail}");
                endpoint.pool.clear();
                self.lookup.notify_one();
            }
            _ if released => {
                tracing::info!(%service, endpoint.addr = %addr, "endpoint is back, on probation: a health check passed");
            }
            Some(Checked::Back) => {
                let state = endpoint.health.state().label();
                tracing::info!(%service, endpoint.addr = %addr, "endpoint is {state}: a health check passed");
            }
            None => {}
        }
    }
}

/// What checks one endpoint.
struct Checker {
    cluster: Weak<Cluster>,
    endpoint: Weak<Endpoint>,
    rules: HealthCheck,
    slots: Arc<Semaphore>,
    due: Instant,
}

impl Checker {
    async fn run(mut self) {
        loop {
            sleep_until(self.due).await;
            let Ok(slot) = self.slots.acquire().await else {
                return;
            };
            let Some(addr) = self
                .endpoint
                .upgrade()
                .map(|endpoint| endpoint.addr.clone())
            else {
                return;
            };
            let began = Instant::now();
            let result = check(&addr, &self.rules).await;
            drop(slot);
            let (Some(cluster), Some(endpoint)) = (self.cluster.upgrade(), self.endpoint.upgrade())
            else {
                return;
            };
            cluster.checked(&endpoint, &result, &self.rules, began);
            self.due = began + self.pause();
        }
    }

    /// From the beginning of one check to that of the next.
    fn pause(&self) -> Duration {
        let jitter = self.rules.jitter.get() * (fastrand::f64() * 2.0 - 1.0);
        self.rules.interval.mul_f64(1.0 + jitter)
    }
}
