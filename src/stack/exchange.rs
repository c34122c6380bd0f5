//! The leaf: one try on its connection, call out, reply in.
//!
//! Whatever ends the try early drops this future. Then its wire's drop decides what becomes of the connection: closed,
//! or kept as an orphan that waits for the late reply, since no Thrift server can be told to stop.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use tower::service_fn;

use crate::buffer::{Buf, Held};
use crate::call::{CallService, Course, Shared, Try};
use crate::endpoint::Place;
use crate::frame::{self, Decoder, Digits, Head, Limits, Progress, Side, Verdict};
use crate::outcome::{End, Failed, Outcome, Phase, Reach};
use crate::probe::recognise;
use crate::rpc::{Reply, Request, RpcCall};
use crate::upstream::Conn;

mod body;
mod lost;
mod orphan;

use body::Body;

/// A read deadline starts anew whenever so many bytes have moved.
const MARK: usize = 64 * 1024;
/// What Kitex writes on a call that was sent before (`retry.TransitKey`, as a persistent key).
const RETRIED: (&str, &str) = ("RPC_PERSIST_RetryReq", "1");

/// The service at the bottom of the stack.
pub fn exchange() -> impl CallService<Try<RpcCall>> {
    service_fn(run)
}

async fn run(tried: Try<RpcCall>) -> Result<Reply, Failed> {
    let mut wire = Wire::new(tried);
    wire.send().await?;
    if wire.request.expects_reply() {
        wire.receive().await
    } else {
        Box::pin(wire.part()).await
    }
}

/// A call at its connection.
struct Wire {
    conn: Option<Box<Conn>>,
    place: Option<Place>,
    request: Arc<Request>,
    course: Course,
    /// Bytes that the connection had carried before this call.
    before: u64,
    written: bool,
    /// The reply's share of the bytes held, while it comes.
    held: Held,
}

impl Wire {
    fn new(tried: Try<RpcCall>) -> Self {
        Self {
            before: tried.conn.sent,
            conn: Some(tried.conn),
            place: Some(tried.place),
            course: tried.call.course,
            request: tried.call.request,
            written: false,
            held: Held::default(),
        }
    }

    /// Sends the call: the caller's own bytes, but for the time that is left and the mark of a call sent again.
    async fn send(&mut self) -> Result<(), Failed> {
        let again = self.course.resent && self.request.upload.is_none();
        let sent = if again && self.request.head.tt.is_some() {
            let (head, frame) = marked(&self.request.head, &self.request.frame);
            Box::pin(self.send_frame(&head, &frame)).await
        } else {
            let request = self.request.clone();
            self.send_frame(&request.head, &request.frame).await
        };
        sent.map_err(|error| self.lost(&error))?;
        if self.request.upload.is_some() {
            Box::pin(self.pass_on_upload()).await?;
        }
        self.written = true;
        self.request.status.sent();
        Ok(())
    }

    async fn send_frame(&mut self, head: &Head, frame: &[u8]) -> io::Result<()> {
        match patch(head, &self.course) {
            None => self.write(&mut [IoSlice::new(frame)]).await,
            Some((at, digits)) => {
                let (front, back) = frame.split_at(at);
                let back = IoSlice::new(&back[digits.len()..]);
                self.write(&mut [IoSlice::new(front), IoSlice::new(&digits), back])
                    .await
            }
        }
    }

    async fn write(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let (mut marked, mut waited) = (0, false);
        while !parts.is_empty() {
            let conn = self.conn.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            let wrote = poll_fn(|cx| {
                let stream = Pin::new(&mut conn.stream);
                let poll = match &*parts {
                    [one] => stream.poll_write(cx, one),
                    many => stream.poll_write_vectored(cx, many),
                };
                waited |= poll.is_pending();
                poll
            });
            let n = match wrote.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => n,
            };
            conn.sent += n as u64;
            marked += n;
            self.request.status.reached(Reach::Written);
            IoSlice::advance_slices(&mut parts, n);
            if marked >= MARK || (waited && parts.is_empty()) {
                marked = 0;
                self.moved();
            }
        }
        Ok(())
    }

    /// The rest of a frame over `hold`, from the caller as it comes.
    async fn pass_on_upload(&mut self) -> Result<(), Failed> {
        let request = self.request.clone();
        let Some(upload) = &request.upload else {
            return Ok(());
        };
        upload.take();
        loop {
            let chunk = poll_fn(|cx| {
                let poll = upload.poll_chunk(cx);
                if poll.is_pending() {
                    // The caller's time, not the endpoint's: it is the caller's `frame_timeout` that runs.
                    request
                        .status
                        .progress(Duration::from_secs(u64::from(u32::MAX)));
                }
                poll
            })
            .await;
            self.moved();
            match chunk {
                None => return Ok(()),
                Some(Ok(bytes)) => {
                    let wrote = self.write(&mut [IoSlice::new(&bytes)]).await;
                    wrote.map_err(|error| self.lost(&error))?;
                }
                Some(Err(outcome)) => {
                    self.conn = None;
                    return Err(Failed::new(outcome, Instant::now())
                        .during(Phase::Write, Reach::Written)
                        .closing());
                }
            }
        }
    }

    /// Bytes moved: the read deadline starts anew.
    fn moved(&self) {
        let since = self.request.arrived.elapsed();
        self.request.status.progress(since);
        if !self.written {
            self.request.status.timeline().wrote(since);
        }
    }

    /// A oneway call is written: nothing comes back, and the connection is closed behind it, gracefully.
    async fn part(&mut self) -> Result<Reply, Failed> {
        if let Some(mut conn) = self.conn.take() {
            // Whether the peer still takes a FIN changes nothing: the call is on its way.
            let _ = poll_fn(|cx| Pin::new(&mut conn.stream).poll_shutdown(cx)).await;
        }
        let end = End {
            outcome: Outcome::Ok,
            at: Instant::now(),
        };
        Ok(Reply {
            head: None,
            frame: Buf::default(),
            body: None,
            end,
            held: Held::default(),
        })
    }

    async fn receive(&mut self) -> Result<Reply, Failed> {
        let (mut marked, mut first) = (0, true);
        loop {
            match self.read().await {
                Ok(0) => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => marked += n,
                Err(error) => return Err(self.lost(&error)),
            }
            self.request.status.reached(Reach::Replied);
            if self.conn.as_ref().is_some_and(|conn| conn.came_back()) {
                return Err(looped());
            }
            let reply = self.decoded()?;
            let whole = reply.as_ref().is_some_and(|reply| reply.body.is_none());
            if std::mem::take(&mut first) && !whole {
                self.first_byte();
            }
            if let Some(reply) = reply {
                return Ok(reply);
            }
            if marked >= MARK {
                marked = 0;
                self.moved();
            }
        }
    }

    /// The reply does not come in one read: only then the clock is looked at for its first byte.
    #[cold]
    fn first_byte(&self) {
        let since = self.request.arrived.elapsed();
        self.request.status.timeline().first_byte(since);
    }

    /// Reads once. Nothing is held while there is nothing.
    async fn read(&mut self) -> io::Result<usize> {
        let conn = self.conn.as_deref_mut();
        let Conn {
            stream, buf: slot, ..
        } = conn.ok_or(io::ErrorKind::NotConnected)?;
        poll_fn(|cx| {
            let mut buf = slot.take().unwrap_or_else(Buf::take);
            let poll = poll_read_buf(Pin::new(&mut *stream), cx, &mut *buf);
            if poll.is_ready() || !buf.is_empty() {
                *slot = Some(buf);
            }
            poll
        })
        .await
    }

    /// The reply, if it is there: whole, or the first part of a large one.
    fn decoded(&mut self) -> Result<Option<Reply>, Failed> {
        let (hold, max_frame) = self.request.limits;
        loop {
            let Some(conn) = self.conn.as_deref_mut() else {
                return Ok(None);
            };
            let decoder = conn.decoder.get_or_insert_with(|| replies(max_frame));
            let Some(buf) = conn.buf.as_mut().filter(|buf| !buf.is_empty()) else {
                return Ok(None);
            };
            match decoder.decode(buf) {
                Err(bad) => {
                    let spoke = recognise(buf);
                    return Err(self.no_thrift(spoke, &bad));
                }
                Ok(Progress::Whole { head, len }) => {
                    let frame = Buf::split_frame(&mut conn.buf, len);
                    if !frame::is_control(&head, &frame) {
                        return self.whole(head, frame).map(Some);
                    }
                    // A mux server says it is going: this connection carries no further call.
                    conn.retire();
                }
                Ok(Progress::More { need, head, total }) => {
                    let len = buf.len();
                    let large = total.unwrap_or(len + need) > hold && len >= MARK.min(hold);
                    if let (Some(head), true, false) = (head, large, self.request.whole_reply) {
                        return self.stream(head).map(Some);
                    }
                    if !self.held.set(len) {
                        self.conn = None;
                        return Err(overloaded());
                    }
                    // What is announced is believed up to `hold`; beyond, room grows with what comes.
                    buf.reserve_frame(total.unwrap_or(len + need).min(hold).max(len + 1));
                    return Ok(None);
                }
            }
        }
    }

    fn whole(&mut self, head: Head, frame: Buf) -> Result<Reply, Failed> {
        self.check(&head)?;
        if !self.held.set(frame.len()) {
            self.conn = None;
            return Err(overloaded());
        }
        let end = End {
            outcome: outcome(&head, &frame),
            at: Instant::now(),
        };
        self.finish(&head, end.at);
        Ok(Reply {
            head: Some(head),
            frame,
            body: None,
            end,
            held: std::mem::take(&mut self.held),
        })
    }

    /// The first part of a large reply; the rest follows as its body.
    fn stream(&mut self, head: Head) -> Result<Reply, Failed> {
        self.check(&head)?;
        let (Some(mut conn), Some(place)) = (self.conn.take(), self.place.take()) else {
            return Err(self.bad("its connection is gone".to_owned()));
        };
        let frame = conn.buf.take().unwrap_or_default();
        let rest = conn.decoder.as_mut().and_then(|d| d.into_rest(&frame));
        let Some(rest) = rest else {
            return Err(self.bad("its head is not complete".to_owned()));
        };
        let end = End {
            outcome: outcome(&head, &frame),
            at: Instant::now(),
        };
        let body = Body::new(
            conn,
            place,
            self.request.clone(),
            self.course.until,
            rest,
            end.outcome,
            head,
        );
        Ok(Reply {
            head: Some(head),
            frame,
            body: Some(Box::new(body)),
            end,
            held: Held::default(),
        })
    }

    /// A reply answers its call by the message's seqid; on a connection with several calls by TTHeader's, too.
    fn check(&mut self, head: &Head) -> Result<(), Failed> {
        let call = &self.request.head;
        let tt = |h: &Head| h.tt.map(|tt| tt.seqid);
        if head.seqid != call.seqid || (self.request.whole_reply && tt(head) != tt(call)) {
            let (got, want) = (head.seqid, call.seqid);
            return Err(self.bad(format!("a reply with seqid {got} to the call {want}")));
        }
        Ok(())
    }

    /// The connection goes back to the pool, or is closed where it was asked to be.
    fn finish(&mut self, head: &Head, now: Instant) {
        if let (Some(conn), Some(place)) = (self.conn.take(), &self.place) {
            give_back(conn, place, head, now, self.request.target.service.max_idle);
        }
    }
}

/// Back to the pool; closed if the peer asked for it, if the endpoint is gone, or if bytes were left over.
fn give_back(mut conn: Box<Conn>, place: &Place, head: &Head, now: Instant, max_idle: usize) {
    let closing = head.tt.is_some_and(|tt| tt.closing);
    if closing || conn.is_retired() || place.endpoint().is_removed() {
        return;
    }
    conn.served += 1;
    place.endpoint().pool.put(conn, now, max_idle);
}

fn outcome(head: &Head, frame: &[u8]) -> Outcome {
    match frame::verdict(head, frame) {
        Verdict::Ok => Outcome::Ok,
        Verdict::Declared => Outcome::DeclaredException,
        Verdict::BizStatus => Outcome::BizStatus,
        Verdict::Exception { .. } => Outcome::Exception,
    }
}

fn overloaded() -> Failed {
    let limit = crate::outcome::Limit::Count("max_buffered", crate::buffer::limit());
    Failed::new(Outcome::Overloaded, Instant::now())
        .during(Phase::Read, Reach::Replied)
        .limit(limit, Duration::ZERO)
        .because("no room to hold the reply")
}

/// A connection's decoder.
#[cold]
fn replies(max_frame: usize) -> Decoder {
    let limits = Limits {
        max_frame,
        ..Limits::default()
    };
    Decoder::new(limits, Side::Replies)
}

/// The frame with Kitex's mark of a retry, and its head.
#[cold]
fn marked(head: &Head, frame: &[u8]) -> (Head, Bytes) {
    let marked = frame::with_string(head, frame, RETRIED.0, RETRIED.1);
    match Decoder::new(Limits::default(), Side::Calls).decode(&marked) {
        Ok(Progress::Whole { head, .. }) => (head, marked),
        _ => (*head, Bytes::copy_from_slice(frame)),
    }
}

/// Where the caller's deadline stands in its frame, and what is left of it.
#[inline]
fn patch(head: &Head, course: &Course) -> Option<(usize, Digits)> {
    let timeout = head.tt.as_ref()?.timeout.as_ref()?;
    let left = course.until?.saturating_duration_since(course.now);
    let digits = frame::with_timeout(timeout, left)?;
    Some((timeout.span.at(), digits))
}

/// Reads what there is of a large reply, in pieces of this size at most.
fn poll_piece(conn: &mut Conn, cx: &mut std::task::Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
    let Conn {
        stream, buf: slot, ..
    } = conn;
    let mut buf = slot.take().unwrap_or_else(Buf::take);
    buf.reserve_frame(MARK);
    let n = ready!(poll_read_buf(Pin::new(stream), cx, &mut *buf))?;
    Poll::Ready(Ok((n > 0).then(|| buf.split().freeze())))
}

/// The connection came back to a transparent listener of ours, which said so: no instance has said anything.
#[cold]
fn looped() -> Failed {
    Failed::new(Outcome::LoopDetected, Instant::now()).because(
        "the connection to the instance came back to tidegate: the firewall's rules must exempt tidegate's own (tidegate \
         iptables --uid, --gid or --mark)",
    )
}
