//! The methods of a service: 256 slots, so that whatever callers name costs bounded memory and bounded series.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::breaker::{Breaker, Forced, Refusal};
use crate::config::{BreakerPolicy, RateLimit};
use crate::metrics::MethodMetrics;
use crate::rate::{Rate, RateSlot};

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
    /// Its circuit breaker, where it has a slot of its own.
    pub breaker: Option<Breaker>,
    rate: RateSlot,
    usual_nanos: AtomicU64,
    replies: AtomicU32,
}

impl Method {
    /// A slot of the method's own, with a breaker, or the one that the rest share, without.
    fn new(service: &Arc<str>, name: &str, breaker: Option<&BreakerPolicy>) -> Arc<Self> {
        let own = breaker.is_some();
        let metrics = MethodMetrics::new(service, name);
        let name: Arc<str> = name.into();
        Arc::new(Self {
            breaker: breaker.map(|policy| Breaker::new(service, &name, policy)),
            name,
            metrics,
            own,
            rate: RateSlot::default(),
            usual_nanos: AtomicU64::new(0),
            replies: AtomicU32::new(0),
        })
    }

    /// The bucket of the method's own limit. What has no slot has none: those methods have nothing in common.
    pub fn rate(&self, limit: RateLimit) -> Option<Arc<Rate>> {
        if self.own { self.rate.of(limit) } else { None }
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
    service: Arc<str>,
    slots: RwLock<Slots>,
    other: Arc<Method>,
}

struct Slots {
    methods: HashMap<Box<str>, Arc<Method>>,
    /// What new slots get.
    breaker: BreakerPolicy,
    /// What a person wants of all methods, those to come too, and until when.
    forced: Option<(Forced, Instant)>,
}

impl Methods {
    /// No slot taken yet.
    pub fn new(service: &Arc<str>, breaker: &BreakerPolicy) -> Self {
        Self {
            service: service.clone(),
            slots: RwLock::new(Slots {
                methods: HashMap::new(),
                breaker: breaker.clone(),
                forced: None,
            }),
            other: Method::new(service, OTHER, None),
        }
    }

    /// The method's slot, or the one that the rest share.
    pub fn find(&self, name: &[u8]) -> Arc<Method> {
        self.own(name).unwrap_or_else(|| self.other.clone())
    }

    /// The method's own slot.
    pub fn own(&self, name: &[u8]) -> Option<Arc<Method>> {
        let name = std::str::from_utf8(name).ok()?;
        self.slots.read().methods.get(name).cloned()
    }

    /// Every method that has a slot of its own, by name.
    pub fn all(&self) -> Vec<Arc<Method>> {
        let mut all: Vec<_> = self.slots.read().methods.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Gives the method a slot, while there are any: it is in the config, or the service answered it.
    pub fn adopt(&self, name: &[u8]) {
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        let mut slots = self.slots.write();
        if slots.methods.len() < SLOTS && !slots.methods.contains_key(name) {
            let method = Method::new(&self.service, name, Some(&slots.breaker));
            let now = Instant::now();
            if let (Some((to, until)), Some(breaker)) = (slots.forced(now), &method.breaker) {
                breaker.force(to, until, now);
            }
            slots.methods.insert(name.into(), method);
        }
    }

    /// Another policy, after a reload: breakers whose policy is the same keep their state.
    pub fn set_policy(&self, breaker: &BreakerPolicy, now: Instant) {
        self.slots.write().breaker = breaker.clone();
        self.breakers(|it| it.set_policy(breaker, now));
    }

    /// Opens or closes the breakers of all methods until then, and of those that get one before; calls of methods that
    /// have none are refused or let through alike.
    pub fn force(&self, to: Forced, until: Instant, now: Instant) {
        self.slots.write().forced = Some((to, until));
        self.breakers(|it| it.force(to, until, now));
    }

    /// All breakers are closed afresh, and forced no longer.
    pub fn reset(&self, now: Instant) {
        self.slots.write().forced = None;
        self.breakers(|it| it.reset(now));
    }

    /// What a person wants of all methods, and until when.
    pub fn forced(&self, now: Instant) -> Option<(Forced, Instant)> {
        self.slots.read().forced(now)
    }

    /// Why a call of a method that has no breaker is refused: a person forced all methods open.
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        let forced = self.forced(now).filter(|(to, _)| *to == Forced::Open);
        forced.map(|(_, until)| Refusal::Forced {
            left: until.saturating_duration_since(now),
        })
    }

    /// What time alone changes.
    pub fn upkeep(&self, now: Instant) {
        self.breakers(|it| it.upkeep(now));
    }

    fn breakers(&self, act: impl Fn(&Breaker)) {
        self.all()
            .iter()
            .filter_map(|method| method.breaker.as_ref())
            .for_each(act);
    }
}

impl Slots {
    fn forced(&self, now: Instant) -> Option<(Forced, Instant)> {
        self.forced.filter(|(_, until)| *until > now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::breaker::State;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn before_twenty_replies_nothing_under_a_second_is_overdue() {
        let method = Method::new(&"s".into(), "m", None);
        for _ in 0..19 {
            method.replied(ms(1));
        }
        assert!(!method.is_overdue(ms(1_000)) && method.is_overdue(ms(1_001)));
        method.replied(ms(1));
        assert!(!method.is_overdue(ms(50)) && method.is_overdue(ms(51)));
    }

    #[test]
    fn a_slow_method_is_overdue_after_four_times_its_usual_latency() {
        let method = Method::new(&"s".into(), "m", None);
        for _ in 0..40 {
            method.replied(ms(100));
        }
        assert!(!method.is_overdue(ms(399)) && method.is_overdue(ms(401)));
    }

    #[test]
    fn a_method_with_a_slot_has_a_breaker_and_the_rest_have_none() {
        let methods = Methods::new(&"s".into(), &BreakerPolicy::default());
        assert!(methods.find(b"m").breaker.is_none());
        methods.adopt(b"m");
        assert!(methods.find(b"m").breaker.is_some());
    }

    #[test]
    fn a_changed_policy_holds_for_slots_that_are_taken_later_too() {
        let methods = Methods::new(&"s".into(), &BreakerPolicy::default());
        methods.adopt(b"before");
        let (now, mut policy) = (Instant::now(), BreakerPolicy::default());
        policy.window = ms(777);
        methods.set_policy(&policy, now);
        methods.adopt(b"after");
        for method in methods.all() {
            let window = method.breaker.as_ref().unwrap().snapshot(now).policy.window;
            assert_eq!(window, ms(777), "{}", method.name);
        }
    }

    #[test]
    fn what_is_forced_for_all_holds_for_methods_to_come_and_for_those_without_a_breaker() {
        let methods = Methods::new(&"s".into(), &BreakerPolicy::default());
        let (now, later) = (Instant::now(), Duration::from_secs(600));
        let state = |name: &[u8]| {
            let method = methods.own(name).unwrap();
            method.breaker.as_ref().unwrap().snapshot(now).state
        };
        assert_eq!(methods.refusal(now), None);
        methods.adopt(b"before");
        methods.force(Forced::Open, now + later, now);
        methods.adopt(b"after");
        assert_eq!(state(b"before"), Some(State::ForcedOpen));
        assert_eq!(state(b"after"), Some(State::ForcedOpen));
        let left = methods.refusal(now);
        assert_eq!(left, Some(Refusal::Forced { left: later }));
        assert_eq!(methods.refusal(now + later), None, "its time is over");
        methods.force(Forced::Closed, now + later, now);
        assert_eq!(methods.refusal(now), None);
        methods.reset(now);
        methods.adopt(b"at last");
        assert_eq!(
            (state(b"before"), state(b"at last")),
            (Some(State::Closed), Some(State::Closed))
        );
    }

    #[test]
    fn the_257th_method_shares_the_slot_of_the_rest() {
        let methods = Methods::new(&"s".into(), &BreakerPolicy::default());
        for i in 0..300 {
            methods.adopt(format!("m{i}").as_bytes());
        }
        assert_eq!(&*methods.find(b"m255").name, "m255");
        assert_eq!(&*methods.find(b"m256").name, "other");
        assert_eq!(&*methods.find(b"\xff").name, "other");
    }
}
