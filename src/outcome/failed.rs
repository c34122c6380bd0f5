//! An outcome without a reply, on its way up the stack: what happened, to whom, and the sentence that says so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::explain::Explain;
use super::{End, Outcome, Reach};
use crate::finding::Code;

/// Where in its life a call was when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Before an endpoint was picked.
    Queue,
    /// Connecting.
    Connect,
    /// Sending the call.
    Write,
    /// Waiting for the reply's first byte.
    FirstByte,
    /// Inside the reply.
    Read,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Write => "write",
            Self::FirstByte => "first_byte",
            Self::Read => "read",
        })
    }
}

/// The limit that a call ran into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// A span of time, by its config key.
    Time(&'static str, Duration),
    /// A number, by its config key.
    Count(&'static str, usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(key, span) => write!(f, "{key} {}", human(*span)),
            Self::Count(key, n) => write!(f, "limit {key} {n}"),
        }
    }
}

/// The endpoint of a try, as a failure names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The endpoint's number, for "not the one just tried".
    pub id: u32,
    /// Its address.
    pub name: Arc<str>,
}

/// A call, or a try, that ended without a reply. Boxed: it is small on the way, and rare.
#[derive(Clone, Debug)]
pub struct Failed(Box<Failure>);

/// What a [`Failed`] holds.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What ended it.
    pub outcome: Outcome,
    /// When.
    pub at: Instant,
    /// How far its bytes got.
    pub reach: Reach,
    /// Where it was.
    pub phase: Phase,
    /// To whom it was going.
    pub endpoint: Option<Named>,
    /// The limit it ran into.
    pub limit: Option<Limit>,
    /// How long the call, or the step with the limit, took.
    pub spent: Duration,
    /// Which try it was, from 1, and how many there may be.
    pub tries: (u32, u32),
    /// What the system, or the peer, said.
    pub detail: Option<Box<str>>,
    /// The finding that the endpoint's registration is: the sentence begins with it.
    pub lead: Option<Code>,
    /// What the endpoint was found to be, with the finding's code: the sentence ends with it.
    pub verdict: Option<Box<str>>,
    /// A finding is in the text that `tidegate doctor` knows more of.
    pub doctor: bool,
    /// `doctor` knows it only where it sends a call.
    pub by_call: bool,
    /// An answer for this outcome takes its caller's connection with it.
    pub closes: bool,
}

impl Failed {
    /// A failure of this kind, at this instant.
    pub fn new(outcome: Outcome, at: Instant) -> Self {
        Self(Box::new(Failure {
            outcome,
            at,
            reach: Reach::Unwritten,
            phase: Phase::Queue,
            endpoint: None,
            limit: None,
            spent: Duration::ZERO,
            tries: (1, 1),
            detail: None,
            lead: None,
            verdict: None,
            doctor: false,
            by_call: false,
            closes: false,
        }))
    }

    /// Where it was, and how far its bytes got.
    #[must_use]
    pub fn during(mut self, phase: Phase, reach: Reach) -> Self {
        self.0.phase = phase;
        self.0.reach = reach;
        self
    }

    /// The endpoint it was going to; the innermost one that says so wins.
    #[must_use]
    pub fn to(mut self, id: u32, name: &Arc<str>) -> Self {
        self.0.endpoint.get_or_insert_with(|| Named {
            id,
            name: name.clone(),
        });
        self
    }

    /// The limit it ran into, and the time spent.
    #[must_use]
    pub fn limit(mut self, limit: Limit, spent: Duration) -> Self {
        self.0.limit = Some(limit);
        self.0.spent = spent;
        self
    }

    /// What the system, or the peer, said.
    #[must_use]
    pub fn because(mut self, detail: impl Into<Box<str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The finding that the registration of its endpoint is.
    #[must_use]
    pub fn led_by(mut self, code: Option<Code>) -> Self {
        self.0.lead = code;
        self.0.doctor |= code.is_some();
        self
    }

    /// What its endpoint was found to be, with the finding's code.
    #[must_use]
    pub fn verdict(mut self, found: impl Into<Box<str>>) -> Self {
        self.0.verdict = Some(found.into());
        self
    }

    /// A finding is in its text that `tidegate doctor` knows more of.
    #[must_use]
    pub fn ask_doctor(mut self, knows: bool) -> Self {
        self.0.doctor |= knows;
        self
    }

    /// A finding is in its text that `tidegate doctor --call` knows more of, and without a call does not see.
    #[must_use]
    pub fn ask_doctor_to_call(mut self) -> Self {
        (self.0.doctor, self.0.by_call) = (true, true);
        self
    }

    /// Which try of how many.
    #[must_use]
    pub fn tries(mut self, this: u32, of: u32) -> Self {
        self.0.tries = (this, of);
        self
    }

    /// The answer, if there is one, takes the caller's connection with it.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// How long it took.
    pub fn spent(&mut self, spent: Duration) {
        self.0.spent = spent;
    }

    /// The end to report.
    pub fn end(&self) -> End {
        End {
            outcome: self.0.outcome,
            at: self.0.at,
        }
    }

    /// The sentence that the caller and the log get; `called` is the method.
    pub fn explain(&self, service: &str, called: &str) -> String {
        let text = Explain {
            failure: &self.0,
            service,
            called,
        };
        let doctor = match self.0.doctor && text.lead().is_none() && !service.is_empty() {
            true if self.0.by_call => format!("; see tidegate doctor {service} --call"),
            true => format!("; see tidegate doctor {service}"),
            false => String::new(),
        };
        match self.0.outcome {
            // It names the method already.
            Outcome::BreakerOpen => format!("tidegate: {text}"),
            _ => format!("tidegate: {text}{doctor}; called {called}"),
        }
    }
}

impl std::ops::Deref for Failed {
    type Target = Failure;
    fn deref(&self) -> &Failure {
        &self.0
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            Explain {
                failure: &self.0,
                service: "",
                called: "",
            }
        )
    }
}

impl std::error::Error for Failed {}

/// A duration as people write it: `800ms`, `1.2s`, `45us`.
pub fn human(span: Duration) -> String {
    let us = span.as_micros();
    match us {
        0..1_000 => format!("{us}us"),
        1_000..10_000 => format!("{}ms", trim(us as f64 / 1e3)),
        10_000..1_000_000 => format!("{}ms", us / 1_000),
        _ => format!("{}s", trim(us as f64 / 1e6)),
    }
}

fn trim(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
