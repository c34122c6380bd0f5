//! Whether an endpoint lives that has let a call wait: it answers others, and the call is slow; or it is silent.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::finding::Code;
use crate::outcome::human;

/// An answer so long before a call was sent still says that the endpoint lived.
const SHORTLY: Duration = Duration::from_secs(1);

/// What is known of an endpoint while a call waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has answered another call since this one was sent.
    Answers,
    /// It answered so long before this one was sent, and let no other wait in between.
    Answered(Duration),
    /// It has answered nothing for so long; nothing ever, where that is unknown.
    Silent(Option<Duration>),
}

impl Life {
    /// The finding that this is.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Life::Answers | Life::Answered(_) => Code::P13,
            Life::Silent(_) => Code::P08,
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        match self {
            Life::Answers => write!(f, "it answers other calls, this one is slow ({code})"),
            Life::Answered(before) => {
                let before = human(*before);
                write!(
                    f,
                    "it answered another call {before} before, this one is slow ({code})"
                )
            }
            Life::Silent(Some(since)) => {
                write!(f, "it has answered nothing for {} ({code})", human(*since))
            }
            Life::Silent(None) => write!(f, "it has answered nothing yet ({code})"),
        }
    }
}

/// When an endpoint last answered, and since when it lets calls wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lives {
    answered: Option<Instant>,
    /// The first and the last try that was overdue since then.
    overdue: Option<(Instant, Instant)>,
}

impl Lives {
    /// When it last answered. `heard` is when a try last ended by an answer or overdue, whichever was later.
    pub(super) fn answered(&mut self, heard: Option<Instant>) -> Option<Instant> {
        if heard > self.overdue.map(|(_, last)| last) && heard > self.answered {
            (self.answered, self.overdue) = (heard, None);
        }
        self.answered
    }

    /// A try was overdue.
    pub(super) fn overdue(&mut self, now: Instant) {
        let first = self.overdue.map_or(now, |(first, _)| first);
        self.overdue = Some((first, now));
    }

    /// For a try that was sent then and has waited until `now`.
    pub(super) fn of(&mut self, heard: Option<Instant>, sent: Instant, now: Instant) -> Life {
        let Some(answered) = self.answered(heard) else {
            return Life::Silent(None);
        };
        let before = sent.saturating_duration_since(answered);
        let silent = self.overdue.is_some_and(|(first, _)| first <= sent);
        if answered >= sent {
            Life::Answers
        } else if before <= SHORTLY && !silent {
            Life::Answered(before)
        } else {
            Life::Silent(Some(now.saturating_duration_since(answered)))
        }
    }
}
