//! Handles, and the scope that keeps their series alive.
//!
//! The exporter drops a series that did not change for [`KEPT`](super::KEPT), and a handle to it
//! then counts into nothing. So everything made in a [`Scope`] is touched before each render, as
//! long as the scope lives; after that nothing touches it, and the series goes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use ::metrics::{Key, Label, Level, Metadata, Recorder as _};
use parking_lot::Mutex;

use super::names::Metric;

/// The longest label value, in bytes: longer ones are cut.
pub(super) const LONGEST_LABEL: usize = 128;

static METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

/// The scopes that live.
static SCOPES: Mutex<Vec<Weak<Scope>>> = Mutex::new(Vec::new());

/// What is resolved for one thing: a listener, a service, an endpoint.
pub(super) struct Scope {
    handles: Mutex<Vec<Handle>>,
}

enum Handle {
    Counter(::metrics::Counter),
    Gauge(::metrics::Gauge),
}

impl Scope {
    pub(super) fn new() -> Arc<Self> {
        let scope = Arc::new(Self {
            handles: Mutex::new(Vec::new()),
        });
        let mut scopes = SCOPES.lock();
        if scopes.len() == scopes.capacity() {
            scopes.retain(|scope| scope.strong_count() > 0);
        }
        scopes.push(Arc::downgrade(&scope));
        drop(scopes);
        scope
    }

    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        let counter = super::recorder().register_counter(&key(metric, values), &METADATA);
        counter.increment(0);
        self.handles.lock().push(Handle::Counter(counter.clone()));
        Counter(counter)
    }

    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        Gauge {
            series: self.series(metric, values),
            part: AtomicI64::new(0),
        }
    }

    pub(super) fn timestamp(&self, metric: &Metric, values: &[&str]) -> Timestamp {
        Timestamp(self.series(metric, values))
    }

    fn series(&self, metric: &Metric, values: &[&str]) -> ::metrics::Gauge {
        let gauge = super::recorder().register_gauge(&key(metric, values), &METADATA);
        gauge.increment(0.0);
        self.handles.lock().push(Handle::Gauge(gauge.clone()));
        gauge
    }

    fn touch(&self) {
        for handle in self.handles.lock().iter() {
            match handle {
                Handle::Counter(counter) => counter.increment(0),
                Handle::Gauge(gauge) => gauge.increment(0.0),
            }
        }
    }
}

/// Keeps the series of every living scope for another while.
pub(super) fn touch_all() {
    SCOPES.lock().retain(|scope| match scope.upgrade() {
        Some(scope) => {
            scope.touch();
            true
        }
        None => false,
    });
}

pub(super) fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(
        metric.labels.len(),
        values.len(),
        "labels of {}",
        metric.name
    );
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(&name, value)| Label::new(name, label(value)))
        .collect();
    Key::from_parts(metric.name, labels)
}

/// A value as it may stand in a label: cut, and without what the exporter's text cannot carry one
/// to one (it takes a lone backslash and a doubled one for the same).
fn label(value: &str) -> String {
    let end = value.floor_char_boundary(LONGEST_LABEL);
    value[..end].replace(|c: char| c == '\\' || c.is_control(), "_")
}

/// A count that only grows; about 11 ns.
#[derive(Clone)]
pub struct Counter(::metrics::Counter);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.0.increment(1);
    }

    /// Counts `n`.
    pub fn add(&self, n: u64) {
        self.0.increment(n);
    }
}

/// A count that goes up and down. Handles of the same labels add up: each one's part is its own,
/// and goes when it is dropped.
pub struct Gauge {
    series: ::metrics::Gauge,
    part: AtomicI64,
}

impl Gauge {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// One less.
    pub fn dec(&self) {
        self.add(-1);
    }

    /// `n` more, or less.
    pub fn add(&self, n: i64) {
        self.part.fetch_add(n, Ordering::Relaxed);
        self.series.increment(n as f64);
    }

    /// This handle's part is `n` now.
    pub fn set(&self, n: u64) {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        let before = self.part.swap(n, Ordering::Relaxed);
        if n != before {
            self.series.increment((n - before) as f64);
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A point in time; the last one set holds, whoever sets it.
pub struct Timestamp(::metrics::Gauge);

impl Timestamp {
    /// It was at `when`.
    pub fn set(&self, when: SystemTime) {
        let since = when
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.0.set(since.as_secs_f64());
    }
}
