//! A connection with several calls in flight: Kitex's mux clients set TTHeader's flag `0x0001` on every call.
//!
//! The connection is read on while calls run, up to `max_in_flight`; answers go out in any order, each once it is
//! complete, matched by the TTHeader seqid.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf as _;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tower::Service;

use super::LINGER;
use super::client::{Client, Incoming, NoFrame, Reading};
use super::close::Closed;
use super::record::{Ended, record, record_unrouted};
use super::thrift::{Refused, admit, log, refuse_frame, reply_to};
use crate::buffer::{Buf, Held};
use crate::call::Course;
use crate::config::OnDeadline;
use crate::listener::Door;
use crate::outcome::{Failed, Outcome};
use crate::route::Cached;
use crate::rpc::{Reply, Request, RpcCall};
use crate::stack::alarm::Alarm;
use crate::stack::exchange::exchange;
use crate::stack::stack;

/// Bytes of answers that may wait for the caller to read before no further call is read.
const QUEUE: usize = 1 << 20;
/// Answers written at once.
const BATCH: usize = 16;

/// A call in flight.
struct Running {
    request: Arc<Request>,
    result: Pin<Box<dyn Future<Output = Result<Reply, Failed>> + Send>>,
}

impl Future for Running {
    type Output = (Arc<Request>, Result<Reply, Failed>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = std::task::ready!(self.result.as_mut().poll(cx));
        Poll::Ready((self.request.clone(), result))
    }
}

struct Mux<'a> {
    client: Box<Client>,
    door: &'a Arc<Door>,
    cached: Cached,
    running: FuturesUnordered<Running>,
    out: VecDeque<(Buf, Held)>,
    out_bytes: usize,
    alarm: Alarm,
    /// By when the caller must have read something, while answers wait.
    write_by: Option<Instant>,
    reading: Option<Reading>,
    /// Until then calls are read though tidegate is stopping; set when it begins to.
    last_calls: Option<Instant>,
    max_in_flight: usize,
    /// Nothing more can be read: the connection ends once the calls in flight are answered.
    ending: Option<Closed>,
}

/// Carries the connection to its end; `first` is its first call.
pub(super) async fn serve(
    client: Box<Client>,
    door: &Arc<Door>,
    first: Incoming,
    cached: Cached,
) -> Closed {
    let mut mux = Mux {
        client,
        door,
        cached,
        running: FuturesUnordered::new(),
        out: VecDeque::new(),
        out_bytes: 0,
        alarm: Alarm::default(),
        write_by: None,
        reading: None,
        last_calls: None,
        max_in_flight: door.config().max_in_flight,
        ending: None,
    };
    mux.start(first);
    let end = poll_fn(|cx| mux.poll(cx)).await;
    mux.abandon();
    let closed = match end {
        NoFrame::Closed(closed) => closed,
        bad => refuse_frame(&mut mux.client, door, bad).await,
    };
    mux.client.hang_up().await;
    closed
}

impl Mux<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<NoFrame> {
        loop {
            while let Poll::Ready(Some((request, result))) = self.running.poll_next_unpin(cx) {
                self.ended(&request, result);
            }
            if let Poll::Ready(closed) = self.poll_out(cx) {
                return Poll::Ready(NoFrame::Closed(closed));
            }
            // A mux client is told nothing (`crrst` it ignores): what it has sent by then is still read and answered.
            if self.client.poll_closing(cx).is_ready() && self.poll_last_calls(cx).is_ready() {
                self.ending.get_or_insert(Closed::Drain);
            }
            if let Some(closed) = self.ending {
                if self.running.is_empty() && self.out.is_empty() {
                    return Poll::Ready(NoFrame::Closed(closed));
                }
                return Poll::Pending;
            }
            if self.running.len() >= self.max_in_flight || self.out_bytes > QUEUE {
                // A caller's clock stands still while it is not read from.
                if let Some(reading) = &mut self.reading {
                    reading.until = None;
                }
                return Poll::Pending;
            }
            match self.poll_call(cx) {
                Poll::Ready(Ok(incoming)) => self.start(incoming),
                Poll::Ready(Err(none)) => return Poll::Ready(none),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ready when calls that were on their way as tidegate began to stop have had their time.
    fn poll_last_calls(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self
            .last_calls
            .get_or_insert_with(|| Instant::now() + LINGER.0);
        ready!(self.alarm.poll(cx, until));
        if self.client.bytes().is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The next call's frame.
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, NoFrame>> {
        loop {
            if !self.client.bytes().is_empty() {
                let mut reading = self.reading.take().unwrap_or_else(|| Reading {
                    arrived: Instant::now(),
                    until: None,
                    marked: 0,
                    len: 0,
                });
                match self.client.next(&mut reading) {
                    Ok(Some(incoming)) => return Poll::Ready(Ok(incoming)),
                    Ok(None) => self.reading = Some(reading),
                    Err(none) => return Poll::Ready(Err(none)),
                }
            }
            let room = self.reading.as_ref().map_or(0, |reading| reading.len);
            match self.client.poll_bytes(cx, room) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    if let Some(reading) = &mut self.reading {
                        reading.moved(n);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Closed::Client.into())),
                Poll::Pending => return self.poll_clock(cx).map(Err),
            }
        }
    }

    /// The clock of half a frame.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<NoFrame> {
        let limit = self.client.frame_timeout();
        let Some(reading) = &mut self.reading else {
            return Poll::Pending;
        };
        let until = *reading.until.get_or_insert_with(|| Instant::now() + limit);
        self.alarm
            .poll(cx, until)
            .map(|()| Closed::FrameTimeout.into())
    }

    /// Starts a call.
    fn start(&mut self, incoming: Incoming) {
        self.door.count_call();
        let now = incoming.complete;
        let request = match admit(&mut self.client, self.door, &mut self.cached, incoming) {
            Ok(request) => request,
            Err(refused) => {
                let account = refused.account(&self.client);
                record_unrouted(self.door, refused.failed.outcome, account);
                let Refused {
                    head,
                    frame,
                    failed,
                    ..
                } = *refused;
                if failed.closes {
                    self.ending = Some(Closed::TooLarge);
                }
                let named = head.to_service(&frame).unwrap_or("");
                self.queue(
                    reply_to(&head, &frame, named, &failed, false, false),
                    Held::default(),
                );
                return;
            }
        };
        let call = RpcCall {
            request: request.clone(),
            course: Course::new(now),
        };
        self.running.push(Running {
            request,
            result: Box::pin(async move { stack(exchange(), Alarm::default()).call(call).await }),
        });
    }

    /// A call has ended: its answer waits to be written.
    fn ended(&mut self, request: &Arc<Request>, result: Result<Reply, Failed>) {
        if let Some(returned) = request
            .upload
            .as_ref()
            .and_then(super::upload::Upload::reclaim)
        {
            self.client.give_back(returned.read, returned.after);
            if !returned.whole {
                // What follows on the connection is no frame.
                self.ending = Some(Closed::TooLarge);
            }
        }
        let (ended, bytes, held) = match result {
            Ok(reply) => {
                self.cached.learn(request, &reply);
                let bytes = reply.head.is_some().then_some(reply.frame);
                let len = bytes.as_ref().map_or(0, |bytes| bytes.len());
                let ended = Ended::new(reply.end.outcome, reply.end.at, len);
                (ended, bytes, reply.held)
            }
            Err(failed) => {
                let service = &request.target.cluster.name;
                log(service, &request.head, &request.frame, &failed);
                let silent = request.target.policy.on_deadline == OnDeadline::Silence;
                let bytes = reply_to(
                    &request.head,
                    &request.frame,
                    service,
                    &failed,
                    silent,
                    false,
                );
                let len = bytes.as_ref().map_or(0, |bytes| bytes.len());
                (Ended::failed(failed, len), bytes, Held::default())
            }
        };
        record(self.door, request, ended);
        self.queue(bytes, held);
    }

    fn queue(&mut self, bytes: Option<Buf>, held: Held) {
        if let Some(bytes) = bytes {
            self.out_bytes += bytes.len();
            self.out.push_back((bytes, held));
        }
    }

    /// Writes what waits. Ready only when the connection is to end.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); BATCH];
            let n = self.out.len().min(BATCH);
            for (slice, (bytes, _)) in slices.iter_mut().zip(&self.out) {
                *slice = IoSlice::new(bytes);
            }
            match self.client.poll_write(cx, &slices[..n]) {
                Poll::Ready(Ok(n)) if n > 0 => self.wrote(n),
                Poll::Ready(_) => return Poll::Ready(Closed::Client),
                Poll::Pending => {
                    let limit = self.client.write_timeout();
                    let by = *self.write_by.get_or_insert_with(|| Instant::now() + limit);
                    return self.alarm.poll(cx, by).map(|()| Closed::WriteTimeout);
                }
            }
        }
        Poll::Pending
    }

    fn wrote(&mut self, mut n: usize) {
        self.write_by = None;
        self.out_bytes -= n;
        while let Some((bytes, _)) = self.out.front_mut() {
            let some = bytes.len().min(n);
            bytes.advance(some);
            n -= some;
            if !bytes.is_empty() {
                break;
            }
            self.out.pop_front();
        }
    }

    /// The connection ends: the calls in flight end with it, each with its outcome. A oneway call is still delivered.
    fn abandon(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for mut call in std::mem::take(&mut self.running) {
            let request = call.request.clone();
            if !request.head.expects_reply() {
                tokio::spawn(deliver(call, self.door.clone()));
                continue;
            }
            request.status.abandon();
            // An abandoned try ends at its next poll; what waits for an endpoint just goes.
            let failed = match Pin::new(&mut call).poll(&mut cx) {
                Poll::Ready((_, Err(failed))) => failed,
                _ => Failed::new(Outcome::ClientGone, Instant::now()),
            };
            // What it was still doing is told as it is dropped.
            drop(call);
            record(self.door, &request, Ended::failed(failed, 0));
        }
    }
}

/// A oneway call whose caller left, to its end.
async fn deliver(call: Running, door: Arc<Door>) {
    let (request, result) = call.await;
    let ended = match result {
        Ok(reply) => Ended::new(reply.end.outcome, reply.end.at, 0),
        Err(failed) => Ended::failed(failed, 0),
    };
    record(&door, &request, ended);
}
