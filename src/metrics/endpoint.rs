//! An endpoint's metrics.

use std::sync::Arc;

use parking_lot::Mutex;

use super::call::ByOutcome;
use super::family::Family;
use super::names;
use super::scope::{Gauge, Scope};

/// What is counted per endpoint. Dropped with it; its series go ten minutes later.
pub struct EndpointMetrics {
    service: Box<str>,
    endpoint: Box<str>,
    scope: Arc<Scope>,
    tries: ByOutcome,
    states: Family<&'static str, Gauge>,
    current: Mutex<Option<&'static str>>,
}

impl EndpointMetrics {
    /// Prepares the handles of the instance at `endpoint`, its address.
    pub fn new(service: &str, endpoint: &str) -> Self {
        Self {
            service: service.into(),
            endpoint: endpoint.into(),
            scope: Scope::new(),
            tries: ByOutcome::default(),
            states: Family::new(8),
            current: Mutex::new(None),
        }
    }

    /// A try ended. `outcome` is its outcome's number, below [`OUTCOMES`](super::OUTCOMES), and
    /// `label` its name.
    pub fn tried(&self, outcome: usize, label: &'static str) {
        self.tries.count(outcome, || {
            self.scope
                .counter(&names::TRIES, &[&self.service, &self.endpoint, label])
        });
    }

    /// The endpoint is in this state now, and in no other.
    pub fn state(&self, state: &'static str) {
        self.enter(Some(state));
    }

    /// The endpoint was removed: it is in no state, even while calls on it still end.
    pub fn gone(&self) {
        self.enter(None);
    }

    fn enter(&self, state: Option<&'static str>) {
        let mut current = self.current.lock();
        if *current == state {
            return;
        }
        let before = std::mem::replace(&mut *current, state);
        for (state, is) in [(before, 0), (state, 1)] {
            if let Some(gauge) = state.and_then(|state| self.gauge(state)) {
                gauge.set(is);
            }
        }
    }

    fn gauge(&self, state: &'static str) -> Option<&Gauge> {
        let values = [&*self.service, &*self.endpoint, state];
        self.states
            .get(state, || self.scope.gauge(&names::ENDPOINT_STATE, &values))
    }
}
