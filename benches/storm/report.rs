//! The table: for people, as Markdown, as JSON.

use crate::figures::{Figure, Statistic, Unit};
use crate::proxies::Kind;
use crate::rows::Row;
use crate::run::Record;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

/// One row through one proxy: what its runs gave.
pub struct Line {
    /// The row.
    pub row: &'static Row,
    /// The proxy.
    pub kind: Kind,
    /// Why there is nothing, where there is nothing.
    pub why_not: Option<String>,
    runs: u64,
    calls: Vec<f64>,
    failed: Vec<f64>,
    held_back: u64,
    unsound: u64,
    figures: Vec<Figure>,
    texts: Vec<String>,
}

impl Line {
    /// Without runs.
    pub fn new(row: &'static Row, kind: Kind, why_not: Option<String>) -> Self {
        Self {
            row,
            kind,
            why_not,
            runs: 0,
            calls: Vec::new(),
            failed: Vec::new(),
            held_back: 0,
            unsound: 0,
            figures: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a run. All runs of a line have the same figures, but for those that came too late to have one.
    pub fn add(&mut self, record: &Record) {
        self.runs += 1;
        self.calls.push(record.log.calls.len() as f64);
        self.failed.push(record.log.failed() as f64);
        self.held_back = self.held_back.max(record.log.held_back);
        self.unsound += u64::from(!record.is_sound());
        if self.texts.is_empty() {
            self.texts.clone_from(&record.log.texts);
        }
        for figure in (self.row.judge)(record) {
            match self.figures.iter_mut().find(|f| f.name == figure.name) {
                Some(known) => known.values.extend(figure.values),
                None => self.figures.push(figure),
            }
        }
    }

    fn measured(&self) -> String {
        if let Some(why_not) = &self.why_not {
            return why_not.clone();
        }
        if self.runs == 0 {
            return "no run ended".into();
        }
        let mut parts: Vec<String> = self.figures.iter().map(say).collect();
        if self.held_back > 0 {
            parts.push(format!("{} not sent (too many unanswered)", self.held_back));
        }
        if self.unsound > 0 {
            parts.push(format!("THE MACHINE WAS TOO BUSY in {}", self.unsound));
        }
        parts.join(", ")
    }

    /// Whether all goals are met; `None` where there is no figure to judge.
    pub fn is_met(&self) -> Option<bool> {
        let judged: Vec<bool> = self.figures.iter().filter_map(Figure::is_met).collect();
        (!judged.is_empty()).then(|| judged.into_iter().all(|met| met))
    }

    fn verdict(&self) -> String {
        let missed: Vec<String> = self
            .figures
            .iter()
            .filter(|f| f.is_met() == Some(false))
            .map(|f| {
                let goal = f.at_most.unwrap_or_default();
                match f.value().unwrap_or_default() {
                    value if value.is_finite() => {
                        format!("{} by {}", f.name, number(f.unit, value - goal))
                    }
                    _ => format!("{}: never", f.name),
                }
            })
            .collect();
        match self.is_met() {
            None => "–".into(),
            Some(true) => "met".into(),
            Some(false) => format!("missed: {}", missed.join(", ")),
        }
    }

    fn cells(&self) -> [String; 6] {
        let count = |values: &[f64]| match middle(values) {
            Some(value) => format!("{value:.0}"),
            None => "–".into(),
        };
        [
            self.row.fault.into(),
            self.kind.name().into(),
            count(&self.calls),
            count(&self.failed),
            self.measured(),
            self.verdict(),
        ]
    }

    fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|f| {
                // Infinity, which JSON has not, is null: never.
                json!({
                    "name": f.name, "value": f.value(), "values": f.values, "at_most": f.at_most,
                    "met": f.is_met(),
                })
            })
            .collect();
        json!({
            "row": self.row.name, "fault": self.row.fault, "through": self.kind.name(), "runs": self.runs,
            "calls": middle(&self.calls), "failed": middle(&self.failed), "not_sent": self.held_back, "too_busy": self.unsound,
            "figures": figures, "met": self.is_met(), "failures_said": self.texts, "why_not": self.why_not,
        })
    }
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn say(figure: &Figure) -> String {
    let value = match figure.value() {
        Some(value) => number(figure.unit, value),
        None => "none".into(),
    };
    let goal = match figure.at_most {
        Some(goal) if goal < f64::MAX => format!(" (≤ {})", number(figure.unit, goal)),
        _ => String::new(),
    };
    format!("{} {value}{goal}", figure.name)
}

fn number(unit: Unit, value: f64) -> String {
    if value.is_infinite() {
        return "never".into();
    }
    match unit {
        Unit::Count if value.fract() == 0.0 => format!("{value:.0}"),
        Unit::Count => format!("{value:.1}"),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Percent => format!("{value:.1} %"),
        Unit::Ratio => format!("{value:.2}"),
    }
}

const HEAD: [&str; 6] = ["fault", "through", "calls", "failed", "measured", "verdict"];

/// For people.
pub fn plain(lines: &[Line]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(140);
    table.set_header(HEAD);
    let mut last = "";
    for line in lines {
        let mut cells = line.cells();
        if last == line.row.name {
            cells[0].clear();
        }
        last = line.row.name;
        table.add_row(cells);
    }
    table.to_string()
}

/// For a README.
pub fn markdown(lines: &[Line]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = row(&HEAD.map(String::from));
    out += &row(&HEAD.map(|_| "---".into()));
    for line in lines {
        out += &row(&line.cells());
    }
    out
}

/// For programs.
pub fn to_json(lines: &[Line]) -> String {
    let all: Vec<Value> = lines.iter().map(Line::json).collect();
    format!("{:#}", Value::Array(all))
}

/// How the values of several runs became one.
pub fn legend(runs: usize) -> String {
    let how = |statistic| match statistic {
        Statistic::Median => "median",
        Statistic::Mean => "mean",
        Statistic::Worst => "worst",
    };
    format!(
        "{runs} run(s) of each; counts and times are the {}, what must not happen the {} of them; \
         a re-try is an ejection that ended in another. The proxies' configs: --configs",
        how(Statistic::Median),
        how(Statistic::Worst)
    )
}
