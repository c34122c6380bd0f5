#![allow(clippy::unwrap_used)]

use std::thread;

use ::metrics::HistogramFn;
use proptest::prelude::*;

use super::*;

const BOUNDS: &[u64] = &[1_000, 2_000, 5_000];

/// Receives what a flush hands on.
#[derive(Default)]
struct Sink(Mutex<Vec<f64>>);

impl HistogramFn for Sink {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

fn cells() -> (Cells, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    (
        Cells::new(BOUNDS, ::metrics::Histogram::from_arc(Arc::clone(&sink))),
        sink,
    )
}

/// The bucket of a value in seconds, by the exporter's rule: the first whose bound is not below it.
fn bucket_of(seconds: f64) -> usize {
    BOUNDS.partition_point(|&bound| (bound as f64 / 1e9) < seconds)
}

fn buckets(values: impl IntoIterator<Item = f64>) -> [usize; 4] {
    let mut counts = [0; 4];
    values
        .into_iter()
        .for_each(|value| counts[bucket_of(value)] += 1);
    counts
}

#[test]
fn a_value_on_a_bound_counts_below_it() {
    let (cells, sink) = cells();
    [1_000, 1_001, 5_000, 5_001]
        .iter()
        .for_each(|&nanos| cells.record(nanos));
    cells.flush();
    assert_eq!(buckets(sink.0.lock().iter().copied()), [1, 1, 1, 1]);
}

#[test]
fn a_flush_hands_on_once() {
    let (cells, sink) = cells();
    cells.record(10);
    cells.flush();
    cells.flush();
    assert_eq!(sink.0.lock().len(), 1);
}

#[test]
fn a_sum_that_came_before_its_count_stays_in_its_bucket() {
    let (cells, sink) = cells();
    cells.record(1_500);
    // A record half done: its sum is there, its count is not yet.
    cells.buckets[1].nanos.fetch_add(1_900, Ordering::Relaxed);
    cells.flush();
    cells.buckets[1].count.fetch_add(1, Ordering::Relaxed);
    cells.flush();
    let handed = sink.0.lock();
    assert_eq!(buckets(handed.iter().copied()), [0, 2, 0, 0]);
    assert!(
        (handed.iter().sum::<f64>() - 3_400e-9).abs() < 2e-9,
        "{handed:?}"
    );
}

#[test]
fn records_from_several_threads_are_all_counted() {
    let (cells, sink) = cells();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..2_000).for_each(|nanos| cells.record(nanos * 3)));
        }
        for _ in 0..50 {
            cells.flush();
        }
    });
    cells.flush();
    let handed = sink.0.lock();
    assert_eq!(handed.len(), 6_000);
    let expected = buckets((0..2_000).flat_map(|n| [f64::from(n * 3) / 1e9; 3]));
    assert_eq!(buckets(handed.iter().copied()), expected);
    // What a race moved to the next flush is made up for there, but for what no value in the
    // bucket could make up: at most one record per thread and bucket.
    let sum: f64 = (0..2_000).map(|n| 3.0 * f64::from(n * 3) / 1e9).sum();
    let slack = 12.0 * 6_000e-9;
    assert!((handed.iter().sum::<f64>() - sum).abs() < slack);
}

#[test]
fn a_histogram_that_nobody_holds_is_flushed_and_let_go() {
    let histogram = Histogram::new(&super::super::names::UPSTREAM_DURATION, &["let-go"]);
    histogram.record(Duration::from_secs(1));
    let cells = Arc::downgrade(&histogram.cells);
    drop(histogram);
    let text = super::super::render();
    assert!(text.contains("tidegate_upstream_duration_seconds_count{service=\"let-go\"} 1\n"));
    assert!(cells.upgrade().is_none());
}

#[test]
fn the_longest_duration_does_not_overflow() {
    let histogram = Histogram::new(&super::super::names::UPSTREAM_DURATION, &["longest"]);
    histogram.record(Duration::MAX);
    histogram.record(Duration::MAX);
    let text = super::super::render();
    let sum = text.lines().find_map(|line| {
        line.strip_prefix("tidegate_upstream_duration_seconds_sum{service=\"longest\"} ")
    });
    assert_eq!(sum, Some("2000000"));
}

proptest! {
    #[test]
    fn whatever_is_recorded_keeps_its_bucket_and_its_sum(
        batches in prop::collection::vec(prop::collection::vec(0_u64..10_000, 0..40), 1..6),
    ) {
        let (cells, sink) = cells();
        for batch in &batches {
            batch.iter().for_each(|&nanos| cells.record(nanos));
            cells.flush();
        }
        let all: Vec<f64> = batches.concat().iter().map(|&nanos| nanos as f64 / 1e9).collect();
        let handed = sink.0.lock();
        prop_assert_eq!(buckets(handed.iter().copied()), buckets(all.iter().copied()));
        // Averages are whole nanoseconds; what is left over is carried, less than one per record.
        let difference = (all.iter().sum::<f64>() - handed.iter().sum::<f64>()).abs();
        prop_assert!(difference < 4.0 * 41e-9, "{}", difference);
    }
}
