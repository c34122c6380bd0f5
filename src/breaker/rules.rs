//! By which rules a breaker counts: its policy, and the window that the policy sizes.

use crate::config::BreakerPolicy;
use crate::outcome::{Counts, Outcome};
use crate::window::Window;

/// Replaced as a whole when the policy changes.
pub(super) struct Rules {
    pub(super) policy: BreakerPolicy,
    pub(super) window: Window,
}

/// What a call's end is to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Failure,
    /// Says nothing about the service.
    Nothing,
}

impl Rules {
    pub(super) fn new(policy: &BreakerPolicy) -> Self {
        Self {
            policy: policy.clone(),
            window: Window::new(policy.window, policy.preset.buckets()),
        }
    }

    /// The outcome's row, read by the policy.
    ///
    /// Kitex's `CBSuite` counts alike: a timeout is a timeout however short it was (so impatience counts in that preset),
    /// a business status is no error, a remote exception is a failure, and what the client itself refused is ignored.
    #[inline]
    pub(super) fn verdict(&self, outcome: Outcome) -> Verdict {
        let counts = self.policy.counts;
        let failure_if = |is: bool, or: Verdict| if is { Verdict::Failure } else { or };
        match outcome.row().breaker {
            Counts::Success => Verdict::Success,
            Counts::Declared => failure_if(counts.declared_exception, Verdict::Success),
            Counts::BizStatus => failure_if(counts.biz_status, Verdict::Success),
            Counts::Exception => failure_if(counts.exception, Verdict::Success),
            Counts::Failure => Verdict::Failure,
            Counts::Timeout => failure_if(counts.timeout, Verdict::Nothing),
            Counts::Impatience => {
                let is = counts.timeout && !self.policy.preset.only_overdue();
                failure_if(is, Verdict::Nothing)
            }
            Counts::Nothing => Verdict::Nothing,
        }
    }
}
