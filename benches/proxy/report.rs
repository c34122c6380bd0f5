//! From runs to a table: ratios within a round, trimmed means over the rounds.

use crate::load::Run;
use crate::proxies::Kind;
use comfy_table::{Cell, CellAlignment, Table, presets};

/// One case's runs, by round and by what the calls went through. A run that failed or was disturbed is missing.
pub struct Case {
    /// Its name.
    pub name: String,
    rounds: Vec<Vec<(Kind, Run)>>,
}

/// A ratio and its standard error, as a share of it, where more than one round gave it.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// The trimmed mean.
    pub mean: f64,
    error: Option<f64>,
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.error {
            Some(error) => write!(f, "{:.2} ±{:.0}%", self.mean, error * 100.0),
            None => write!(f, "{:.2} (one)", self.mean),
        }
    }
}

impl Case {
    /// Without runs.
    pub fn new(name: String) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }

    /// Adds what one round gave.
    pub fn add(&mut self, round: Vec<(Kind, Run)>) {
        self.rounds.push(round);
    }

    /// How many runs of `kind` were kept.
    fn kept(&self, kind: Kind) -> usize {
        self.pairs(kind, kind, |run, _| run.cpu).len()
    }

    /// The median over all rounds.
    fn median(&self, kind: Kind, of: impl Fn(&Run) -> f64) -> Option<f64> {
        let mut all = self.pairs(kind, kind, |run, _| of(run));
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// `of` for each round in which both have a run.
    fn pairs(&self, one: Kind, other: Kind, of: impl Fn(&Run, &Run) -> f64) -> Vec<f64> {
        let find = |round: &'_ [(Kind, Run)], kind| {
            round
                .iter()
                .find(|(k, _)| *k == kind)
                .map(|(_, run)| run.clone())
        };
        self.rounds
            .iter()
            .filter_map(|round| Some(of(&find(round, one)?, &find(round, other)?)))
            .collect()
    }

    /// CPU per call of one divided by the other's.
    pub fn cpu_ratio(&self, one: Kind, other: Kind) -> Option<Ratio> {
        let mut logs = self.pairs(one, other, |a, b| (a.cpu / b.cpu).ln());
        logs.retain(|log| log.is_finite());
        let (mean, error) = trimmed(logs)?;
        Some(Ratio {
            mean: mean.exp(),
            error,
        })
    }

    /// How much later than a direct call's the median answer comes, in µs.
    pub fn added(&self, kind: Kind) -> Option<f64> {
        let (mean, _) = trimmed(self.pairs(kind, Kind::Direct, |a, b| a.p50 - b.p50))?;
        Some(mean)
    }

    /// All of it.
    pub fn table(&self, kinds: &[Kind]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "",
            "µs CPU/call",
            "÷ haproxy",
            "÷ envoy",
            "calls/s",
            "p50 µs",
            "added µs",
            "runs",
        ]);
        for &kind in kinds.iter().filter(|kind| self.kept(**kind) > 0) {
            let proxied = kind != Kind::Direct;
            let cpu = self.median(kind, |run| run.cpu).filter(|_| proxied);
            let ratio = |other| {
                self.cpu_ratio(kind, other)
                    .filter(|_| proxied && other != kind)
            };
            table.add_row([
                kind.name().to_owned(),
                number(cpu, 2),
                or_dash(ratio(Kind::Haproxy)),
                or_dash(ratio(Kind::Envoy)),
                number(self.median(kind, |run| run.rate), 0),
                number(self.median(kind, |run| run.p50), 1),
                number(self.added(kind).filter(|_| proxied), 1),
                self.kept(kind).to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if table.is_empty() {
            table.add_row(["no undisturbed run"]);
        }
        table
    }
}

/// One goal: what it is about, what was reached, what is allowed.
pub struct Goal {
    what: String,
    reached: Option<f64>,
    allowed: f64,
}

impl Goal {
    /// `reached` is `None` where it was not measured.
    pub fn new(what: impl Into<String>, reached: Option<f64>, allowed: f64) -> Self {
        Self {
            what: what.into(),
            reached,
            allowed,
        }
    }
}

/// The goals that this run can judge.
pub fn judge(goals: &[Goal]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for goal in goals {
        let Some(reached) = goal.reached else {
            continue;
        };
        let verdict = if reached <= goal.allowed {
            "met"
        } else {
            "MISSED"
        };
        let allowed = format!("≤ {}", goal.allowed);
        let reached = Cell::new(format!("{reached:.2}")).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(&goal.what),
            reached,
            Cell::new(allowed),
            Cell::new(verdict),
        ]);
    }
    table
}

/// The mean without the lowest and the highest fifth, and its standard error.
fn trimmed(mut values: Vec<f64>) -> Option<(f64, Option<f64>)> {
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 5;
    let kept = &values[cut..values.len() - cut];
    if kept.is_empty() {
        return None;
    }
    let n = kept.len() as f64;
    let mean = kept.iter().sum::<f64>() / n;
    let spread = kept.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    Some((
        mean,
        (kept.len() > 1).then(|| (spread / (n - 1.0) / n).sqrt()),
    ))
}

fn number(value: Option<f64>, digits: usize) -> String {
    or_dash(value.map(|value| format!("{value:.digits$}")))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".into(), |value| value.to_string())
}
