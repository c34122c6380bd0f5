//! What `[[rewrite]]` rules do.

use std::sync::Arc;

use super::names;
use super::scope::{Gauge, Scope};

/// What is counted per rule, over all services: a rule that does nothing shows as 0.
pub struct RewriteMetrics {
    rules: Vec<(Arc<str>, Arc<Gauge>)>,
    _scope: Arc<Scope>,
}

impl RewriteMetrics {
    /// Resolves the handles of rules with these labels.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        let scope = Scope::new();
        let gauge = |label: &Arc<str>| {
            let gauge = scope.gauge(&names::REWRITE_ADDRESSES, &[label]);
            (label.clone(), Arc::new(gauge))
        };
        Self {
            rules: labels.into_iter().map(gauge).collect(),
            _scope: scope,
        }
    }

    /// How many addresses the rule with this label takes; whoever adds to it takes that away again.
    pub fn addresses(&self, label: &str) -> Option<&Arc<Gauge>> {
        let found = self.rules.iter().find(|(of, _)| **of == *label);
        found.map(|(_, gauge)| gauge)
    }
}
