//! The third detector: Envoy's success rate (`envoy/config/cluster/v3/outlier_detection.proto`).
//!
//! Over a finished interval of 10 s, where at least five endpoints had 100 tries each: an endpoint whose success rate
//! is below the mean by more than a factor times the population's standard deviation is an outlier.

use std::time::Duration;

/// Envoy's `interval`.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Envoy's `success_rate_minimum_hosts`.
pub const MINIMUM_HOSTS: usize = 5;
/// Envoy's `success_rate_request_volume`.
pub const REQUEST_VOLUME: u32 = 100;

/// What a finished interval says.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Judgement {
    /// Endpoints with enough tries.
    pub hosts: usize,
    /// The success rate below which an endpoint is an outlier, in percent; `None`: too few had enough tries.
    pub threshold: Option<f64>,
    /// The outliers.
    pub outliers: Vec<usize>,
}

/// Judges `tallies`: tries and successes of each endpoint. `factor` is in thousandths, as Envoy's
/// `success_rate_stdev_factor`.
pub fn judge(tallies: &[(u32, u32)], factor: u32) -> Judgement {
    let rates: Vec<(usize, f64)> = tallies
        .iter()
        .enumerate()
        .filter(|(_, (tries, _))| *tries >= REQUEST_VOLUME)
        .map(|(i, (tries, ok))| (i, f64::from(*ok) * 100.0 / f64::from(*tries)))
        .collect();
    let hosts = rates.len();
    if hosts < MINIMUM_HOSTS || factor == 0 {
        return Judgement {
            hosts,
            ..Judgement::default()
        };
    }
    let threshold = threshold(rates.iter().map(|r| r.1), factor);
    let below = rates.iter().filter(|(_, rate)| *rate < threshold);
    Judgement {
        hosts,
        threshold: Some(threshold),
        outliers: below.map(|(i, _)| *i).collect(),
    }
}

/// The mean less the factor times the population's standard deviation.
fn threshold(rates: impl Iterator<Item = f64> + Clone, factor: u32) -> f64 {
    let n = rates.clone().count() as f64;
    let mean = rates.clone().sum::<f64>() / n;
    let variance = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / n;
    mean - f64::from(factor) / 1000.0 * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outliers(tallies: &[(u32, u32)], factor: u32) -> Vec<usize> {
        judge(tallies, factor).outliers
    }

    #[test]
    fn the_threshold_is_that_of_envoys_worked_example() {
        let rates = [50.0, 100.0, 100.0, 100.0, 100.0];
        assert!((threshold(rates.into_iter(), 1900) - 52.0).abs() < 1e-9);
        let tallies = [(100, 50), (100, 100), (100, 100), (100, 100), (100, 100)];
        assert_eq!(outliers(&tallies, 1900), [0]);
    }

    #[test]
    fn fewer_than_five_endpoints_with_a_hundred_tries_say_nothing() {
        let mut tallies = [(100, 0), (100, 100), (100, 100), (100, 100), (99, 99)];
        assert!(outliers(&tallies, 1900).is_empty());
        tallies[4] = (100, 100);
        assert_eq!(outliers(&tallies, 1900), [0]);
        assert!(outliers(&tallies, 0).is_empty());
    }

    #[test]
    fn a_rate_exactly_at_the_threshold_is_no_outlier() {
        assert!(outliers(&[(100, 97); 5], 1900).is_empty());
    }
}
