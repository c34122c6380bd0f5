//! A registry's metrics.

use std::sync::Arc;
use std::time::SystemTime;

use super::family::Family;
use super::names::{self, Metric};
use super::scope::{Counter, Gauge, Scope, Timestamp};

type Counters = Family<&'static str, Counter>;

/// What is counted per registry.
pub struct RegistryMetrics {
    registry: Box<str>,
    scope: Arc<Scope>,
    up: Gauge,
    synced: Timestamp,
    updates: Counters,
    skipped: Counters,
    restarts: Counters,
}

impl RegistryMetrics {
    /// Resolves the handles of the registry of this name.
    pub fn new(registry: &str) -> Self {
        let scope = Scope::new();
        Self {
            up: scope.gauge(&names::REGISTRY_UP, &[registry]),
            synced: scope.timestamp(&names::REGISTRY_LAST_SYNC, &[registry]),
            updates: Family::new(4),
            skipped: Family::new(64),
            restarts: Family::new(16),
            registry: registry.into(),
            scope,
        }
    }

    /// Whether the registry answers.
    pub fn up(&self, up: bool) {
        self.up.set(up.into());
    }

    /// What is known was the registry's at this moment.
    pub fn synced(&self, when: SystemTime) {
        self.synced.set(when);
    }

    /// The registry sent a change: put, delete or full.
    pub fn update(&self, kind: &'static str) {
        self.count(&self.updates, &names::REGISTRY_UPDATES, kind);
    }

    /// A key or value was skipped, with this finding.
    pub fn skipped(&self, code: &'static str) {
        self.count(&self.skipped, &names::REGISTRY_SKIPPED, code);
    }

    /// A watch had to start again, because of this.
    pub fn watch_restarted(&self, cause: &'static str) {
        self.count(&self.restarts, &names::REGISTRY_WATCH_RESTARTS, cause);
    }

    fn count(&self, family: &Counters, metric: &Metric, value: &'static str) {
        let resolve = || self.scope.counter(metric, &[&self.registry, value]);
        if let Some(counter) = family.get(value, resolve) {
            counter.inc();
        }
    }
}
