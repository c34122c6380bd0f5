//! A failure as the one sentence that callers and the log get.

use std::fmt;

use super::failed::{Failure, Limit, Phase, human};
use super::{Blame, Charge, Outcome};
use crate::diagnosis::phrase;
use crate::finding::Code;

/// A failure in words.
pub(super) struct Explain<'a> {
    pub(super) failure: &'a Failure,
    pub(super) service: &'a str,
    pub(super) called: &'a str,
}

impl Explain<'_> {
    fn place(&self) -> String {
        match (&self.failure.endpoint, self.service) {
            (Some(e), "") => e.name.to_string(),
            (Some(e), service) => format!("{} ({service})", e.name),
            (None, "") => "the service".to_owned(),
            (None, service) => service.to_owned(),
        }
    }
}

impl fmt::Display for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, place) = (self.failure, self.place());
        let to = match self.lead() {
            None => place,
            Some(code) => {
                let (said, service) = (phrase(code), self.service);
                write!(
                    f,
                    "{place} {said} ({code}); see tidegate doctor {service}: "
                )?;
                if let (Charge::Down, Some(detail)) = (x.outcome.row().endpoint, &x.detail) {
                    return f.write_str(detail);
                }
                "it".to_owned()
            }
        };
        self.what(f, &to)?;
        if let Some(limit) = x.limit {
            match limit {
                Limit::Time(..) => write!(f, " within {limit}")?,
                Limit::Count(..) => write!(f, ", {limit}")?,
            }
        }
        if let Some(detail) = &x.detail {
            write!(f, ": {detail}")?;
        }
        self.which_try(f)?;
        match &x.verdict {
            Some(verdict) => write!(f, ": {verdict}"),
            None => Ok(()),
        }
    }
}

impl Explain<'_> {
    /// The finding that the sentence begins with.
    pub(super) fn lead(&self) -> Option<Code> {
        let told = !self.service.is_empty() && self.failure.endpoint.is_some();
        self.failure.lead.filter(|_| told)
    }

    /// What happened, at `to`.
    fn what(&self, f: &mut fmt::Formatter<'_>, to: &str) -> fmt::Result {
        match self.failure.outcome {
            Outcome::ConnectRefused
            | Outcome::ConnectTimeout
            | Outcome::Unreachable
            | Outcome::ResolveFailed => {
                // The detail names the endpoint: the last of those that were dialled.
                let to = match self.service {
                    "" => to,
                    service => service,
                };
                write!(f, "cannot connect to {to}")
            }
            Outcome::StaleConnection
            | Outcome::StaleArrived
            | Outcome::Reset
            | Outcome::ClosedEarly => {
                write!(f, "{to} closed the connection without an answer")
            }
            Outcome::ReplyCut => write!(f, "{to} stopped inside its reply"),
            Outcome::BadReply => write!(f, "{to} sent no proper reply"),
            Outcome::ReadDeadline | Outcome::Deadline | Outcome::DeadlineOverdue => {
                write!(f, "no answer from {to}")
            }
            Outcome::BreakerOpen if self.called.is_empty() => write!(f, "breaker open for {to}"),
            Outcome::BreakerOpen => write!(f, "breaker open for {}.{}", self.service, self.called),
            Outcome::NoEndpoints => write!(f, "no usable endpoint for {}", self.service),
            Outcome::Overloaded => write!(f, "overloaded: {to}"),
            Outcome::RateLimited => write!(f, "rate limited: {to}"),
            Outcome::UnknownService if self.service.is_empty() => write!(f, "unknown service"),
            Outcome::UnknownService => write!(f, "unknown service {}", self.service),
            Outcome::FrameTooLarge => write!(f, "the call is too large"),
            Outcome::LoopDetected => write!(f, "not carried to {to}"),
            other => write!(f, "{} at {to}", other.label()),
        }
    }

    /// Which try it was, and in which phase, where that says something.
    fn which_try(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.failure;
        let row = x.outcome.row();
        let nothing_tried = x.phase == Phase::Queue
            && matches!(
                x.outcome,
                Outcome::Overloaded | Outcome::RateLimited | Outcome::BreakerOpen
            );
        if row.endpoint == Charge::Down || nothing_tried {
            return Ok(());
        }
        if row.blame == Blame::Endpoint || x.limit.is_some() {
            // Where time ran out, the limit says how long it took.
            if !x.spent.is_zero() && !matches!(x.limit, Some(Limit::Time(..))) {
                write!(f, ", spent {}", human(x.spent))?;
            }
            write!(f, ", try {} of {}, phase {}", x.tries.0, x.tries.1, x.phase)?;
        }
        Ok(())
    }
}
