//! The rest of a call over `hold`: read from the caller only as fast as the endpoint takes it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use crate::frame::{Fed, Rest};
use crate::outcome::Outcome;

/// Bytes that are read at once, and that the caller's clock runs for.
const PIECE: usize = 64 * 1024;

/// See the module.
pub struct Upload {
    state: Mutex<Option<State>>,
    taken: AtomicBool,
}

struct State {
    read: OwnedReadHalf,
    rest: Rest,
    buf: BytesMut,
    whole: bool,
    frame_timeout: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The reading end of the connection, when the call has ended.
pub struct Returned {
    /// The reading end.
    pub read: OwnedReadHalf,
    /// What came after the frame.
    pub after: BytesMut,
    /// Whether the frame was read to its end.
    pub whole: bool,
}

impl Upload {
    /// The rest of a frame, to be read from `read`.
    pub fn new(read: OwnedReadHalf, rest: Rest, frame_timeout: Duration) -> Self {
        let state = State {
            read,
            rest,
            buf: BytesMut::new(),
            whole: false,
            frame_timeout,
            alarm: None,
        };
        Self {
            state: Mutex::new(Some(state)),
            taken: AtomicBool::new(false),
        }
    }

    /// From now on the call cannot be sent again: its bytes are not kept.
    pub fn take(&self) {
        self.taken.store(true, Relaxed);
    }

    /// Whether a byte of it was taken.
    pub fn was_taken(&self) -> bool {
        self.taken.load(Relaxed)
    }

    /// The next bytes; `None` at the end of the frame; an outcome where the caller failed.
    pub fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Outcome>>> {
        match &mut *self.state.lock() {
            Some(state) => state.poll_chunk(cx),
            None => Poll::Ready(Some(Err(Outcome::ClientGone))),
        }
    }

    /// The reading end, when the call has ended.
    pub fn reclaim(&self) -> Option<Returned> {
        let state = self.state.lock().take()?;
        Some(Returned {
            read: state.read,
            after: state.buf,
            whole: state.whole,
        })
    }
}

impl State {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Outcome>>> {
        if self.whole {
            return Poll::Ready(None);
        }
        self.buf.reserve(PIECE);
        match poll_read_buf(Pin::new(&mut self.read), cx, &mut self.buf) {
            Poll::Ready(Ok(n)) if n > 0 => self.alarm = None,
            Poll::Ready(_) => return Poll::Ready(Some(Err(Outcome::ClientGone))),
            Poll::Pending => {
                let until = Instant::now() + self.frame_timeout;
                let alarm = self
                    .alarm
                    .get_or_insert_with(|| Box::pin(sleep_until(until)));
                ready!(alarm.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Outcome::BadFrame)));
            }
        }
        match self.rest.feed(&self.buf) {
            Ok(Fed::All) => Poll::Ready(Some(Ok(self.buf.split().freeze()))),
            Ok(Fed::Ends(n)) => {
                self.whole = true;
                Poll::Ready(Some(Ok(self.buf.split_to(n).freeze())))
            }
            Err(_) => Poll::Ready(Some(Err(Outcome::BadFrame))),
        }
    }
}
