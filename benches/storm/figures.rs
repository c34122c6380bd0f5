//! A figure beside its goal.

use std::time::Duration;

/// How the values of several runs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The middle one.
    Median,
    /// Their mean.
    Mean,
    /// The largest: what must not happen in any run.
    Worst,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Calls, endpoints.
    Count,
    /// Seconds; an infinite value is "never".
    Seconds,
    /// Percent.
    Percent,
    /// One number by another.
    Ratio,
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// One value of each run; of each ejection or crash, where there are several in a run. Empty where there was
    /// none.
    pub values: Vec<f64>,
    /// How they become one.
    pub statistic: Statistic,
    /// The goal; `None`: for information.
    pub at_most: Option<f64>,
}

impl Figure {
    /// One for information.
    pub fn new(name: &'static str, unit: Unit, statistic: Statistic, values: Vec<f64>) -> Self {
        Self {
            name,
            unit,
            values,
            statistic,
            at_most: None,
        }
    }

    /// The middle one of such counts.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self::new(name, Unit::Count, Statistic::Median, vec![value as f64])
    }

    /// A time; `None` is never.
    pub fn time(name: &'static str, value: Option<Duration>) -> Self {
        let value = value.map_or(f64::INFINITY, |time| time.as_secs_f64());
        Self::new(name, Unit::Seconds, Statistic::Median, vec![value])
    }

    /// What must not happen.
    pub fn never(name: &'static str, value: u64) -> Self {
        Self {
            statistic: Statistic::Worst,
            ..Self::count(name, value).at_most(0.0)
        }
    }

    /// With a goal.
    pub fn at_most(self, goal: f64) -> Self {
        Self {
            at_most: Some(goal),
            ..self
        }
    }

    /// The one value; `None` where there is none.
    pub fn value(&self) -> Option<f64> {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        match self.statistic {
            Statistic::Worst => values.last().copied(),
            Statistic::Mean if values.is_empty() => None,
            Statistic::Mean => Some(values.iter().sum::<f64>() / values.len() as f64),
            Statistic::Median => {
                let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
                Some(f64::midpoint(values[low], values[high]))
            }
        }
    }

    /// Whether its goal is reached; `None` where there is no goal or no value.
    pub fn is_met(&self) -> Option<bool> {
        Some(self.value()? <= self.at_most?)
    }
}
