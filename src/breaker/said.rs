//! What a breaker says: to the caller that it refuses, to the log, to people who ask.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::BreakerPolicy;
use crate::outcome::human;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass, and are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A probe passes now and then.
    HalfOpen,
    /// A person said that calls are refused.
    ForcedOpen,
    /// A person said that calls pass; nothing is counted.
    ForcedClosed,
}

impl State {
    /// Its name, as metrics and `/services` show it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// What a person wants of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Refuse all calls.
    Open,
    /// Refuse none.
    Closed,
}

impl From<Forced> for State {
    fn from(forced: Forced) -> Self {
        match forced {
            Forced::Open => Self::ForcedOpen,
            Forced::Closed => Self::ForcedClosed,
        }
    }
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

/// Which rule opened a breaker, and by which numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `error_rate`.
    Rate {
        /// Calls in the window.
        calls: u64,
        /// Those of them that failed.
        bad: u64,
        /// How long the window is.
        window: Duration,
    },
    /// `consecutive`.
    Run {
        /// Calls that failed in a row.
        calls: u32,
    },
}

/// Why a breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The rule that opened it.
    pub cause: Cause,
    /// Probes that have failed since.
    pub failed_probes: u32,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Rate { calls, bad, window } => {
                let percent = (100 * bad + calls / 2) / calls.max(1);
                let window = human(window);
                write!(f, "{percent} % of {calls} calls failed in {window}")?;
            }
            Cause::Run { calls: 1 } => f.write_str("a call failed")?,
            Cause::Run { calls } => write!(f, "{calls} calls in a row failed")?,
        }
        match self.failed_probes {
            0 => Ok(()),
            1 => f.write_str(", a probe failed since"),
            n => write!(f, ", {n} probes failed since"),
        }
    }
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The breaker is open, or half-open and it is not yet time for a probe.
    Open {
        /// Why.
        opened: Opened,
        /// How long until a call is let through.
        next_probe: Duration,
    },
    /// A person forced it open.
    Forced {
        /// For how much longer.
        left: Duration,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { opened, next_probe } => {
                write!(f, "{opened}, next probe in {}", ahead(*next_probe))
            }
            Self::Forced { left } => write!(f, "forced open for another {}", ahead(*left)),
        }
    }
}

/// Time that is left, as coarse as people want it, rounded up: `0.6s`, `9m`, `3h`.
pub(crate) fn ahead(left: Duration) -> String {
    let tenths = left.as_millis().div_ceil(100);
    let minutes = left.as_millis().div_ceil(60_000);
    match minutes {
        0..=1 => format!("{}.{}s", tenths / 10, tenths % 10),
        2..=120 => format!("{minutes}m"),
        _ => format!("{}h", minutes.div_ceil(60)),
    }
}

/// What a person may want to know of a breaker.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its state; `None` where the policy switches it off and nobody forced it.
    pub state: Option<State>,
    /// Since when it is in that state.
    pub since: Instant,
    /// Changes of state so far.
    pub generation: u32,
    /// Calls in the window. Only calls that came while it was closed are counted.
    pub calls: u64,
    /// Those of them that failed.
    pub bad: u64,
    /// The rules: how long the window is, and what opens it.
    pub policy: BreakerPolicy,
    /// Calls that have failed in a row.
    pub run: u32,
    /// Whether those touched more than one endpoint.
    pub several: bool,
    /// What opened it; while it is open or half-open.
    pub opened: Option<Opened>,
    /// While it is open: until when it refuses.
    pub open_until: Option<Instant>,
    /// While it is open or half-open: how long until a call is let through as a probe.
    pub next_probe: Option<Duration>,
    /// While it is half-open: probes that succeeded so far, of two.
    pub probe_successes: u32,
    /// While it is forced: until when.
    pub forced_until: Option<Instant>,
}

/// Why a breaker closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Probes,
    ForcingEnded,
    Reset,
    Policy,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probes => "the probes succeeded",
            Self::ForcingEnded => "it was forced until now",
            Self::Reset => "it was reset",
            Self::Policy => "its policy changed",
        })
    }
}

/// A change, as the log tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened(Opened),
    Reopened(Opened),
    HalfOpened,
    Closed(Closing),
    Forced(Forced, Duration),
    /// Another policy, which holds once it is forced no longer.
    StaysForced(Forced, Duration),
    /// What would close it, where the policy has no breaker.
    Off(Closing),
}

impl Change {
    pub(super) fn log(self, service: &str, method: &str) {
        match self {
            Self::Opened(_) | Self::Forced(Forced::Open, _) => {
                tracing::warn!(service, method, "{self}");
            }
            _ => tracing::info!(service, method, "{self}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(opened) => write!(f, "breaker opened: {opened}"),
            Self::Reopened(opened) => write!(f, "breaker opened again: {opened}"),
            Self::HalfOpened => f.write_str("breaker half-open: calls are let through as probes"),
            Self::Closed(why) => write!(f, "breaker closed: {why}"),
            Self::Off(why) => write!(f, "breaker off: {why}"),
            Self::Forced(to, left) => write!(f, "breaker forced {to} for {}", ahead(*left)),
            Self::StaysForced(to, left) => write!(
                f,
                "breaker stays forced {to} for another {}: its policy changed",
                ahead(*left)
            ),
        }
    }
}
