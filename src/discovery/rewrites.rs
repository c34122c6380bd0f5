//! The `[[rewrite]]` rules in force, and how many registered addresses each of them takes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::config;
use crate::metrics::{Gauge, RewriteMetrics};
use crate::registry::{Members, Rewrites};

/// The rules in force. A reload swaps them.
pub(super) struct Rules(ArcSwap<InForce>);

struct InForce {
    rewrites: Rewrites,
    metrics: RewriteMetrics,
}

impl Rules {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(InForce::new(&[]))))
    }

    /// Other rules. Each service takes them in with its next policy.
    pub(super) fn set(&self, rules: &[config::Rewrite]) {
        self.0.store(Arc::new(InForce::new(rules)));
    }

    /// Those that a service's addresses are held against.
    pub(super) fn of(&self, service: &str) -> Arc<Rewrites> {
        Arc::new(self.0.load().rewrites.of(service))
    }
}

impl InForce {
    fn new(rules: &[config::Rewrite]) -> Self {
        let rewrites = Rewrites::new(rules);
        Self {
            metrics: RewriteMetrics::new(rewrites.labels()),
            rewrites,
        }
    }
}

/// What one service adds to the rules' metrics; taken away when it is dropped.
pub(super) struct Hits {
    rules: Arc<Rules>,
    held: Mutex<Vec<Hit>>,
}

struct Hit {
    addresses: Arc<Gauge>,
    n: i64,
}

impl Drop for Hit {
    fn drop(&mut self) {
        self.addresses.add(-self.n);
    }
}

impl Hits {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            held: Mutex::default(),
        }
    }

    /// The service has these addresses now.
    pub(super) fn count(&self, members: &Members) {
        let rules = self.rules.0.load();
        let hits = rewritten(members).into_iter().filter_map(|(label, n)| {
            let addresses = rules.metrics.addresses(&label)?.clone();
            addresses.add(n);
            Some(Hit { addresses, n })
        });
        // The new ones are added before the old ones go.
        let before = std::mem::replace(&mut *self.held.lock(), hits.collect());
        drop(before);
    }
}

/// How many registrations each rule takes, by the rule's label.
pub(super) fn rewritten(members: &Members) -> Vec<(Arc<str>, i64)> {
    let mut counts: Vec<(Arc<str>, i64)> = Vec::new();
    let mut last = None;
    for shown in &members.shown {
        let Some(rewritten) = &shown.rewritten else {
            continue;
        };
        // A host name with several addresses is one registration.
        let this = (Arc::as_ptr(&shown.instance), Arc::as_ptr(&rewritten.label));
        if last.replace(this) == Some(this) {
            continue;
        }
        match counts
            .iter_mut()
            .find(|(label, _)| *label == rewritten.label)
        {
            Some((_, n)) => *n += 1,
            None => counts.push((rewritten.label.clone(), 1)),
        }
    }
    counts
}
