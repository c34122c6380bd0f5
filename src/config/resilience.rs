//! The parts of a policy that keep one bad instance, method or minute from becoming everyone's: each is a table of
//! its own, `[defaults.NAME]` and `[service.NAME]`.
//!
//! Built-in values stand in one place, the `Default` of each type:
//!
//! | table | key | built in | |
//! |---|---|---|---|
//! | `breaker` | `enabled` | true | |
//! | | `preset` | `tidegate` | or `kitex`: what the other keys are where they are not written |
//! | | `window` | 2 s | what is counted over, in 20 buckets (`kitex`: 10 s, in 100) |
//! | | `min_samples` | 20 | calls in the window, at least (`kitex`: 200) |
//! | | `error_rate` | 0.5 | of them failed or timed out |
//! | | `consecutive` | 10 | failed calls in a row; 0: no such rule (`kitex`: 0) |
//! | | `cooling` | 1 s | refused before the first probe, ±10 % (`kitex`: 5 s, exactly) |
//! | | `counts` | exception, timeout | classes of outcomes that are failures |
//! | `ejection` | `enabled` | true | |
//! | | `consecutive` | 5 | timeouts, resets or closes in a row; 0: no such rule |
//! | | `failure_rate` | 0.4 | of an average over about 20 tries; 0: no such rule |
//! | | `success_rate_stdev_factor` | 1900 | thousandths, as Envoy's; 0: no such rule |
//! | | `max_ejection_percent` | 50 | of all endpoints of the service |
//! | | `min_available` | 1 | of those that are not down are always left |
//! | | `base_ejection_time` | 5 s | doubles with each ejection |
//! | | `max_ejection_time` | 60 s | |
//! | | `slow_start` | 10 s | an endpoint's share grows over this, once it is back |
//! | `retry_budget` | `percent` | 20 | of the calls of the last ten seconds |
//! | | `min_per_second` | 10 | on top |
//! | `health_check` | `kind` | `off` | `connect` or `call`; `connect` where only the table is written |
//! | | `method` | | of `call`: what is called |
//! | | `interval` | 5 s | between two checks of an endpoint |
//! | | `jitter` | 0.1 | of the interval, up and down |
//! | | `timeout` | 1 s | of one check |
//! | | `unhealthy_threshold` | 3 | failures in a row until an endpoint is down |
//! | | `healthy_threshold` | 1 | passes in a row until it is back |
//! | | `required` | false | no call before the first pass |

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::units;

/// A part of a whole, kept in millionths. 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// A share of this many millionths, at most a million.
    pub const fn millionths(n: u32) -> Self {
        Self(if n > 1_000_000 { 1_000_000 } else { n })
    }

    /// As a number from 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// In percent, for people.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 1e4
    }

    /// Nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether `part` of `whole` is at least this share.
    pub const fn is_reached(self, part: u64, whole: u64) -> bool {
        part * 1_000_000 >= whole * self.0 as u64
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

/// `breaker`: the circuit breaker of each method of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerPolicy {
    /// Whether there is one.
    pub enabled: bool,
    /// Whose rules.
    pub preset: Preset,
    /// What is counted over. 100 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub window: Duration,
    /// Calls in the window before their rate says anything. 1 to 1,000,000.
    pub min_samples: u32,
    /// The share of failed calls that opens it. Above 0, to 1.
    pub error_rate: Share,
    /// Failed calls in a row that open it. 0 to 1,000,000; 0 is no such rule.
    pub consecutive: u32,
    /// How long it refuses before the first probe. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub cooling: Duration,
    /// What is a failure.
    pub counts: Counted,
}

/// Whose rules a breaker keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Ours: quick to open, quick to close.
    #[default]
    Tidegate,
    /// Those of Kitex's `CBSuite` at the service level.
    Kitex,
}

impl Preset {
    /// Buckets of the window (`cloud/circuitbreaker`: 100).
    pub const fn buckets(self) -> usize {
        match self {
            Self::Tidegate => 20,
            Self::Kitex => 100,
        }
    }

    /// How much a cooling time varies, up and down.
    pub const fn jitter(self) -> f64 {
        match self {
            Self::Tidegate => 0.1,
            Self::Kitex => 0.0,
        }
    }

    /// Whether a call whose own time ran out counts only if the endpoint was overdue. Kitex counts every timeout.
    pub const fn only_overdue(self) -> bool {
        matches!(self, Self::Tidegate)
    }

    /// The values of the keys that are not written.
    pub const fn policy(self) -> BreakerPolicy {
        let (window, min_samples, consecutive, cooling) = match self {
            Self::Tidegate => (2, 20, 10, 1),
            Self::Kitex => (10, 200, 0, 5),
        };
        BreakerPolicy {
            enabled: true,
            preset: self,
            window: Duration::from_secs(window),
            min_samples,
            error_rate: Share::millionths(500_000),
            consecutive,
            cooling: Duration::from_secs(cooling),
            counts: Counted {
                declared_exception: false,
                biz_status: false,
                exception: true,
                timeout: true,
            },
        }
    }
}

impl BreakerPolicy {
    /// Calls per second of one method from which on its window holds [`min_samples`](Self::min_samples), so that their
    /// rate can open it. Above 0.
    pub fn least_rate(&self) -> f64 {
        f64::from(self.min_samples) / self.window.as_secs_f64()
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Preset::default().policy()
    }
}

/// Classes of outcomes that a breaker counts as failures. What breaks a connection always is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// A reply with an exception that the method declares.
    pub declared_exception: bool,
    /// A reply with a business status other than 0 (Kitex).
    pub biz_status: bool,
    /// An exception of the framework: the handler failed or panicked, the method is unknown.
    pub exception: bool,
    /// No answer in time.
    pub timeout: bool,
}

impl Counted {
    /// The names of the classes that count, as the config writes them.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.declared_exception, "declared_exception"),
            (self.biz_status, "biz_status"),
            (self.exception, "exception"),
            (self.timeout, "timeout"),
        ]
        .into_iter()
        .filter_map(|(counts, name)| counts.then_some(name))
        .collect()
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

/// `ejection`: how an endpoint that fails is taken out of the pick, and comes back. Names and meanings are Envoy's
/// (`OutlierDetection`) where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EjectionPolicy {
    /// Whether endpoints are ejected, or put on probation, at all. Those that cannot be connected to are down either way.
    pub enabled: bool,
    /// Timeouts, resets or closes in a row; eight for five where some were exceptions. 0 to 1,000; 0 is no such rule.
    pub consecutive: u32,
    /// The average of failures over about the last twenty tries. 0 to 1; 0 is no such rule.
    pub failure_rate: Share,
    /// Envoy's `success_rate_stdev_factor`, in thousandths. 0 to 100,000; 0 is no such rule.
    pub success_rate_stdev_factor: u32,
    /// Of all endpoints of the service, the most that are ejected at once. 0 to 100.
    pub max_ejection_percent: u32,
    /// Of the endpoints that are not down, how many are always left. 0 to 10,000.
    pub min_available: usize,
    /// The first ejection's time; it doubles with each further one. 1 ms to 24 h.
    #[serde(serialize_with = "units::duration")]
    pub base_ejection_time: Duration,
    /// What it doubles to. `base_ejection_time` to 24 h.
    #[serde(serialize_with = "units::duration")]
    pub max_ejection_time: Duration,
    /// How long the share of an endpoint grows that is back from an ejection. 0 to 1 h; 0: at once.
    #[serde(serialize_with = "units::duration")]
    pub slow_start: Duration,
}

impl Default for EjectionPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            consecutive: 5,
            failure_rate: Share::millionths(400_000),
            success_rate_stdev_factor: 1900,
            max_ejection_percent: 50,
            min_available: 1,
            base_ejection_time: Duration::from_secs(5),
            max_ejection_time: Duration::from_secs(60),
            slow_start: Duration::from_secs(10),
        }
    }
}

/// `retry_budget`: how many of a service's calls may be sent again (Finagle's `RetryBudget`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RetryBudget {
    /// Of the calls of the last ten seconds. 0 to 1,000.
    pub percent: u32,
    /// On top, so that a service with few calls has some. 0 to 100,000.
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            min_per_second: 10,
        }
    }
}

/// `health_check`: endpoints are asked how they are, calls or no calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What a check does.
    pub kind: CheckKind,
    /// The method that is called where `kind` is `call`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Between the beginnings of two checks of an endpoint. 10 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub interval: Duration,
    /// The share of the interval by which it varies. 0 to 1.
    pub jitter: Share,
    /// The longest a check may take. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub timeout: Duration,
    /// Failures in a row until an endpoint is down. 1 to 1,000.
    pub unhealthy_threshold: u32,
    /// Passes in a row until it is back. 1 to 1,000.
    pub healthy_threshold: u32,
    /// An endpoint gets no call before its first pass. False where `kind` is off.
    pub required: bool,
}

/// What a health check does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Nothing.
    #[default]
    Off,
    /// Connects, and closes.
    Connect,
    /// Calls a method without arguments. Any reply is a pass, an exception too: the instance speaks.
    Call,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            kind: CheckKind::Off,
            method: String::new(),
            interval: Duration::from_secs(5),
            jitter: Share::millionths(100_000),
            timeout: Duration::from_secs(1),
            unhealthy_threshold: 3,
            healthy_threshold: 1,
            required: false,
        }
    }
}

/// `rate_limit` and `rate_burst`: a token bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// Calls per second. 0 to 10,000,000; 0 is no limit.
    #[serde(rename = "rate_limit")]
    pub per_second: u32,
    /// Calls that may come at once. 0 to 10,000,000; 0 is as many as `per_second`.
    #[serde(rename = "rate_burst")]
    pub burst: u32,
}
