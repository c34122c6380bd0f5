//! Looks at an address from here as a caller would: connects, listens, and, where it is asked to, calls.
//!
//! What is seen is kept apart from what it means, which is [`diagnosis`](crate::diagnosis)'s to say.

use std::time::Duration;

/// What to do at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The longest that one connect may take. Past 1 s, so that the kernel's first repeated SYN counts.
    pub connect: Duration,
    /// The longest that an answer to a call may take.
    pub answer: Duration,
    /// Send a call of a method that cannot exist. A generic server would see it.
    pub call: bool,
    /// Hold an idle connection for so long, to see whether the server closes it.
    pub idle: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            connect: Duration::from_millis(1200),
            answer: Duration::from_secs(1),
            call: false,
            idle: None,
        }
    }
}

/// What was seen at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How the connect went.
    pub connect: Connect,
    /// What the server said before any call; `None`: nothing, as a Thrift server does.
    pub spoke: Option<Spoke>,
    /// What became of the call, where one was sent.
    pub call: Option<Called>,
    /// What became of an idle connection, where one was held.
    pub idle: Option<Idle>,
}

/// How a connect went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connect {
    /// There is a connection, after this time: the shortest of those that were measured.
    Open(Duration),
    /// The host says that nobody listens.
    Refused(Duration),
    /// Nobody answered within this time.
    TimedOut(Duration),
    /// The system, a router or a firewall says that there is no way; in the system's words, such as
    /// `No route to host (os error 113)`.
    Unreachable(String),
    /// It was made and reset at once.
    Reset(Duration),
    /// There is no such unix socket, or it may not be used; in words.
    NoSocket(String),
    /// It was not tried: this host has no descriptor or no port left; in the system's words.
    Ours(String),
}

/// What a server says before it is spoken to, or to bytes that mean nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoke {
    /// HTTP/1; the first line that it answered.
    Http(String),
    /// HTTP/2, such as gRPC.
    Http2,
    /// TLS.
    Tls,
    /// Redis.
    Redis,
    /// MySQL or MariaDB.
    MySql,
    /// SSH; its greeting.
    Ssh(String),
    /// Something else; its first bytes, printable or escaped.
    Other(String),
}

/// What became of a call of a method that cannot exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It was answered with an exception, after this time; its text.
    Answered(Duration, String),
    /// Nothing came back within this time.
    Silent(Duration),
    /// The connection was closed without an answer, in every framing that was tried.
    Closed,
}

/// What became of an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// The server closed it after this time.
    Closed(Duration),
    /// It was still open after this time.
    Open(Duration),
}
