//! A breaker's metrics.

use std::sync::Arc;

use parking_lot::Mutex;

use super::family::Family;
use super::names;
use super::scope::{Counter, Gauge, Scope};

/// States that a breaker may be in.
const STATES: usize = 5;

/// What is counted per breaker: of one method of one service.
pub struct BreakerMetrics {
    service: Arc<str>,
    method: Arc<str>,
    scope: Arc<Scope>,
    states: Family<&'static str, Gauge>,
    transitions: Family<&'static str, Counter>,
    current: Mutex<Option<&'static str>>,
}

impl BreakerMetrics {
    /// Prepares the handles of a method's breaker.
    pub fn new(service: &Arc<str>, method: &Arc<str>) -> Self {
        Self {
            service: service.clone(),
            method: method.clone(),
            scope: Scope::new(),
            states: Family::new(STATES),
            transitions: Family::new(STATES),
            current: Mutex::new(None),
        }
    }

    /// It is in this state now, and in no other; `None`: it is switched off.
    pub fn state(&self, state: Option<&'static str>) {
        let mut current = self.current.lock();
        let before = std::mem::replace(&mut *current, state);
        for (state, is) in [(before, 0), (state, 1)] {
            if let Some(gauge) = state.and_then(|state| self.gauge(state)) {
                gauge.set(is);
            }
        }
    }

    /// It entered this state.
    pub fn entered(&self, to: &'static str) {
        let values = [&*self.service, &*self.method, to];
        let resolve = || self.scope.counter(&names::BREAKER_TRANSITIONS, &values);
        if let Some(counter) = self.transitions.get(to, resolve) {
            counter.inc();
        }
    }

    fn gauge(&self, state: &'static str) -> Option<&Gauge> {
        let values = [&*self.service, &*self.method, state];
        self.states
            .get(state, || self.scope.gauge(&names::BREAKER_STATE, &values))
    }
}
