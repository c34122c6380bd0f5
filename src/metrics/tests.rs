#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::*;

/// The value of the series, by its text up to the space; `None` if it is not there.
fn value(series: &str) -> Option<f64> {
    let text = render();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// Something of every metric, under this name.
struct Everything {
    listener: ListenerMetrics,
    service: ServiceMetrics,
    method: MethodMetrics,
    calls: CallCounters,
    endpoint: EndpointMetrics,
    breaker: BreakerMetrics,
    registry: RegistryMetrics,
    rewrites: RewriteMetrics,
}

impl Everything {
    fn new(name: &str) -> Self {
        Self {
            listener: ListenerMetrics::new(name),
            service: ServiceMetrics::new(name),
            method: MethodMetrics::new(name, "Get"),
            calls: CallCounters::new(name, name, "Get"),
            endpoint: EndpointMetrics::new(name, "10.0.0.1:1"),
            breaker: BreakerMetrics::new(&name.into(), &"Get".into()),
            registry: RegistryMetrics::new(name),
            rewrites: RewriteMetrics::new([&name.into()]),
        }
    }

    fn count(&self) {
        self.listener.connections.inc();
        self.listener.connections_total.inc();
        self.listener.relay_up.add(3);
        self.listener.added.record(Duration::from_micros(20));
        self.listener.closed("client");
        self.listener.protocol("framed");
        self.listener.redirected("service");
        self.service.in_flight(2);
        self.service.request_bytes.add(100);
        self.service.upstream.record(Duration::from_millis(3));
        self.service.connect("ok");
        self.service
            .connect_duration
            .record(Duration::from_micros(90));
        self.service.connections("idle").unwrap().inc();
        self.service.endpoints("up", 3);
        self.service.refused("calls");
        self.service.deadline_source("caller");
        self.service.retry("reset", "ok");
        self.service.ejection("consecutive", "yes");
        self.service.check("pass");
        self.service.findings("R02", 1);
        self.method.duration.record(Duration::from_millis(3));
        self.calls.count(0, "ok");
        self.endpoint.tried(0, "ok");
        self.endpoint.state("up");
        self.breaker.state(Some("closed"));
        self.breaker.entered("open");
        self.registry.up(true);
        self.registry
            .synced(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        self.registry.update("put");
        self.registry.skipped("R09");
        self.registry.watch_restarted("compacted");
        assert!(self.rewrites.addresses("nobody's").is_none());
    }
}

#[test]
fn every_metric_of_the_table_is_rendered_with_help_and_labels() {
    let everything = Everything::new("all");
    everything.count();
    let text = render();
    for metric in names::ALL {
        let help = format!("# HELP {} {}\n", metric.name, metric.help);
        assert!(text.contains(&help), "{help}");
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(
            text.contains(&format!("# TYPE {} {kind}\n", metric.name)),
            "{}",
            metric.name
        );
        let series = text.lines().find(|line| {
            let rest = line.strip_prefix(metric.name).unwrap_or_default();
            rest.starts_with(['{', ' ', '_']) && !line.starts_with('#')
        });
        let series = series.unwrap_or_else(|| panic!("{} has no series", metric.name));
        for label in metric.labels {
            assert!(
                series.contains(&format!("{label}=\"")),
                "{label} in {series}"
            );
        }
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    Everything::new("promtool").count();
    // What a label might hold at worst.
    CallCounters::new("l", "a\"b\\c\nd\u{0}{}", "方法").count(1, "exception");
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(_) if !insists() => return,
        Err(e) => panic!("promtool (Debian: prometheus): {e}"),
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(render().as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

/// `./dev test --all` says that nothing may be skipped.
fn insists() -> bool {
    std::env::var("TIDEGATE_TEST_ALL").is_ok_and(|all| !all.is_empty())
}

#[test]
fn the_documented_table_is_the_one_in_the_code() {
    let docs = include_str!("../../docs/metrics.md");
    let documented: BTreeSet<String> = docs
        .lines()
        .filter(|line| line.starts_with("| `tidegate_"))
        .map(str::to_owned)
        .collect();
    let expected: BTreeSet<String> = names::ALL.iter().map(row).collect();
    let missing: Vec<_> = expected.difference(&documented).collect();
    let extra: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
}

/// A metric as `docs/metrics.md` has it.
fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    format!(
        "| `{}` | {kind} | {} | {} |",
        metric.name,
        metric.labels.join(", "),
        metric.help
    )
}

#[test]
fn names_follow_prometheus_rules_and_stand_once() {
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        assert!(seen.insert(metric.name), "{} stands twice", metric.name);
        assert_eq!(
            metric.name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{}",
            metric.name
        );
        if let Kind::Histogram(bounds) = metric.kind {
            assert!(bounds.is_sorted() && !bounds.is_empty());
            assert!(metric.name.ends_with("_seconds"));
            assert!(!metric.labels.contains(&"endpoint"), "histograms never go");
        }
        let plain = metric.name.trim_end_matches("_total");
        match metric.unit {
            Some(unit) => assert!(plain.ends_with(unit.as_str()), "{}", metric.name),
            None => assert!(!plain.ends_with("_seconds") && !plain.ends_with("_bytes")),
        }
    }
}

#[test]
fn histograms_have_the_buckets_of_their_name() {
    Everything::new("buckets").count();
    let text = render();
    let added = "tidegate_added_duration_seconds_bucket{listener=\"buckets\",le=";
    assert!(text.contains(&format!("{added}\"0.00001\"}} 0\n")));
    assert!(text.contains(&format!("{added}\"0.000025\"}} 1\n")));
    let call = "tidegate_call_duration_seconds_bucket{service=\"buckets\",method=\"Get\",le=";
    assert!(text.contains(&format!("{call}\"0.0025\"}} 0\n")));
    assert!(text.contains(&format!("{call}\"0.005\"}} 1\n")));
    assert!(text.contains(
        "tidegate_call_duration_seconds_sum{service=\"buckets\",method=\"Get\"} 0.003\n"
    ));
}

#[test]
fn an_endpoint_is_in_one_state_and_in_none_once_gone() {
    let endpoint = EndpointMetrics::new("states", "10.0.0.1:1");
    let state = |state| {
        let labels = format!("service=\"states\",endpoint=\"10.0.0.1:1\",state=\"{state}\"");
        value(&format!("tidegate_endpoint_state{{{labels}}}"))
    };
    endpoint.state("up");
    assert_eq!((state("up"), state("down")), (Some(1.0), None));
    endpoint.state("down");
    endpoint.state("down");
    assert_eq!((state("up"), state("down")), (Some(0.0), Some(1.0)));
    endpoint.gone();
    assert_eq!((state("up"), state("down")), (Some(0.0), Some(0.0)));
}

#[test]
fn a_dropped_handle_takes_its_part_of_a_gauge_away() {
    let series = "tidegate_client_connections{listener=\"parts\"}";
    let (old, new) = (ListenerMetrics::new("parts"), ListenerMetrics::new("parts"));
    old.connections.add(3);
    new.connections.inc();
    assert_eq!(value(series), Some(4.0));
    old.connections.dec();
    drop(old);
    assert_eq!(value(series), Some(1.0));
    new.connections.set(7);
    assert_eq!(value(series), Some(7.0));
}

#[test]
fn a_refused_reload_is_visible_until_one_is_taken() {
    let process = process_wide();
    process.config_reload(false);
    assert_eq!(value("tidegate_config_last_reload_successful"), Some(0.0));
    process.config_reload(true);
    assert_eq!(value("tidegate_config_last_reload_successful"), Some(1.0));
    assert!(value("tidegate_config_reloads_total{result=\"failed\"}") >= Some(1.0));
    assert!(value("tidegate_config_last_reload_success_timestamp_seconds") > Some(1e9));
}

#[test]
fn build_info_and_the_process_are_always_there() {
    let text = render();
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!(
        "tidegate_build_info{{version=\"{version}\",commit=\""
    )));
    #[cfg(target_os = "linux")]
    for name in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(text.contains(&format!("\n{name} ")), "{name}");
    }
}

#[test]
fn a_long_label_is_cut_between_characters() {
    CallCounters::new("cut", "s", &"方".repeat(100)).count(0, "ok");
    let kept = "方".repeat(scope::LONGEST_LABEL / "方".len());
    let series = format!(
        "tidegate_calls_total{{listener=\"cut\",service=\"s\",method=\"{kept}\",outcome=\"ok\"}}"
    );
    assert_eq!(value(&series), Some(1.0));
}

#[test]
fn outcomes_beyond_the_slots_of_a_family_are_not_mixed_up() {
    let family = family::Family::new(2);
    assert_eq!(family.get("a", || 1), Some(&1));
    assert_eq!(family.get("b", || 2), Some(&2));
    assert_eq!(family.get("c", || 3), None);
    assert_eq!(family.get("a", || 4), Some(&1));
}

/// The exporter's own behaviour that [`scope`] rests on, with a lifetime short enough for a test.
#[test]
fn touched_series_outlive_the_idle_timeout_and_untouched_ones_do_not() {
    use ::metrics::{Key, Level, Metadata, Recorder};
    static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);
    let kept = Duration::from_millis(20);
    let recorder = PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::COUNTER, Some(kept))
        .build_recorder();
    let live = recorder.register_counter(&Key::from_name("live"), &METADATA);
    let gone = recorder.register_counter(&Key::from_name("gone"), &METADATA);
    live.increment(5);
    gone.increment(5);
    let handle = recorder.handle();
    let text = (0..10_000).map(|_| {
        live.increment(0);
        std::thread::yield_now();
        handle.render()
    });
    let text = text.into_iter().find(|text| !text.contains("gone 5"));
    assert!(text.is_some_and(|text| text.contains("live 5")));
}
