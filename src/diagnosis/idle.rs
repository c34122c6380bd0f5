//! Whether a server closes idle connections (P09), from the connections to it that were found closed.
//!
//! A restart closes idle connections as well: all of them at one moment, whatever their age, and young ones among them.
//! A server that closes what is idle closes each at the same age. So what is found at one moment counts once, and only
//! where the ages agree; three moments that agree are a habit.

use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// A connection that was used a shorter while ago was not closed for being idle: that is a restart, or a crash.
pub const IDLE: Duration = Duration::from_secs(1);
/// Closes so far apart at most are one moment.
const MOMENT: Duration = Duration::from_secs(1);
/// Ages that differ by no more agree: twice the time between two looks at the idle connections.
const ALIKE: Duration = Duration::from_millis(600);
/// Moments that make a habit.
const HABIT: usize = 3;
/// A moment so long ago counts no more.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// How long connections had been idle that were found closed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The one that was used last.
    pub shortest: Duration,
    /// The one that was used first.
    pub longest: Duration,
}

impl Closed {
    /// One connection, idle for this long.
    #[must_use]
    pub fn one(idle: Duration) -> Self {
        Self {
            shortest: idle,
            longest: idle,
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            shortest: self.shortest.min(other.shortest),
            longest: self.longest.max(other.longest),
        }
    }

    /// Whether a server that closes what is idle looks so.
    fn agrees(self) -> bool {
        self.shortest >= IDLE && self.longest - self.shortest <= ALIKE
    }
}

/// The last moments at which an endpoint's idle connections were found closed; those that speak of a habit.
#[derive(Debug, Default)]
pub(super) struct Closes([Option<(Instant, Closed)>; HABIT]);

impl Closes {
    /// Connections were found closed. What does not fit a habit ends it: a restart, or another age.
    pub(super) fn add(&mut self, closed: Closed, now: Instant) {
        self.forget(now);
        let newest = self.0.iter().flatten().max_by_key(|(at, _)| *at).copied();
        let moment = newest.filter(|(at, _)| now.saturating_duration_since(*at) <= MOMENT);
        let (at, closed) = match moment {
            Some((at, before)) => (at, before.and(closed)),
            None => (now, closed),
        };
        self.0
            .iter_mut()
            .filter(|it| it.is_some_and(|(then, _)| then == at))
            .for_each(|it| *it = None);
        let all = self
            .0
            .iter()
            .flatten()
            .fold(closed, |all, (_, it)| all.and(*it));
        if !all.agrees() {
            *self = Self::default();
        }
        if !closed.agrees() {
            return;
        }
        let oldest = self.0.iter_mut().min_by_key(|it| it.map(|(at, _)| at));
        if let Some(slot) = oldest {
            *slot = Some((at, closed));
        }
    }

    /// The age at which it closes idle connections, about; `None` while there is no habit.
    pub(super) fn habit(&self) -> Option<Duration> {
        let mut all = self.0.iter().copied();
        let ages = all.try_fold(Duration::MAX, |least, it| Some(least.min(it?.1.shortest)));
        ages.filter(|age| *age != Duration::MAX)
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The endpoint was away: what was closed says nothing.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops a habit that did not show for long.
    pub(super) fn forget(&mut self, now: Instant) {
        let newest = self.0.iter().flatten().map(|(at, _)| *at).max();
        if newest.is_some_and(|at| now.saturating_duration_since(at) >= FORGOTTEN) {
            *self = Self::default();
        }
    }
}
