//! Whether an endpoint lives that has let a call wait: it answers others, and the call is slow; or it is silent.
//!
//! One call alone proves neither: its method may take its time. Silent is an endpoint that let a second try wait which
//! was sent after the first one, and answered nothing in between; slow is one that let three wait within ten seconds
//! while it answered others.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::finding::Code;
use crate::outcome::human;

/// Overdue tries that make an endpoint slow, if they come within [`SLOW`].
const OFTEN: usize = 3;
/// See [`OFTEN`]; calls are slow no more after so long a time without an overdue one.
pub(super) const SLOW: Duration = Duration::from_secs(10);

/// What is known of an endpoint while a call waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has answered another call since this one was sent.
    Answers {
        /// It has let others wait as well of late: [`Code::P13`].
        often: bool,
    },
    /// It has answered nothing since this one was sent, and answered another call so long before that; none ever, where
    /// that is unknown.
    Unheard(Option<Duration>),
    /// It lets all calls wait, the first one for so long; nothing was ever answered, where that is unknown. [`Code::P08`].
    Silent(Option<Duration>),
}

impl Life {
    /// The finding that this is; `None` where it may be the call alone.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Life::Answers { often: true } => Some(Code::P13),
            Life::Silent(_) => Some(Code::P08),
            Life::Answers { often: false } | Life::Unheard(_) => None,
        }
    }

    /// The same in words, without the finding.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Life::Answers { .. } => "it answers other calls, this one is slow".to_owned(),
            Life::Unheard(Some(before)) => {
                let before = human(*before);
                format!("its last answer came {before} before this call was sent")
            }
            Life::Silent(Some(since)) => format!("it has answered nothing for {}", human(*since)),
            Life::Unheard(None) | Life::Silent(None) => "it has answered nothing yet".to_owned(),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said())?;
        match self.code() {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

/// The overdue tries of an endpoint. They may be told of in any order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lives {
    unanswered: Option<Unanswered>,
    /// When a try was overdue while others were answered, the last few times.
    slow: [Option<Instant>; OFTEN],
}

/// The overdue tries since the last answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// When the first and the last of them were sent.
    first: Instant,
    last: Instant,
    tries: u32,
}

impl Lives {
    /// For a try that was sent then and has waited until `now`; `answered` is when the endpoint last answered any.
    pub(super) fn of(&self, answered: Option<Instant>, sent: Instant, now: Instant) -> Life {
        if answered.is_some_and(|at| at >= sent) {
            return Life::Answers {
                often: self.is_slow(now),
            };
        }
        let silent = self.unanswered.filter(|it| it.is_silence(answered));
        match silent {
            Some(it) => {
                Life::Silent(answered.map(|_| now.saturating_duration_since(it.first.min(sent))))
            }
            None => Life::Unheard(answered.map(|at| sent.saturating_duration_since(at))),
        }
    }

    /// A try that was sent at `sent` was overdue.
    pub(super) fn overdue(&mut self, answered: Option<Instant>, sent: Instant, now: Instant) {
        if answered.is_some_and(|at| at >= sent) {
            let oldest = self.slow.iter_mut().min();
            if let Some(oldest) = oldest {
                *oldest = Some(now);
            }
            return;
        }
        let before = self.unanswered.filter(|it| !it.is_over(answered));
        self.unanswered = Some(match before {
            Some(it) => Unanswered {
                first: it.first.min(sent),
                last: it.last.max(sent),
                tries: it.tries.saturating_add(1),
            },
            None => Unanswered {
                first: sent,
                last: sent,
                tries: 1,
            },
        });
    }

    fn is_slow(&self, now: Instant) -> bool {
        let is_late = |at: Instant| now.saturating_duration_since(at) <= SLOW;
        self.slow.iter().all(|it| it.is_some_and(is_late))
    }
}

impl Unanswered {
    /// Whether the endpoint has answered since.
    fn is_over(&self, answered: Option<Instant>) -> bool {
        answered.is_some_and(|at| at >= self.first)
    }

    fn is_silence(&self, answered: Option<Instant>) -> bool {
        let alone = self.tries < 2 || self.last == self.first && answered.is_some();
        !alone && !self.is_over(answered)
    }
}
