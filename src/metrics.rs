//! Metrics: every name once, and handles that are resolved once.
//!
//! A handle struct, such as [`ServiceMetrics`], is made when the thing it describes is made and
//! lives as long: a call on its way only touches atomics. The names are in [`names`]; no other
//! module spells one. `docs/metrics.md` is the same table for people, and a test compares the two.
//!
//! Three rules hold everywhere:
//!
//! - A series stays while a handle to it lives, and is gone ten minutes after the last one went
//!   ([`KEPT`]). Histograms are the exception: they stay, so none has an `endpoint` label.
//! - [`Gauge`]s of the same labels add up: each handle takes its own part away when it is dropped.
//! - Label values from the wire are cut at 128 bytes; how many there are is their owner's to bound.
//!
//! The control thread calls [`upkeep`] every [`UPKEEP`], and whoever serves a scrape [`render`].

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

mod breaker;
mod call;
mod endpoint;
mod family;
mod histogram;
mod listener;
pub mod names;
mod process;
mod registry;
mod rewrite;
mod scope;
mod service;

pub use breaker::BreakerMetrics;
pub use call::{CallCounters, MethodMetrics, OUTCOMES};
pub use endpoint::EndpointMetrics;
pub use histogram::{Histogram, LONGEST};
pub use listener::ListenerMetrics;
pub use process::{ProcessWide, process_wide};
pub use registry::RegistryMetrics;
pub use rewrite::RewriteMetrics;
pub use scope::{Counter, Gauge, Timestamp};
pub use service::ServiceMetrics;

use names::{Kind, Metric};

/// How long a series stays once its last handle is gone: long enough for any scrape to see its end.
pub const KEPT: Duration = Duration::from_secs(600);

/// Everything that is exported, for the whole process.
struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

static EXPORTER: LazyLock<Exporter> = LazyLock::new(|| {
    let recorder = builder().build_recorder();
    names::ALL
        .iter()
        .for_each(|metric| describe(&recorder, metric));
    Exporter {
        handle: recorder.handle(),
        recorder,
    }
});

/// Where handles are resolved.
fn recorder() -> &'static PrometheusRecorder {
    &EXPORTER.recorder
}

/// A histogram without buckets of its own would be rendered as a summary, which cannot be added up
/// over instances: every one has them.
fn builder() -> PrometheusBuilder {
    let expire = MetricKindMask::COUNTER | MetricKindMask::GAUGE;
    let builder = PrometheusBuilder::new().idle_timeout(expire, Some(KEPT));
    names::ALL
        .iter()
        .fold(builder, |builder, metric| match metric.kind {
            Kind::Histogram(bounds) => builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &seconds(bounds))
                .expect("the only error is an empty list, and no list in names is empty"),
            Kind::Counter | Kind::Gauge => builder,
        })
}

fn seconds(bounds: &[u64]) -> Vec<f64> {
    bounds.iter().map(|&nanos| nanos as f64 / 1e9).collect()
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    use ::metrics::Recorder as _;
    let (name, help) = (metric.name.into(), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, metric.unit, help),
        Kind::Gauge => recorder.describe_gauge(name, metric.unit, help),
        Kind::Histogram(_) => recorder.describe_histogram(name, metric.unit, help),
    }
}

/// Upkeeps since the last render. Only a render lets old series go, so with nobody scraping, one
/// is made for nobody every [`KEPT`].
static UNRENDERED: AtomicU32 = AtomicU32::new(0);

/// How often the control thread calls [`upkeep`].
pub const UPKEEP: Duration = Duration::from_millis(250);

/// Hands what histograms have counted on to the exporter. The control thread calls it every
/// [`UPKEEP`], so that a scrape finds little to do and the queues stay short.
pub fn upkeep() {
    histogram::flush_all();
    EXPORTER.handle.run_upkeep();
    let upkeeps = UNRENDERED.fetch_add(1, Ordering::Relaxed);
    if u128::from(upkeeps) >= KEPT.as_millis() / UPKEEP.as_millis() {
        render();
    }
}

/// All metrics as Prometheus' text format 0.0.4. Takes milliseconds with thousands of series:
/// call it where blocking is allowed.
pub fn render() -> String {
    UNRENDERED.store(0, Ordering::Relaxed);
    process_wide();
    histogram::flush_all();
    scope::touch_all();
    let mut text = EXPORTER.handle.render();
    process::render_stats(&mut text);
    text
}

#[cfg(test)]
mod tests;
