//! Looks at an address from here as a caller would: connects, listens, and, where it is asked to, calls.
//!
//! What is seen is kept apart from what it means, which is [`diagnosis`](crate::diagnosis)'s to say.
//!
//! In this order, see [`probe`]: the connect, as a call makes it (`reach`); what the server says (`speech`, `recognise`);
//! where the plan asks for it, a call (`call`), and beside both a connection that stays idle (`idle`).

use std::time::Duration;

use crate::registry::DialAddr;
use reach::Reached;

mod call;
mod idle;
mod reach;
mod recognise;
mod slots;
mod speech;
#[cfg(test)]
mod tests;

pub use call::{NO_EXCEPTION, ONLY_BYTES};
pub(crate) use recognise::line;
pub use recognise::recognise;
pub use slots::Slots;
pub(crate) use speech::SEVEN;

/// The method that is called where a call is asked for. No service has it; a generic server sees it.
pub const NO_SUCH_METHOD: &str = "tidegate_doctor_no_such_method";

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
    /// How long the answer to seven bytes is waited for, besides four connect times; and two fifths of it a first word,
    /// unasked, besides two connect times. What comes later is missed, and the address taken for a Thrift server's.
    pub listen: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            connect: Duration::from_millis(1200),
            answer: Duration::from_secs(1),
            call: false,
            idle: None,
            listen: Duration::from_millis(300),
        }
    }
}

/// Looks at an address as `plan` says.
///
/// 1. Connects, by the same checks and the same way as a call does. A connect that is refused is tried again 250 ms and
///    750 ms after the first, so that a server in the middle of a restart is not accused; one that took longer than 50 ms
///    is measured up to twice more, on another connection. One that timed out is not repeated.
/// 2. Listens for what a server says unasked, as long as `plan.listen` says. One that closes at once is connected to
///    once more; if that is closed as well it is [`Connect::Reset`]. A Kitex server over its connection limit does so.
/// 3. Sends `16 03 01 FF FF 0D 0A` and listens for as long as `plan.listen` says. TLS, HTTP/1 and Redis servers answer. A
///    Kitex server waits for an eighth byte and sees the connection close instead, which is no error to it: v0.16.3 logs
///    nothing, with netpoll and with gonet; later ones warn, seldom, of `remote connection closed`. One of multiplexed
///    connections waits for twelve bytes and logs `error=EOF peer close`.
/// 4. Where `plan.call`, and nothing but Thrift was heard: calls [`NO_SUCH_METHOD`], framed, in TTHeader, buffered, each on
///    a connection of its own and for at most `plan.answer`, until one is answered. Kitex logs each as an error, and the
///    framed and the buffered one, too, where it multiplexes: it reads TTHeader only.
/// 5. Where `plan.idle`, beside 2 to 4: holds a connection.
///
/// One connection is open at a time, or being made; beside the idle one, where the plan asks for that. It ends by itself,
/// whatever the server does, and may be dropped at any time.
pub async fn probe(addr: &DialAddr, plan: &Plan) -> Seen {
    probe_within(addr, plan, &Slots::new(2)).await
}

/// The same beside other probes: each connection waits until there is a slot for it, and has it as long as it is open.
pub async fn probe_within(addr: &DialAddr, plan: &Plan, slots: &Slots) -> Seen {
    let way = Way { addr, plan, slots };
    let reached = match reach::reach(&way).await {
        Ok(reached) => reached,
        Err(connect) => return Seen::without(connect),
    };
    let took = reached.took;
    let idle = async { Ok(idle::idle(&way).await) };
    match tokio::try_join!(talk(&way, reached), idle) {
        Ok(((spoke, call), idle)) => Seen {
            connect: Connect::Open(took),
            spoke,
            call,
            idle,
        },
        Err(connect) => Seen::without(connect),
    }
}

/// Where a probe goes, and within what.
struct Way<'a> {
    addr: &'a DialAddr,
    plan: &'a Plan,
    slots: &'a Slots,
}

/// Listens, asks and calls.
async fn talk(
    way: &Way<'_>,
    reached: Reached<'_>,
) -> Result<(Option<Spoke>, Option<Called>), Connect> {
    let spoke = speech::speech(way, reached).await?;
    if spoke.is_some() || !way.plan.call {
        return Ok((spoke, None));
    }
    Ok(match call::call(way).await {
        call::Learned::Called(called) => (None, Some(called)),
        call::Learned::Foreign(spoke) => (Some(spoke), None),
        call::Learned::Nothing => (None, None),
    })
}

/// What was seen at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How the connect went.
    pub connect: Connect,
    /// What the server said before any call, or in answer to one that it took for none; `None`: nothing, as a Thrift
    /// server does.
    pub spoke: Option<Spoke>,
    /// What became of the call; `None` where none was sent, or where what came back was no Thrift (see `spoke`).
    pub call: Option<Called>,
    /// What became of an idle connection, where one was held.
    pub idle: Option<Idle>,
}

impl Seen {
    /// Whether there is a connection.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self.connect, Connect::Open(_))
    }

    fn without(connect: Connect) -> Self {
        Self {
            connect,
            spoke: None,
            call: None,
            idle: None,
        }
    }
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
    /// It was made and ended at once, without a word, and a second one as well: by a reset, or, as a Kitex server over its
    /// connection limit does, by a close. After this time it had been made.
    Reset(Duration),
    /// There is no such unix socket, or it may not be used; in words.
    NoSocket(String),
    /// Nothing is known of the address, since this host has no descriptor or no port left (in the system's words), the
    /// address is one that is never dialled, or the connection came back to tidegate itself.
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
