//! The rest of a call over `hold`: read from the caller only as fast as the endpoint takes it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::poll_read_buf;

use crate::frame::{BadFrame, Fed, Rest};
use crate::outcome::Outcome;
use crate::platform::ReadHalf;

/// Bytes that are read at once, and that the caller's clock runs for.
const PIECE: usize = 64 * 1024;

/// See the module.
pub struct Upload {
    state: Mutex<Option<State>>,
    taken: AtomicBool,
    /// Bytes of the frame that were read here.
    bytes: AtomicU64,
}

struct State {
    read: ReadHalf,
    rest: Rest,
    buf: BytesMut,
    whole: bool,
    frame_timeout: Duration,
    /// What is left of it for the [`PIECE`] under way, and the bytes of that. It stands still while nothing is read.
    left: Duration,
    marked: usize,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The reading end of the connection, when the call has ended.
pub struct Returned {
    /// The reading end.
    pub read: ReadHalf,
    /// What came after the frame.
    pub after: BytesMut,
    /// Whether the frame was read to its end.
    pub whole: bool,
}

impl Upload {
    /// The rest of a frame, to be read from `read`.
    pub fn new(read: ReadHalf, rest: Rest, frame_timeout: Duration) -> Self {
        let state = State {
            read,
            rest,
            buf: BytesMut::new(),
            whole: false,
            frame_timeout,
            left: frame_timeout,
            marked: 0,
            alarm: None,
        };
        Self {
            state: Mutex::new(Some(state)),
            taken: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
        }
    }

    /// Bytes of the frame that came after its first part.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
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
        let poll = match &mut *self.state.lock() {
            Some(state) => state.poll_chunk(cx),
            None => Poll::Ready(Some(Err(Outcome::ClientGone))),
        };
        if let Poll::Ready(Some(Ok(chunk))) = &poll {
            self.bytes.fetch_add(chunk.len() as u64, Relaxed);
        }
        poll
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
            Poll::Ready(Ok(n)) if n > 0 => self.moved(n),
            Poll::Ready(_) => return Poll::Ready(Some(Err(Outcome::ClientGone))),
            Poll::Pending => {
                let left = self.left;
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(left)));
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
            Err(BadFrame::TooLarge { .. }) => Poll::Ready(Some(Err(Outcome::FrameTooLarge))),
            Err(_) => Poll::Ready(Some(Err(Outcome::BadFrame))),
        }
    }

    /// The caller's clock starts anew for each [`PIECE`].
    fn moved(&mut self, bytes: usize) {
        let alarm = self.alarm.take();
        self.marked += bytes;
        if self.marked >= PIECE {
            (self.marked, self.left) = (0, self.frame_timeout);
        } else if let Some(alarm) = alarm {
            self.left = alarm.deadline().saturating_duration_since(Instant::now());
        }
    }
}
