//! What there is once per process.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use super::names;
use super::scope::{Counter, Gauge, Scope, Timestamp};
use crate::platform::{ProcessStats, process_stats};

/// What is counted once per process: [`process_wide`] has it.
pub struct ProcessWide {
    config_successful: Gauge,
    config_timestamp: Timestamp,
    reloads_ok: Counter,
    reloads_failed: Counter,
    buffered: Gauge,
    draining: Gauge,
    left_out: Gauge,
    /// Held for its one series, which says what runs.
    _build_info: Gauge,
    /// Keeps all of them.
    _scope: Arc<Scope>,
}

/// The process's own handles.
pub fn process_wide() -> &'static ProcessWide {
    static PROCESS: LazyLock<ProcessWide> = LazyLock::new(ProcessWide::new);
    &PROCESS
}

impl ProcessWide {
    fn new() -> Self {
        let scope = Scope::new();
        let version = env!("CARGO_PKG_VERSION");
        let commit = option_env!("TIDEGATE_COMMIT").unwrap_or("unknown");
        let rustc = option_env!("TIDEGATE_RUSTC").unwrap_or("unknown");
        let build_info = scope.gauge(&names::BUILD_INFO, &[version, commit, rustc]);
        build_info.set(1);
        Self {
            config_successful: scope.gauge(&names::CONFIG_SUCCESSFUL, &[]),
            config_timestamp: scope.timestamp(&names::CONFIG_TIMESTAMP, &[]),
            reloads_ok: scope.counter(&names::CONFIG_RELOADS, &["ok"]),
            reloads_failed: scope.counter(&names::CONFIG_RELOADS, &["failed"]),
            buffered: scope.gauge(&names::BUFFERED, &[]),
            draining: scope.gauge(&names::DRAINING, &[]),
            left_out: scope.gauge(&names::SERVICES_LEFT_OUT, &[]),
            _build_info: build_info,
            _scope: scope,
        }
    }

    /// The first configuration is in force: a success that is no reload.
    pub fn config_loaded(&self) {
        self.config_successful.set(1);
        self.config_timestamp.set(SystemTime::now());
    }

    /// A reload was taken, or refused.
    pub fn config_reload(&self, ok: bool) {
        if ok {
            self.reloads_ok.inc();
            self.config_loaded();
        } else {
            self.reloads_failed.inc();
            self.config_successful.set(0);
        }
    }

    /// So many bytes of frames are held now, all connections together.
    pub fn buffered_bytes(&self, bytes: u64) {
        self.buffered.set(bytes);
    }

    /// So many services are listed and not followed.
    pub fn services_left_out(&self, services: usize) {
        self.left_out.set(services as u64);
    }

    /// Whether the process drains.
    pub fn draining(&self, draining: bool) {
        self.draining.set(draining.into());
    }
}

/// Appends `process_*`. They are read at the scrape and written here, since the exporter's
/// counters are whole numbers and the time spent is not.
pub(super) fn render_stats(text: &mut String) {
    let Some(stats) = process_stats() else { return };
    for (name, kind, help, value) in rows(&stats) {
        let _infallible = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
        );
    }
}

type Row = (&'static str, &'static str, &'static str, f64);

/// Names and meanings are those of Prometheus' own client libraries.
fn rows(stats: &ProcessStats) -> [Row; 7] {
    [
        (
            "process_cpu_seconds_total",
            "counter",
            "User and system time spent.",
            stats.cpu_seconds,
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Memory resident.",
            stats.resident_bytes as f64,
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Address space mapped.",
            stats.virtual_bytes as f64,
        ),
        (
            "process_open_fds",
            "gauge",
            "File descriptors open now.",
            stats.open_fds as f64,
        ),
        (
            "process_max_fds",
            "gauge",
            "The limit on open file descriptors.",
            stats.max_fds as f64,
        ),
        (
            "process_threads",
            "gauge",
            "Threads now.",
            stats.threads as f64,
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process began, in seconds since 1970.",
            stats.start_time_seconds,
        ),
    ]
}
