//! Everything that can end a call, and what follows from it: one table.
//!
//! Breaker, endpoint health, retry, metrics and answers read this table; no other place decides. A variant of
//! [`Outcome`] has one row in [`Outcome::row`]; [`Failed`] is how an outcome without a reply travels up the stack.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $label:literal: $breaker:ident, $charge:ident, $again:ident, $blame:ident, $told:ident;)*) => {
        /// How a call, or one try of it, ended.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Outcome { $($(#[$doc])* $name,)* }

        impl Outcome {
            /// Every outcome, in the order of the table.
            pub const ALL: &'static [Outcome] = &[$(Outcome::$name,)*];

            /// The outcome's row.
            pub const fn row(self) -> Row {
                match self {
                    $(Outcome::$name => Row {
                        label: $label, breaker: Counts::$breaker, endpoint: Charge::$charge,
                        again: Again::$again, blame: Blame::$blame, told: Told::$told,
                    },)*
                }
            }
        }
    };
}

outcomes! {
    //                               breaker  endpoint  again       blame     told
    /// A reply.
    Ok = "ok":                       Success, Success,  Never,      Nobody,   Reply;
    /// A reply that carries a declared exception or a business status: the service works.
    BusinessError = "business_error": Success, Success, Never,      Nobody,   Reply;
    /// A reply that is an exception (the handler failed, or the method is unknown).
    Exception = "exception":         Failure, Exception, Never,     Endpoint, Reply;
    /// Nobody listens at the endpoint.
    ConnectRefused = "connect_refused": Failure, Down,  Unwritten,  Endpoint, Exception;
    /// The endpoint did not take the connection within `connect_timeout`.
    ConnectTimeout = "connect_timeout": Timeout, Down,  Unwritten,  Endpoint, Exception;
    /// No route, a firewall's rejection, a reset in the handshake.
    Unreachable = "unreachable":     Failure, Down,     Unwritten,  Endpoint, Exception;
    /// The registered host name has no address here.
    ResolveFailed = "resolve_failed": Failure, Down,    Unwritten,  Registry, Exception;
    /// A reused connection turned out to be dead.
    StaleConnection = "stale_connection": Failure, Nothing, IfUnarrived, Endpoint, Exception;
    /// The endpoint reset a fresh connection before any byte of the reply.
    Reset = "reset":                 Failure, Failure,  IfUnarrived, Endpoint, Exception;
    /// The endpoint closed a fresh connection before any byte of the reply (Kitex does, over its limit).
    ClosedEarly = "closed_early":    Failure, Failure,  IfUnarrived, Endpoint, Exception;
    /// The endpoint closed inside the reply. (An answer is only for a reply of which nothing went out yet.)
    ReplyCut = "reply_cut":          Failure, Failure,  Never,      Endpoint, Exception;
    /// No progress within `read_deadline`.
    ReadDeadline = "read_deadline":  Timeout, Timeout,  Idempotent, Endpoint, Exception;
    /// The call's own time ran out, sooner than this method usually takes to be late.
    Deadline = "deadline":           Nothing, Nothing,  Never,      Caller,   Deadline;
    /// The call's own time ran out, and the endpoint was overdue.
    DeadlineOverdue = "deadline":    Timeout, Timeout,  Never,      Endpoint, Deadline;
    /// The reply was no reply: not the protocol, not this call's seqid.
    BadReply = "bad_reply":          Failure, Failure,  Never,      Endpoint, Exception;
    /// Refused by the service's circuit breaker.
    BreakerOpen = "breaker_open":    Nothing, Nothing,  Never,      Endpoint, Exception;
    /// The service has no endpoint that may be used.
    NoEndpoints = "no_endpoints":    Nothing, Nothing,  Never,      Registry, Exception;
    /// One of tidegate's limits, or of this host's.
    Overloaded = "overloaded":       Nothing, Nothing,  Never,      Tidegate, Exception;
    /// Refused by a rate limit of the configuration.
    RateLimited = "rate_limited":    Nothing, Nothing,  Never,      Caller,   Exception;
    /// A frame larger than `max_frame`.
    FrameTooLarge = "frame_too_large": Nothing, Nothing, Never,     Caller,   Exception;
    /// Bytes that are no frame, or half of one and then silence.
    BadFrame = "bad_frame":          Nothing, Nothing,  Never,      Caller,   Close;
    /// The call names no service, or one that nobody registered.
    UnknownService = "unknown_service": Nothing, Nothing, Never,    Caller,   Unknown;
    /// The caller left before its answer.
    ClientGone = "client_gone":      Nothing, Nothing,  Never,      Caller,   Nothing;
    /// The caller left, and the endpoint was overdue.
    ClientGoneOverdue = "client_gone": Timeout, Timeout, Never,     Endpoint, Nothing;
    /// tidegate is stopping.
    Draining = "draining":           Nothing, Nothing,  Never,      Tidegate, Exception;
    /// The call would come back to tidegate itself.
    LoopDetected = "loop_detected":  Nothing, Nothing,  Never,      Registry, Exception;
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The value of the metric label `outcome`.
    pub label: &'static str,
    /// What the service's breaker makes of it.
    pub breaker: Counts,
    /// What the endpoint is charged with.
    pub endpoint: Charge,
    /// Whether the call may be tried again, elsewhere.
    pub again: Again,
    /// Whose fault it is.
    pub blame: Blame,
    /// What the caller is told.
    pub told: Told,
}

/// What a breaker counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counts {
    /// The service works.
    Success,
    /// The service failed.
    Failure,
    /// The service did not answer in time.
    Timeout,
    /// Says nothing about the service.
    Nothing,
}

/// What an endpoint is charged with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charge {
    /// It answered: ends a run of failures.
    Success,
    /// It answered with an exception.
    Exception,
    /// It did not answer in time.
    Timeout,
    /// It broke the connection, or the protocol.
    Failure,
    /// It cannot be connected to: down at once.
    Down,
    /// Not its doing.
    Nothing,
}

/// Whether a call that ended so may be tried again. What is safe depends on [`Reach`], too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// Never.
    Never,
    /// Always: by its nature nothing was written.
    Unwritten,
    /// If nothing of the call arrived, or the method is idempotent.
    IfUnarrived,
    /// If the method is idempotent.
    Idempotent,
}

/// Whose fault an outcome is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// Nobody's.
    Nobody,
    /// The caller's.
    Caller,
    /// The instance's, or the network's on the way to it.
    Endpoint,
    /// What the registry says.
    Registry,
    /// tidegate's, or its host's.
    Tidegate,
}

/// What the caller is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The instance's own reply.
    Reply,
    /// An exception of type 6, internal error (Kitex: `remote.InternalError`).
    Exception,
    /// An exception of type 20, unknown service (Kitex: `remote.UnknownService`).
    Unknown,
    /// As `on_deadline` says: an exception, or nothing.
    Deadline,
    /// The connection is closed.
    Close,
    /// Nothing: nobody listens.
    Nothing,
}

impl Outcome {
    /// The value of the metric label `outcome`.
    pub const fn label(self) -> &'static str {
        self.row().label
    }

    /// The overdue row of a clock's outcome; any other outcome is its own.
    pub const fn overdue(self) -> Self {
        match self {
            Self::Deadline => Self::DeadlineOverdue,
            Self::ClientGone => Self::ClientGoneOverdue,
            other => other,
        }
    }
}

/// How an end is reported to those who learn from it: what, and when.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// What ended it.
    pub outcome: Outcome,
    /// When.
    pub at: Instant,
}

/// How far a call's bytes got, in order. What may be sent again depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reach {
    /// Nothing of it left this host: always safe to send again.
    Unwritten,
    /// It was sent on a reused connection, and the peer's host acknowledged none of it.
    Unacknowledged,
    /// Some of it may have arrived.
    Written,
    /// A part of the reply came back.
    Replied,
}

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
        };
        format!("tidegate: {text}; called {called}")
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
                service: ""
            }
        )
    }
}

impl std::error::Error for Failed {}

/// A failure in words.
struct Explain<'a> {
    failure: &'a Failure,
    service: &'a str,
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
        let (x, to) = (self.failure, self.place());
        match x.outcome {
            Outcome::ConnectRefused
            | Outcome::ConnectTimeout
            | Outcome::Unreachable
            | Outcome::ResolveFailed => {
                // The detail names the endpoint: the last of those that were dialled.
                let to = if self.service.is_empty() {
                    &to
                } else {
                    self.service
                };
                write!(f, "cannot connect to {to}")?;
            }
            Outcome::StaleConnection | Outcome::Reset | Outcome::ClosedEarly => {
                write!(f, "{to} closed the connection without an answer")?;
            }
            Outcome::ReplyCut => write!(f, "{to} stopped inside its reply")?,
            Outcome::BadReply => write!(f, "{to} sent no proper reply")?,
            Outcome::ReadDeadline | Outcome::Deadline | Outcome::DeadlineOverdue => {
                write!(f, "no answer from {to}")?;
            }
            Outcome::NoEndpoints => write!(f, "no usable endpoint for {}", self.service)?,
            Outcome::Overloaded => write!(f, "overloaded: {to}")?,
            Outcome::UnknownService if self.service.is_empty() => write!(f, "unknown service")?,
            Outcome::UnknownService => write!(f, "unknown service {}", self.service)?,
            Outcome::FrameTooLarge => write!(f, "the call is too large")?,
            other => write!(f, "{} at {to}", other.label())?,
        }
        if let Some(limit) = x.limit {
            match limit {
                Limit::Time(..) => write!(f, " within {limit}")?,
                Limit::Count(..) => write!(f, ", {limit}")?,
            }
        }
        if let Some(detail) = &x.detail {
            write!(f, ": {detail}")?;
        }
        let row = x.outcome.row();
        if row.endpoint == Charge::Down {
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
