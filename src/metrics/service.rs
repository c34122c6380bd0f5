//! A service's metrics.

use std::sync::Arc;

use super::Histogram;
use super::call::OUTCOMES;
use super::family::Family;
use super::names::{self, Metric};
use super::scope::{Counter, Gauge, Scope};

type Counters = Family<&'static str, Counter>;
type Gauges = Family<&'static str, Gauge>;

/// What is counted per service.
pub struct ServiceMetrics {
    service: Box<str>,
    scope: Arc<Scope>,
    /// Calls in flight now.
    pub calls_in_flight: Gauge,
    /// Resends that the retry budget has left.
    pub retry_budget_tokens: Gauge,
    /// Bytes of requests.
    pub request_bytes: Counter,
    /// Bytes of replies.
    pub reply_bytes: Counter,
    /// All tries of a call, upstream alone.
    pub upstream: Histogram,
    /// Connects that succeeded.
    pub connect_duration: Histogram,
    /// Reused connections found dead before a call was written on them.
    pub stale_before_use: Counter,
    /// Reused connections found dead by the call on them.
    pub stale_in_use: Counter,
    connects: Counters,
    connections: Gauges,
    endpoints: Gauges,
    refused: Counters,
    deadlines: Counters,
    retries: Family<(&'static str, &'static str), Counter>,
    ejections: Family<(&'static str, &'static str), Counter>,
    checks: Counters,
    findings: Gauges,
}

impl ServiceMetrics {
    /// Resolves the handles of the service of this name; `none` for calls that have no service yet.
    pub fn new(service: &str) -> Self {
        let scope = Scope::new();
        Self {
            calls_in_flight: scope.gauge(&names::CALLS_IN_FLIGHT, &[service]),
            retry_budget_tokens: scope.gauge(&names::RETRY_BUDGET_TOKENS, &[service]),
            request_bytes: scope.counter(&names::CALL_BYTES, &[service, "request"]),
            reply_bytes: scope.counter(&names::CALL_BYTES, &[service, "reply"]),
            upstream: Histogram::new(&names::UPSTREAM_DURATION, &[service]),
            connect_duration: Histogram::new(&names::CONNECT_DURATION, &[service]),
            stale_before_use: scope.counter(&names::STALE_CONNECTIONS, &[service, "before_use"]),
            stale_in_use: scope.counter(&names::STALE_CONNECTIONS, &[service, "in_use"]),
            connects: Family::new(8),
            connections: Family::new(4),
            endpoints: Family::new(8),
            refused: Family::new(12),
            deadlines: Family::new(6),
            retries: Family::new(3 * OUTCOMES),
            ejections: Family::new(9),
            checks: Family::new(2),
            findings: Family::new(64),
            service: service.into(),
            scope,
        }
    }

    /// This many calls are in flight now.
    pub fn in_flight(&self, n: usize) {
        self.calls_in_flight.set(n as u64);
    }

    /// A connect to an instance ended so: ok, refused, timeout, unreachable, reset or forbidden.
    pub fn connect(&self, result: &'static str) {
        self.count(&self.connects, &names::CONNECTS, result);
    }

    /// Connections to instances in this state: idle, busy or orphan. `None` for a fifth state.
    pub fn connections(&self, state: &'static str) -> Option<&Gauge> {
        self.gauge(&self.connections, &names::UPSTREAM_CONNECTIONS, state)
    }

    /// This many endpoints are in this state now.
    pub fn endpoints(&self, state: &'static str, n: usize) {
        if let Some(gauge) = self.gauge(&self.endpoints, &names::ENDPOINTS, state) {
            gauge.set(n as u64);
        }
    }

    /// A limit was reached, and something refused.
    pub fn refused(&self, limit: &'static str) {
        self.count(&self.refused, &names::REFUSED, limit);
    }

    /// A call's deadline is this one's: caller, method, service or default.
    pub fn deadline_source(&self, source: &'static str) {
        self.count(&self.deadlines, &names::DEADLINE_SOURCE, source);
    }

    /// A call was tried again because of `cause`, an outcome; result: ok, failed or no_budget.
    pub fn retry(&self, cause: &'static str, result: &'static str) {
        let values = [&*self.service, cause, result];
        let resolve = || self.scope.counter(&names::RETRIES, &values);
        if let Some(counter) = self.retries.get((cause, result), resolve) {
            counter.inc();
        }
    }

    /// A detector found an endpoint to be ejected; enforced: yes, cap or last.
    pub fn ejection(&self, reason: &'static str, enforced: &'static str) {
        let values = [&*self.service, reason, enforced];
        let resolve = || self.scope.counter(&names::EJECTIONS, &values);
        if let Some(counter) = self.ejections.get((reason, enforced), resolve) {
            counter.inc();
        }
    }

    /// A health check of an endpoint ended so: pass or fail.
    pub fn check(&self, result: &'static str) {
        self.count(&self.checks, &names::HEALTH_CHECKS, result);
    }

    /// This many of the service's addresses show this finding now.
    pub fn findings(&self, code: &'static str, n: usize) {
        if let Some(gauge) = self.gauge(&self.findings, &names::FINDINGS, code) {
            gauge.set(n as u64);
        }
    }

    fn count(&self, family: &Counters, metric: &Metric, value: &'static str) {
        let resolve = || self.scope.counter(metric, &[&self.service, value]);
        if let Some(counter) = family.get(value, resolve) {
            counter.inc();
        }
    }

    fn gauge<'a>(
        &self,
        family: &'a Gauges,
        metric: &Metric,
        value: &'static str,
    ) -> Option<&'a Gauge> {
        family.get(value, || self.scope.gauge(metric, &[&self.service, value]))
    }
}
