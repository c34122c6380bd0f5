//! From what a run left to figures.

use crate::figures::{Figure, Statistic, Unit};
use crate::run::{Mark, Record, Sample};
use scripted::Fault;
use scripted::load::{Done, End};
use std::time::Duration;

/// The method that fails.
pub const BAD: &str = "Bad";
/// After this a slow instance should have next to no calls.
const SETTLED: Duration = Duration::from_secs(1);
/// Upstream calls are set beside client calls over this time.
const WINDOW: Duration = Duration::from_secs(10);
/// Retries that a service may have whatever its load, per second (`retry_budget.min_per_second`).
const SPARE: f64 = 10.0;
/// Two ejections are further apart than this: what is seen within it is one, counted before it shows as a state.
const APART: Duration = Duration::from_secs(1);

impl Record {
    fn fault_at(&self) -> Duration {
        self.marks.first().map_or(Duration::ZERO, |mark| mark.at)
    }

    /// The marks at which a fault ends.
    fn recoveries(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(|mark| mark.fault == Fault::None)
    }

    /// The moments at which the proxy was seen to have taken the faulty endpoint out. Where it counts ejections, one
    /// that came and went between two looks is seen too, since a re-try that fails ends soon.
    fn outs(&self) -> Vec<Duration> {
        let (mut was_out, mut counted, mut seen) = (false, 0, Vec::<Duration>::new());
        for sample in &self.samples {
            let Some(state) = &sample.state else { continue };
            let is_out = state.out[self.faulty];
            let ejections = state.ejections.unwrap_or_default();
            let is_new = seen.last().is_none_or(|last| *last + APART < sample.at);
            if is_new && ((is_out && !was_out) || ejections > counted) {
                seen.push(sample.at);
            }
            (was_out, counted) = (is_out, ejections);
        }
        seen
    }

    /// How many endpoints were out at any time, leaving out the faulty one if `but_faulty`.
    fn ever_out(&self, but_faulty: bool) -> u64 {
        let is_out = |nth: usize| {
            let states = self.samples.iter().filter_map(|s| s.state.as_ref());
            states.filter(|state| state.out[nth]).count() > 0
        };
        let all = self.samples.first().map_or(0, |s| s.received.len());
        let counted = (0..all).filter(|nth| !(but_faulty && *nth == self.faulty) && is_out(*nth));
        counted.count() as u64
    }

    /// The first look at which a breaker of such a method was open.
    fn opened(&self, is: impl Fn(&str) -> bool) -> Option<&Sample> {
        let opened = |sample: &&Sample| {
            let state = sample.state.as_ref();
            state.is_some_and(|state| state.open.iter().any(|method| is(method)))
        };
        self.samples.iter().find(opened)
    }

    fn first_sample_after(&self, moment: Duration) -> Option<&Sample> {
        self.samples.iter().find(|sample| sample.at >= moment)
    }

    /// The last moment in this span at which a call was sent that failed within it. One that was on its way when the span
    /// ended met the next fault.
    fn last_failed(&self, from: Duration, to: Duration) -> Option<Duration> {
        let calls = self.log.calls.iter();
        let failed =
            calls.filter(|c| c.failed() && c.sent >= from && c.sent.saturating_add(c.took) < to);
        failed.map(|call| call.sent).max()
    }
}

/// No call may fail.
pub fn none_failed(record: &Record) -> Vec<Figure> {
    vec![
        Figure::never("failed", record.log.failed()),
        Figure::time("out after", record.outs().first().copied()),
        Figure::never("others out", record.ever_out(true)),
    ]
}

/// What an endpoint that never works costs: until it is out, and each time it is tried again.
fn cost(record: &Record) -> (Vec<Figure>, Vec<f64>) {
    let outs = record.outs();
    let out = outs.first().copied().unwrap_or(Duration::MAX);
    let mut costs = Vec::new();
    for (nth, from) in outs.iter().enumerate() {
        let to = outs.get(nth + 1).copied();
        let failed = record
            .log
            .failed_between(*from, to.unwrap_or(Duration::MAX));
        // The last span holds a re-try only where something failed in it.
        if to.is_some() || failed > 0 {
            costs.push(failed as f64);
        }
    }
    let until = Figure::count("until out", record.log.failed_between(Duration::ZERO, out));
    let after = outs
        .first()
        .map(|out| out.saturating_sub(record.fault_at()));
    let figures = vec![
        until,
        // Whenever: but few calls that fail because few come are no ejection.
        Figure::time("out after", after).at_most(f64::MAX),
        Figure::never("others out", record.ever_out(true)),
    ];
    (figures, costs)
}

/// It never answers.
pub fn black_hole(record: &Record) -> Vec<Figure> {
    let (mut figures, costs) = cost(record);
    figures[0].at_most = Some(10.0);
    let each = Figure::new("per re-try", Unit::Count, Statistic::Worst, costs);
    figures.push(each.at_most(1.0));
    figures
}

/// It fails half of its calls.
pub fn half(record: &Record) -> Vec<Figure> {
    let (mut figures, costs) = cost(record);
    figures[0].at_most = Some(20.0);
    let figure =
        |name, statistic| Figure::new(name, Unit::Count, statistic, costs.clone()).at_most(1.0);
    figures.push(figure("per re-try, median", Statistic::Median));
    figures.push(figure("per re-try, mean", Statistic::Mean).at_most(1.5));
    figures
}

/// All fail a little: that is no endpoint's fault.
pub fn nothing_ejected(record: &Record) -> Vec<Figure> {
    vec![Figure::never("ejected", record.ever_out(false))]
}

/// It works, but slowly.
pub fn slow(record: &Record) -> Vec<Figure> {
    let share = || {
        let first = record.first_sample_after(record.fault_at() + SETTLED)?;
        let last = record.samples.last()?;
        let all: u64 = last.received.iter().sum::<u64>() - first.received.iter().sum::<u64>();
        let to_it = last.received[record.faulty] - first.received[record.faulty];
        Some(100.0 * to_it as f64 / all as f64)
    };
    let values = share().into_iter().collect();
    let share = Figure::new(
        "its share after 1 s",
        Unit::Percent,
        Statistic::Median,
        values,
    );
    vec![
        share.at_most(1.0),
        Figure::never("ejected", record.ever_out(false)),
    ]
}

/// It crashes and returns.
pub fn crash(record: &Record) -> Vec<Figure> {
    let back = |mark: &Mark| {
        let before = mark.received[record.faulty];
        let mut later = record.samples.iter().filter(|s| s.at >= mark.at);
        let first = later.find(|s| s.received[record.faulty] > before);
        first.map_or(f64::INFINITY, |s| (s.at - mark.at).as_secs_f64())
    };
    let backs = record.recoveries().map(back).collect();
    let crashes = || record.marks.iter().filter(|mark| mark.fault == Fault::Down);
    // On its way somewhere, and maybe to the connection that was about to close: more than the instance can know.
    let in_flight = |call: &Done| {
        crashes().any(|crash| call.sent <= crash.at && call.sent + call.took >= crash.begun)
    };
    let failed = record.log.calls.iter().filter(|call| call.failed());
    let beyond = failed.filter(|call| !in_flight(call)).count();
    vec![
        Figure::never("failed beyond those in flight", beyond as u64),
        Figure::count("cut by crashes", record.cut),
        Figure::new("back after", Unit::Seconds, Statistic::Worst, backs).at_most(1.0),
    ]
}

/// One method fails everywhere.
pub fn method(record: &Record) -> Vec<Figure> {
    let calls = record.log.calls.iter();
    let others = calls.filter(|call| call.method != BAD && call.failed());
    let opened = record
        .opened(|method| method == BAD)
        .map(|s| s.at.saturating_sub(record.fault_at()));
    let another = record.opened(|method| method != BAD).is_some();
    vec![
        Figure::never("failed of other methods", others.count() as u64),
        Figure::never("ejected", record.ever_out(false)),
        // Whenever: but it has to.
        Figure::time("breaker open after", opened).at_most(f64::MAX),
        Figure::never("other breakers open", u64::from(another)),
    ]
}

/// All fail, then recover.
pub fn all_fail(record: &Record) -> Vec<Figure> {
    let opened = record.opened(|_| true);
    let after = opened.map(|s| s.at.saturating_sub(record.fault_at()));
    let mut figures = vec![Figure::time("breaker open after", after).at_most(1.0)];
    let Some(recovery) = record.recoveries().next() else {
        return figures;
    };
    // Without a breaker: from the moment at which it should have been open.
    let open = opened.or_else(|| record.first_sample_after(record.fault_at() + SETTLED));
    if let (Some(open), Some(end)) = (open, record.first_sample_after(recovery.at)) {
        let reached = recovery.received.iter().sum::<u64>() - open.received.iter().sum::<u64>();
        let share = 100.0 * reached as f64 / (end.sent - open.sent) as f64;
        let name = "of the load reaches them while open";
        figures.push(Figure::new(name, Unit::Percent, Statistic::Median, vec![share]).at_most(5.0));
    }
    let last = record.last_failed(recovery.at, Duration::MAX);
    let full = last.map_or(Duration::ZERO, |last| last - recovery.at);
    figures.push(Figure::time("full load after", Some(full)).at_most(2.0));
    let ratio = Figure::new(
        "upstream per call, any 10 s",
        Unit::Ratio,
        Statistic::Worst,
        vec![upstream(record)],
    );
    figures.push(ratio.at_most(1.2));
    figures
}

/// Upstream calls per client call in the worst ten seconds, those aside that any service may have.
fn upstream(record: &Record) -> f64 {
    let mut worst = 0.0_f64;
    let mut from = 0;
    for to in &record.samples {
        while record.samples[from].at + WINDOW < to.at {
            from += 1;
        }
        let from = &record.samples[from];
        let span = (to.at - from.at).as_secs_f64();
        if span < 0.95 * WINDOW.as_secs_f64() {
            continue;
        }
        let received = to.received.iter().sum::<u64>() - from.received.iter().sum::<u64>();
        let sent = (to.sent - from.sent) as f64;
        worst = worst.max((received as f64 - SPARE * span).max(0.0) / sent);
    }
    worst
}

/// A lone instance hangs, and recovers.
pub fn lone(record: &Record) -> Vec<Figure> {
    let mut fulls = Vec::new();
    for recovery in record.recoveries() {
        let next = record.marks.iter().find(|mark| mark.at > recovery.at);
        let last = record.last_failed(recovery.at, next.map_or(Duration::MAX, |mark| mark.at));
        fulls.push(last.map_or(0.0, |last| (last - recovery.at).as_secs_f64()));
    }
    let hung_up = record.log.calls.iter().filter(|c| c.end == End::HungUp);
    vec![
        Figure::new("full load after", Unit::Seconds, Statistic::Worst, fulls).at_most(2.0),
        Figure::count("hung up", hung_up.count() as u64),
    ]
}
