//! Connections to instances: dialled by [`connect`], kept by a [`Pool`] per endpoint, used by one call at a time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::buffer::Buf;
use crate::diagnosis::Closed;
use crate::frame::Decoder;
use crate::platform::{self, Idle, Stream, TcpStats};
use own::Own;

pub mod check;
pub mod connect;
pub mod own;
#[cfg(test)]
mod tests;

/// A connection that was idle for less than this is not looked at again before its reuse.
const FRESH: Duration = Duration::from_millis(10);

/// So many idle connections of an endpoint are looked at now and then.
const LOOKED_AT: usize = 32;

/// A connection to an instance.
pub struct Conn {
    /// The socket.
    pub stream: Stream,
    /// What was read and not used yet; `None` while there is nothing.
    pub buf: Option<Buf>,
    /// Finds replies in it; made for the first call.
    pub decoder: Option<Decoder>,
    /// Calls it has carried; 0 on a fresh connection.
    pub served: u64,
    /// Bytes written to it in all.
    pub sent: u64,
    /// What the system had counted when it was new.
    base: Option<TcpStats>,
    idle_since: Instant,
    retired: bool,
    own: Option<Own>,
}

/// What the system knows of the bytes of the last call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Nothing of it left this host.
    Unsent,
    /// It left, and the peer's host acknowledged none of it.
    Unacknowledged,
    /// The peer's host has some of it, or nobody can tell.
    Arrived,
}

impl Conn {
    /// A connection just made.
    pub fn new(stream: Stream, now: Instant) -> Box<Self> {
        let base = platform::tcp_stats(&stream);
        let own = Own::remember(|| Some((stream.local_addr()?, stream.peer_addr()?)));
        Box::new(Self {
            stream,
            buf: None,
            decoder: None,
            served: 0,
            sent: 0,
            base,
            idle_since: now,
            retired: false,
            own,
        })
    }

    /// What became of the bytes written after the first `before` bytes of this connection (Linux: `TCP_INFO`).
    /// Of a unix socket nothing is known: `Arrived`, so that no call is sent twice.
    pub fn delivery(&self, before: u64) -> Delivery {
        let (Some(base), Some(now)) = (&self.base, platform::tcp_stats(&self.stream)) else {
            return Delivery::Arrived;
        };
        if now.bytes_acked.saturating_sub(base.bytes_acked) > before {
            Delivery::Arrived
        } else if now.bytes_sent.saturating_sub(base.bytes_sent) <= before {
            Delivery::Unsent
        } else {
            Delivery::Unacknowledged
        }
    }

    /// Whether it came back to a listener of ours: what is heard on it is no word of an instance.
    #[inline]
    pub fn came_back(&self) -> bool {
        self.own.as_ref().is_some_and(Own::came_back)
    }

    /// It carries no further call after this one.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Whether it carries no further call.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether it may carry another call: nothing came in, neither a byte nor an end. The system is asked where there
    /// is a reason: it was idle for a while, another connection to the same endpoint has died since it was last used,
    /// or the runtime has seen something come in.
    fn usable(&self, now: Instant, doubt: Option<Instant>) -> bool {
        let idle = now.saturating_duration_since(self.idle_since);
        let trusted = idle < FRESH
            && doubt.is_none_or(|since| self.idle_since > since)
            && !self.is_readable();
        trusted || platform::peek_idle(&self.stream) == Idle::Quiet
    }

    /// How long it has been idle; of one in use, had been before its last use.
    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// How long it was idle, where the peer has closed it and said nothing before.
    fn closed_after(&self, now: Instant) -> Option<Duration> {
        (platform::peek_idle(&self.stream) == Idle::Closed).then(|| self.idle(now))
    }

    /// What the runtime knows without a system call. It is a cache: no is no proof.
    fn is_readable(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.stream.poll_read_ready(&mut nobody).is_ready()
    }
}

/// These, and one more that was idle for so long.
fn with(closed: Option<Closed>, idle: Option<Duration>) -> Option<Closed> {
    match (closed, idle.map(Closed::one)) {
        (Some(closed), Some(one)) => Some(closed.and(one)),
        (closed, one) => closed.or(one),
    }
}

/// The idle connections to one endpoint, newest last.
pub struct Pool {
    // Boxed: a connection is moved on every call, through every layer.
    #[allow(clippy::vec_box)]
    idle: Mutex<Vec<Box<Conn>>>,
    /// When a connection to the endpoint last turned out to be dead: the others may be, too.
    doubt: Mutex<Option<Instant>>,
    /// How many there are, for the metrics.
    count: AtomicUsize,
}

/// What was found when a connection was asked for.
pub struct Taken {
    /// A connection that may be used.
    pub conn: Option<Box<Conn>>,
    /// How many were found dead on the way to it.
    pub dead: usize,
    /// For how long those had been idle that the peer had closed.
    pub closed: Option<Closed>,
}

/// Idle connections that the peer was found to have closed.
pub struct Swept {
    /// How many.
    pub dead: usize,
    /// For how long they had been idle.
    pub idle: Closed,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            doubt: Mutex::new(None),
            count: AtomicUsize::new(0),
        }
    }
}

impl Pool {
    /// The newest usable connection; dead and stale ones in front of it are closed.
    pub fn take(&self, now: Instant, idle_timeout: Duration) -> Taken {
        let (mut dead, mut closed) = (0, None);
        loop {
            let Some(conn) = self.idle.lock().pop() else {
                return Taken {
                    conn: None,
                    dead,
                    closed,
                };
            };
            self.count.fetch_sub(1, Relaxed);
            let expired = now.saturating_duration_since(conn.idle_since) >= idle_timeout;
            if !expired && conn.usable(now, *self.doubt.lock()) {
                return Taken {
                    conn: Some(conn),
                    dead,
                    closed,
                };
            }
            // Our own clock is no news of the peer.
            if !expired {
                dead += 1;
                self.doubt(now);
                closed = with(closed, conn.closed_after(now));
            }
        }
    }

    /// A connection to the endpoint turned out to be dead: those that were idle then are looked at before their reuse.
    pub fn doubt(&self, now: Instant) {
        *self.doubt.lock() = Some(now);
    }

    /// Keeps a connection for later, if fewer than `max_idle` are kept and nothing was left unread on it.
    pub fn put(&self, mut conn: Box<Conn>, now: Instant, max_idle: usize) {
        if conn.buf.as_ref().is_some_and(|buf| !buf.is_empty()) {
            return;
        }
        conn.buf = None;
        conn.idle_since = now;
        let mut idle = self.idle.lock();
        if idle.len() < max_idle {
            idle.push(conn);
            self.count.fetch_add(1, Relaxed);
        }
    }

    /// Closes what has been idle for too long, and what the peer has closed meanwhile, as far as that is known without
    /// a system call: of the 32 that are idle longest.
    pub fn sweep(&self, now: Instant, idle_timeout: Duration) -> Option<Swept> {
        let (old, gone): (Vec<_>, Vec<_>);
        {
            let mut idle = self.idle.lock();
            // The oldest stand in front.
            let old_ones = idle.iter().take_while(|c| c.idle(now) >= idle_timeout);
            let n = old_ones.count();
            old = idle.drain(..n).collect();
            let some = ..idle.len().min(LOOKED_AT);
            let is_closed = |c: &mut Box<Conn>| c.is_readable() && c.closed_after(now).is_some();
            gone = idle.extract_if(some, is_closed).collect();
            self.count.store(idle.len(), Relaxed);
        }
        drop(old);
        let closed = gone
            .iter()
            .fold(None, |all, c| with(all, c.closed_after(now)))?;
        self.doubt(now);
        Some(Swept {
            dead: gone.len(),
            idle: closed,
        })
    }

    /// Closes all.
    pub fn clear(&self) {
        let gone = std::mem::take(&mut *self.idle.lock());
        self.count.store(0, Relaxed);
        drop(gone);
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
