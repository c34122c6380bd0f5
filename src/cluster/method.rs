//! The methods of a service: 256 slots, so that whatever callers name costs bounded memory and bounded series.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;

use crate::metrics::MethodMetrics;

/// Slots per service.
const SLOTS: usize = 256;
/// The label of what has no slot.
const OTHER: &str = "other";
/// Replies until a method's usual latency says something.
const ENOUGH: u32 = 20;
/// Before that, nothing under this is overdue; after it, nothing under the second.
const UNKNOWN_OVERDUE: Duration = Duration::from_secs(1);
const LEAST_OVERDUE: Duration = Duration::from_millis(50);

/// One method of a service.
pub struct Method {
    /// Its name, or `other`.
    pub name: Arc<str>,
    /// Its series.
    pub metrics: MethodMetrics,
    /// Whether it has a slot of its own.
    pub own: bool,
    usual_nanos: AtomicU64,
    replies: AtomicU32,
}

impl Method {
    fn new(service: &str, name: &str, own: bool) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            metrics: MethodMetrics::new(service, name),
            own,
            usual_nanos: AtomicU64::new(0),
            replies: AtomicU32::new(0),
        })
    }

    /// A reply took this long.
    #[inline]
    pub fn replied(&self, took: Duration) {
        let took = took.as_nanos() as f64;
        let old = f64::from_bits(self.usual_nanos.load(Relaxed));
        let n = f64::from(self.replies.load(Relaxed).min(ENOUGH - 1) + 1);
        self.usual_nanos
            .store((old + (took - old) / n).to_bits(), Relaxed);
        if self.replies.load(Relaxed) < ENOUGH {
            self.replies.fetch_add(1, Relaxed);
        }
    }

    /// The average over about the last twenty replies, once there were so many.
    pub fn usual(&self) -> Option<Duration> {
        let known = self.replies.load(Relaxed) >= ENOUGH;
        known.then(|| Duration::from_nanos(f64::from_bits(self.usual_nanos.load(Relaxed)) as u64))
    }

    /// Whether a try that ends without a reply after this time was overdue: longer than `max(50 ms, 4 × usual)`, or
    /// than 1 s before the method's usual latency is known.
    pub fn is_overdue(&self, took: Duration) -> bool {
        took > self
            .usual()
            .map_or(UNKNOWN_OVERDUE, |usual| LEAST_OVERDUE.max(usual * 4))
    }
}

/// The slots.
pub struct Methods {
    service: Box<str>,
    slots: RwLock<HashMap<Box<str>, Arc<Method>>>,
    other: Arc<Method>,
}

impl Methods {
    /// No slot taken yet.
    pub fn new(service: &str) -> Self {
        Self {
            service: service.into(),
            slots: RwLock::default(),
            other: Method::new(service, OTHER, false),
        }
    }

    /// The method's slot, or the one that the rest share.
    pub fn find(&self, name: &[u8]) -> Arc<Method> {
        let own = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.slots.read().get(name).cloned());
        own.unwrap_or_else(|| self.other.clone())
    }

    /// Gives the method a slot, while there are any: it is in the config, or the service answered it.
    pub fn adopt(&self, name: &[u8]) {
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        let mut slots = self.slots.write();
        if slots.len() < SLOTS && !slots.contains_key(name) {
            slots.insert(name.into(), Method::new(&self.service, name, true));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn before_twenty_replies_nothing_under_a_second_is_overdue() {
        let method = Method::new("s", "m", true);
        for _ in 0..19 {
            method.replied(ms(1));
        }
        assert!(!method.is_overdue(ms(1_000)) && method.is_overdue(ms(1_001)));
        method.replied(ms(1));
        assert!(!method.is_overdue(ms(50)) && method.is_overdue(ms(51)));
    }

    #[test]
    fn a_slow_method_is_overdue_after_four_times_its_usual_latency() {
        let method = Method::new("s", "m", true);
        for _ in 0..40 {
            method.replied(ms(100));
        }
        assert!(!method.is_overdue(ms(399)) && method.is_overdue(ms(401)));
    }

    #[test]
    fn the_257th_method_shares_the_slot_of_the_rest() {
        let methods = Methods::new("s");
        for i in 0..300 {
            methods.adopt(format!("m{i}").as_bytes());
        }
        assert_eq!(&*methods.find(b"m255").name, "m255");
        assert_eq!(&*methods.find(b"m256").name, "other");
        assert_eq!(&*methods.find(b"\xff").name, "other");
    }
}
