//! Everything that can end a call, and what follows from it: one table.
//!
//! Breaker, endpoint health, retry, metrics and answers read this table; no other place decides. A variant of
//! [`Outcome`] has one row in [`Outcome::row`]; [`Failed`] is how an outcome without a reply travels up the stack.

use serde::{Serialize, Serializer};
use tokio::time::Instant;

mod explain;
mod failed;
#[cfg(test)]
mod tests;

pub use failed::{Failed, Failure, Limit, Named, Phase, human};

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
    /// A reply that carries an exception which the method declares: the service works.
    DeclaredException = "business_error": Declared, Success, Named, Nobody,   Reply;
    /// A reply that carries a business status (Kitex): the service works.
    BizStatus = "business_error":    BizStatus, Success, Named,     Nobody,   Reply;
    /// A reply that is an exception (the handler failed, or the method is unknown).
    Exception = "exception":         Exception, Exception, Named,   Endpoint, Reply;
    /// Nobody listens at the endpoint.
    ConnectRefused = "connect_refused": Failure, Down,  Unwritten,  Endpoint, Exception;
    /// The endpoint did not take the connection within `connect_timeout`.
    ConnectTimeout = "connect_timeout": Timeout, Down,  Unwritten,  Endpoint, Exception;
    /// No route, a firewall's rejection, a reset in the handshake.
    Unreachable = "unreachable":     Failure, Down,     Unwritten,  Endpoint, Exception;
    /// The registered host name has no address here.
    ResolveFailed = "resolve_failed": Failure, Down,    Unwritten,  Registry, Exception;
    /// A reused connection turned out to be dead: the peer's host took nothing of the call.
    StaleConnection = "stale_connection": Failure, Nothing, IfUnarrived, Endpoint, Exception;
    /// A reused connection died with the call on it, after the peer's host took some of it.
    StaleArrived = "stale_connection": Failure, Failure, IfUnarrived, Endpoint, Exception;
    /// The endpoint reset a fresh connection before any byte of the reply.
    Reset = "reset":                 Failure, Failure,  IfUnarrived, Endpoint, Exception;
    /// The endpoint closed a fresh connection before any byte of the reply (Kitex does, over its limit).
    ClosedEarly = "closed_early":    Failure, Failure,  IfUnarrived, Endpoint, Exception;
    /// The endpoint closed inside the reply. (An answer is only for a reply of which nothing went out yet.)
    ReplyCut = "reply_cut":          Failure, Failure,  Named,      Endpoint, Exception;
    /// No progress within `read_deadline`.
    ReadDeadline = "read_deadline":  Timeout, Timeout,  Idempotent, Endpoint, Exception;
    /// The call's own time ran out, sooner than this method usually takes to be late.
    Deadline = "deadline":           Impatience, Nothing, Never,    Caller,   Deadline;
    /// The call's own time ran out, and the endpoint was overdue.
    DeadlineOverdue = "deadline":    Timeout, Timeout,  Never,      Endpoint, Deadline;
    /// The reply was no reply: not the protocol, not this call's seqid.
    BadReply = "bad_reply":          Failure, Failure,  Named,      Endpoint, Exception;
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
    /// The service works, though it says no: a failure where the policy says so.
    Declared,
    /// The same, for a business status.
    BizStatus,
    /// The service failed to handle the call: a failure unless the policy says otherwise.
    Exception,
    /// The service failed.
    Failure,
    /// The service did not answer in time: a failure unless the policy says otherwise.
    Timeout,
    /// The caller did not wait for as long as the method usually takes to be late. Says nothing about the service;
    /// Kitex's own breaker counts it as a timeout.
    Impatience,
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
    /// If the policy names the outcome.
    Named,
    /// Always: by its nature nothing was written.
    Unwritten,
    /// If nothing of the call arrived, the method is idempotent, or the policy names the outcome.
    IfUnarrived,
    /// If the method is idempotent, or the policy names the outcome.
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

    /// Whether the call failed, as its caller sees it: neither a plain reply nor one that its method declares.
    #[inline]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::DeclaredException | Self::BizStatus)
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

/// Some outcomes, as a policy names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcomes(u32);

impl Outcomes {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// With every outcome of this label.
    #[must_use]
    pub fn with(self, label: &str) -> Self {
        let named = Outcome::ALL.iter().filter(|o| o.label() == label);
        Self(named.fold(self.0, |bits, o| bits | 1 << *o as u8))
    }

    /// Whether this outcome is among them.
    #[inline]
    pub const fn contains(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome as u8) != 0
    }

    /// The labels that a policy may name for trying again: of outcomes whose row allows it and that are not safe
    /// anyway.
    pub fn nameable() -> Vec<&'static str> {
        let by_name = |o: &&Outcome| !matches!(o.row().again, Again::Never | Again::Unwritten);
        let mut labels: Vec<_> = Outcome::ALL
            .iter()
            .filter(by_name)
            .map(|o| o.label())
            .collect();
        labels.dedup();
        labels
    }

    /// Their labels.
    pub fn labels(self) -> Vec<&'static str> {
        let among = |o: &&Outcome| self.contains(**o);
        let mut labels: Vec<_> = Outcome::ALL
            .iter()
            .filter(among)
            .map(|o| o.label())
            .collect();
        labels.dedup();
        labels
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.labels().serialize(serializer)
    }
}
