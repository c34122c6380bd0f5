//! The caller's end of a connection: frames in, bytes out, under its clocks.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, timeout};
use tokio_util::io::poll_read_buf;

use super::close::{self, Closed};
use crate::buffer::{Buf, Held};
use crate::frame::{BadFrame, Decoder, Head, Limits, Progress, Rest, Side};
use crate::listener::{Door, Drain};
use crate::platform::{self, Peer, ReadHalf, Stream, WriteHalf};
use crate::route::Redirected;
use crate::stack::alarm::Alarm;

/// Bytes read ahead at most while a call is in flight, to learn whether its caller is still there.
const AHEAD: usize = 16 * 1024;
/// The caller's clocks run for so many bytes of a frame, then start anew.
const MARK: usize = 64 * 1024;

/// While tidegate is stopping, a connection without a call for so long is closed.
const QUIET: Duration = Duration::from_secs(1);

/// See the module.
pub struct Client {
    read: Option<ReadHalf>,
    write: WriteHalf,
    peer: Peer,
    origin: Option<SocketAddr>,
    /// What is registered there, on its way to the calls.
    pub redirected: Option<Box<Redirected>>,
    buf: Option<Buf>,
    decoder: Decoder,
    held: Held,
    hold: usize,
    frame_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    /// When the last call ended: the idle clock starts there, with no further look at the time.
    idle_since: Option<Instant>,
    drain: Drain,
    told: bool,
}

/// A call's frame as it came in.
pub struct Incoming {
    /// Its head.
    pub head: Head,
    /// The frame, or its first part.
    pub frame: Buf,
    /// What is still to come of a frame over `hold`.
    pub rest: Option<Rest>,
    /// When its first byte came in, and when it was complete.
    pub arrived: Instant,
    /// See `arrived`.
    pub complete: Instant,
    /// Its share of the bytes held.
    pub held: Held,
}

/// What reading came to, when there is no frame.
pub enum NoFrame {
    /// The connection ends.
    Closed(Closed),
    /// The frame is bad: answered where it can be, then the connection ends.
    Bad(Box<BadFrame>, Option<Head>, Buf, Instant),
    /// No room to hold it.
    NoRoom(Option<Head>, Buf, Instant),
}

impl From<Closed> for NoFrame {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl Client {
    /// A connection just accepted.
    pub fn new(stream: Stream, peer: Peer, door: &Door) -> Self {
        let config = door.config();
        let origin = config
            .transparent
            .then(|| platform::original_dst(&stream))
            .flatten();
        let (read, write) = stream.into_split();
        let limits = Limits {
            max_frame: door.limits.max_frame,
            ..Limits::default()
        };
        Self {
            read: Some(read),
            write,
            peer,
            origin,
            redirected: None,
            buf: None,
            decoder: Decoder::new(limits, Side::Calls),
            held: Held::default(),
            hold: door.limits.hold,
            frame_timeout: config.frame_timeout,
            idle_timeout: config.client_idle_timeout,
            write_timeout: config.client_write_timeout,
            idle_since: None,
            drain: door.drain.clone(),
            told: false,
        }
    }

    /// Who it is.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The address that it dialled, where the firewall redirected it to a transparent listener.
    pub fn origin(&self) -> Option<SocketAddr> {
        self.origin
    }

    /// What was read and not used yet.
    pub fn bytes(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], |buf| buf)
    }

    /// Reads once into the buffer; nothing is held while there is nothing. `Ok(0)`: the caller closed.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let Some(read) = &mut self.read else {
            return Poll::Pending;
        };
        let mut buf = self.buf.take().unwrap_or_else(Buf::take);
        if room > 0 {
            buf.reserve_frame(room);
        }
        let poll = poll_read_buf(Pin::new(read), cx, &mut *buf);
        if !buf.is_empty() {
            self.buf = Some(buf);
        }
        poll
    }

    /// Waits for the first bytes of a connection, or of the next frame. While tidegate is stopping, not for long.
    pub async fn first_bytes(&mut self, alarm: &Alarm, idle: Duration) -> Result<(), Closed> {
        let mut began = self.idle_since;
        poll_fn(|cx| {
            match self.poll_read(cx, 0) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Closed::Client)),
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Closed::Client)),
                Poll::Pending => {}
            }
            let began = *began.get_or_insert_with(Instant::now);
            if self.drain.poll_closing(cx).is_ready() {
                // A call may be on its way: one that crossed our FIN would be lost.
                let quiet = began + idle.min(QUIET);
                return alarm.poll(cx, quiet).map(|()| Err(Closed::Drain));
            }
            alarm.poll(cx, began + idle).map(|()| Err(Closed::Idle))
        })
        .await
    }

    /// Waits for more of the first bytes.
    pub async fn more_bytes(&mut self, alarm: &Alarm, limit: Duration) -> Result<(), Closed> {
        let until = Instant::now() + limit;
        poll_fn(|cx| match self.poll_read(cx, 0) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Closed::Client)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Pending => alarm.poll(cx, until).map(|()| Err(Closed::DetectTimeout)),
        })
        .await
    }

    /// The next frame. It is whole, or, over `hold`, its first part.
    pub async fn frame(&mut self, alarm: &Alarm) -> Result<Incoming, NoFrame> {
        if self.bytes().is_empty() {
            self.first_bytes(alarm, self.idle_timeout).await?;
        }
        self.idle_since = None;
        let arrived = Instant::now();
        let mut reading = Reading {
            arrived,
            until: None,
            marked: 0,
            len: 0,
        };
        loop {
            match self.next(&mut reading) {
                Ok(Some(incoming)) => return Ok(incoming),
                Ok(None) => {}
                Err(none) => return Err(none),
            }
            let n = poll_fn(|cx| self.poll_more(cx, alarm, &mut reading)).await?;
            reading.moved(n);
        }
    }

    /// The frame at the front of the buffer, if it is there.
    pub fn next(&mut self, reading: &mut Reading) -> Result<Option<Incoming>, NoFrame> {
        let Some(buf) = &mut self.buf else {
            return Ok(None);
        };
        match self.decoder.decode(buf) {
            Ok(Progress::Whole { head, len }) => {
                let arrived = reading.arrived;
                let complete = if reading.until.is_some() {
                    Instant::now()
                } else {
                    arrived
                };
                if !self.held.set(len) {
                    return Err(self.no_room(Some(head), arrived));
                }
                let frame = Buf::split_frame(&mut self.buf, len);
                let held = std::mem::take(&mut self.held);
                Ok(Some(Incoming {
                    head,
                    frame,
                    rest: None,
                    arrived,
                    complete,
                    held,
                }))
            }
            Ok(Progress::More { need, head, total }) => {
                let len = buf.len();
                if !self.held.set(len) {
                    return Err(self.no_room(head, reading.arrived));
                }
                if let (Some(head), true) = (head, len >= self.hold) {
                    return Ok(self.first_part(head, reading.arrived));
                }
                // What is announced is believed up to `hold`; beyond, room grows with what comes.
                reading.len = total.unwrap_or(len + need).min(self.hold).max(len + 1);
                Ok(None)
            }
            Err(bad) => {
                let head = self.decoder.head();
                Err(NoFrame::Bad(
                    Box::new(bad),
                    head,
                    self.buf.take().unwrap_or_default(),
                    reading.arrived,
                ))
            }
        }
    }

    fn no_room(&mut self, head: Option<Head>, arrived: Instant) -> NoFrame {
        let bytes = self.buf.take().unwrap_or_default();
        NoFrame::NoRoom(head, bytes, arrived)
    }

    /// A frame over `hold`: what is there of it goes first, the rest is passed on as it comes.
    fn first_part(&mut self, head: Head, arrived: Instant) -> Option<Incoming> {
        let frame = self.buf.take()?;
        let rest = self.decoder.into_rest(&frame)?;
        let held = std::mem::take(&mut self.held);
        Some(Incoming {
            head,
            frame,
            rest: Some(rest),
            arrived,
            complete: Instant::now(),
            held,
        })
    }

    /// Reads on inside a frame.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        alarm: &Alarm,
        reading: &mut Reading,
    ) -> Poll<Result<usize, Closed>> {
        match self.poll_read(cx, reading.len) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Closed::Client)),
            Poll::Ready(Ok(n)) => {
                reading
                    .until
                    .get_or_insert_with(|| Instant::now() + self.frame_timeout);
                Poll::Ready(Ok(n))
            }
            Poll::Pending => {
                let until = *reading
                    .until
                    .get_or_insert_with(|| Instant::now() + self.frame_timeout);
                alarm.poll(cx, until).map(|()| Err(Closed::FrameTimeout))
            }
        }
    }

    /// Reads ahead while a call is in flight: a FIN or a reset means that the caller left. Ready when it did.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.bytes().len() < AHEAD {
            match self.poll_read(cx, 0) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }

    /// Reads what there is, for a connection with several calls in flight.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.poll_read(cx, room)
    }

    /// Whether tidegate is closing its connections; if not, the task is woken when it does.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drain.poll_closing(cx)
    }

    /// A call has ended.
    #[inline]
    pub fn ended(&mut self, at: Instant) {
        self.idle_since = Some(at);
    }

    /// Whether tidegate is closing its connections: asked for the answer that is written next, which says so where it
    /// can, and is the connection's last.
    pub fn tells_closing(&mut self) -> bool {
        self.told |= self.drain.is_closing();
        self.told
    }

    /// Whether the last answer was written as the last one. (One written just before tidegate began to close was not.)
    pub fn was_told(&self) -> bool {
        self.told
    }

    /// Writes all of it, as fast as the caller reads. True if it had to wait.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<bool, Closed> {
        let mut write = Pin::new(&mut self.write);
        match poll_fn(|cx| Poll::Ready(write.as_mut().poll_write(cx, bytes))).await {
            Poll::Ready(Ok(n)) if n == bytes.len() => Ok(false),
            Poll::Ready(Ok(n)) => Box::pin(self.write_on(&bytes[n..])).await,
            Poll::Ready(Err(_)) => Err(Closed::Client),
            Poll::Pending => Box::pin(self.write_on(bytes)).await,
        }
    }

    /// The caller does not take it all at once.
    #[cold]
    async fn write_on(&mut self, mut left: &[u8]) -> Result<bool, Closed> {
        while !left.is_empty() {
            let mut write = Pin::new(&mut self.write);
            let wrote = poll_fn(|cx| write.as_mut().poll_write(cx, left));
            match timeout(self.write_timeout, wrote).await {
                Ok(Ok(n)) if n > 0 => left = &left[n..],
                Ok(_) => return Err(Closed::Client),
                Err(_) => return Err(Closed::WriteTimeout),
            }
        }
        Ok(true)
    }

    /// Writes some of the slices.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, slices)
    }

    /// The clocks for a reply that waits to be read.
    pub fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// The longest half a frame may take.
    pub fn frame_timeout(&self) -> Duration {
        self.frame_timeout
    }

    /// The reading end, lent to a call whose frame is passed on as it comes.
    pub fn lend(&mut self) -> Option<ReadHalf> {
        self.read.take()
    }

    /// The reading end is back, with what came after the frame.
    pub fn give_back(&mut self, read: ReadHalf, after: BytesMut) {
        self.read = Some(read);
        self.buf = Some(Buf::from(after)).filter(|buf| !buf.is_empty());
    }

    /// A frame that was taken is to be relayed, with what came after it.
    pub fn put_back(&mut self, frame: &[u8]) {
        let mut bytes = BytesMut::from(frame);
        bytes.extend_from_slice(self.bytes());
        self.buf = Some(Buf::from(bytes));
    }

    /// The socket and what was read of it, for a relay.
    pub fn into_parts(self: Box<Self>) -> Option<(ReadHalf, WriteHalf, Option<Buf>)> {
        Some((self.read?, self.write, self.buf))
    }

    /// Ends the connection with a FIN; what still arrives is read and dropped for a while.
    pub async fn hang_up(self: Box<Self>) {
        let Self { read, write, .. } = *self;
        if let Some(stream) = read.and_then(|read| read.reunite(write)) {
            close::gently(stream).await;
        }
    }
}

/// A frame that is being read.
pub struct Reading {
    /// When its first byte came in.
    pub arrived: Instant,
    /// By when it must have moved on; set once it did not come all at once.
    pub until: Option<Instant>,
    /// Bytes since the clock was set.
    pub marked: usize,
    /// Room to read for.
    pub len: usize,
}

impl Reading {
    /// So many bytes came in: the clock starts anew for each 64 KiB.
    pub fn moved(&mut self, bytes: usize) {
        self.marked += bytes;
        if self.marked >= MARK {
            (self.marked, self.until) = (0, None);
        }
    }
}
