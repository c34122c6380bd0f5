//! A listener's metrics.

use std::sync::Arc;

use super::Histogram;
use super::family::Family;
use super::names;
use super::scope::{Counter, Gauge, Scope};

/// What is counted per listener.
pub struct ListenerMetrics {
    listener: Box<str>,
    scope: Arc<Scope>,
    /// Client connections open now.
    pub connections: Gauge,
    /// Client connections accepted.
    pub connections_total: Counter,
    /// Bytes relayed from callers to instances.
    pub relay_up: Counter,
    /// Bytes relayed from instances to callers.
    pub relay_down: Counter,
    /// What tidegate itself added to a call.
    pub added: Histogram,
    closed: Family<&'static str, Counter>,
    protocols: Family<&'static str, Counter>,
    redirects: Family<&'static str, Counter>,
}

impl ListenerMetrics {
    /// Resolves the handles of the listener of this name.
    pub fn new(listener: &str) -> Self {
        let scope = Scope::new();
        Self {
            connections: scope.gauge(&names::CLIENT_CONNECTIONS, &[listener]),
            connections_total: scope.counter(&names::CLIENT_CONNECTIONS_TOTAL, &[listener]),
            relay_up: scope.counter(&names::RELAY_BYTES, &[listener, "up"]),
            relay_down: scope.counter(&names::RELAY_BYTES, &[listener, "down"]),
            added: Histogram::new(&names::ADDED_DURATION, &[listener]),
            closed: Family::new(24),
            protocols: Family::new(24),
            redirects: Family::new(8),
            listener: listener.into(),
            scope,
        }
    }

    /// A client connection ended, for this reason.
    pub fn closed(&self, reason: &'static str) {
        let resolve = || {
            self.scope
                .counter(&names::CLIENT_CLOSED, &[&self.listener, reason])
        };
        if let Some(counter) = self.closed.get(reason, resolve) {
            counter.inc();
        }
    }

    /// A client connection turned out to speak this.
    pub fn protocol(&self, name: &'static str) {
        let resolve = || {
            self.scope
                .counter(&names::PROTOCOL, &[&self.listener, name])
        };
        if let Some(counter) = self.protocols.get(name, resolve) {
            counter.inc();
        }
    }

    /// A redirected connection was going there.
    pub fn redirected(&self, to: &'static str) {
        let resolve = || self.scope.counter(&names::REDIRECTS, &[&self.listener, to]);
        if let Some(counter) = self.redirects.get(to, resolve) {
            counter.inc();
        }
    }
}
