//! Why a state is what it is, and why it is no other: sentences for people, from the numbers of those who decide.
//!
//! Pure functions. What they tell comes from [`health::Snapshot`](crate::health::Snapshot),
//! [`breaker::Snapshot`](crate::breaker::Snapshot) and [`budget::Standing`](crate::budget::Standing), which name the
//! rules; `/services`, `/why` and `tidegate why` show them.
//!
//! A sentence begins with the state. Then come the numbers of the rule that is nearest to change it, each beside the
//! number that it would take, by the name that the config has for that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::breaker::ahead;
use crate::outcome::human;

pub mod breaker;
pub mod endpoint;
pub mod service;
#[cfg(test)]
mod tests;

const DAY: u64 = 24 * 3600;

/// The moment in which a question is answered, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// As tasks tell the time.
    pub now: Instant,
    /// The same moment, as people and the log do.
    pub wall: SystemTime,
}

impl Clock {
    /// Now.
    pub fn read() -> Self {
        Self {
            now: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time of day of a moment in the past, in UTC as in the log: `12:03:07Z`. A moment more than a day ago says so.
    pub fn at(&self, then: Instant) -> String {
        let past = self.now.saturating_duration_since(then);
        let seconds = self.wall.checked_sub(past).unwrap_or(UNIX_EPOCH);
        let seconds = seconds.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (of_day, days) = (seconds.as_secs() % DAY, past.as_secs() / DAY);
        let (hours, minutes) = (of_day / 3600, of_day / 60 % 60);
        let time = format!("{hours:02}:{minutes:02}:{:02}Z", of_day % 60);
        match days {
            0 => time,
            1 => format!("{time} a day ago"),
            n => format!("{time} {n} days ago"),
        }
    }

    /// How long ago that was: `3.1s`, `12m`, `3h`.
    pub fn since(&self, then: Instant) -> String {
        let past = self.now.saturating_duration_since(then);
        match past.as_secs() {
            0..120 => human(past),
            seconds @ 120..7200 => format!("{}m", seconds / 60),
            seconds => format!("{}h", seconds / 3600),
        }
    }

    /// When that will be: `in 0.4s`, or `now` where it is due.
    pub fn coming(&self, then: Instant) -> String {
        soon(then.saturating_duration_since(self.now))
    }

    /// How much time is left until then: `0.4s`, `9m`.
    pub fn left(&self, until: Instant) -> String {
        ahead(until.saturating_duration_since(self.now))
    }
}

/// `in 0.4s`, or `now`.
fn soon(left: Duration) -> String {
    match left.is_zero() {
        true => "now".to_owned(),
        false => format!("in {}", ahead(left)),
    }
}

/// `1 call`, `2 calls`; thousands are set off.
pub(crate) fn many(n: u64, one: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(n))
}

/// `3,020`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
