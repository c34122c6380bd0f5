//! Calls on one connection, one after another: frame in, stack, reply out.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::time::Instant;

use super::client::{Client, Incoming, NoFrame};
use super::close::Closed;
use super::mux;
use super::record::{Ended, Unrouted, record, record_unrouted};
use super::redirect::SEVERAL;
use super::relay;
use super::upload::Upload;
use crate::buffer::Buf;
use crate::call::{CallService, Course, Status};
use crate::config::OnDeadline;
use crate::frame::{self, BadFrame, Head};
use crate::listener::Door;
use crate::outcome::{End, Failed, Limit, Outcome, Told};
use crate::registry::DialAddr;
use crate::route::Cached;
use crate::rpc::{Reply, ReplyBody, Request, RpcCall};
use crate::stack::alarm::Alarm;
use crate::stack::exchange::exchange;
use crate::stack::stack;

/// Thrift's internal error and Kitex's unknown service (`remote.InternalError`, `remote.UnknownService`).
const INTERNAL: i32 = 6;
const UNKNOWN_SERVICE: i32 = 20;

/// Carries the calls of a connection to its end.
pub async fn serve(mut client: Box<Client>, door: &Arc<Door>, alarm: Alarm) -> Closed {
    let mut stack = stack(exchange(), alarm.clone());
    let mut cached = Cached::new(client.redirected.take());
    let mut first = true;
    let stop = loop {
        let incoming = match client.frame(&alarm).await {
            Ok(incoming) => incoming,
            Err(none) => break Box::pin(refuse_frame(&mut client, door, none)).await.into(),
        };
        if std::mem::take(&mut first) {
            door.metrics.protocol(incoming.head.framing.label());
            if let Some(there) = untold(door, &mut cached, &incoming) {
                client.put_back(&incoming.frame);
                break Stop::Exactly(there);
            }
        }
        if incoming.head.is_mux() {
            // In a box, as all that is rare here: an idle connection must not pay for its size.
            return Box::pin(mux::serve(client, door, incoming, cached)).await;
        }
        door.count_call();
        let now = incoming.complete;
        let ended = match admit(&mut client, door, &mut cached, incoming) {
            Ok(request) => one(&mut client, door, &mut stack, &mut cached, request, now).await,
            Err(refused) => Box::pin(unadmitted(&mut client, door, &cached, refused)).await,
        };
        if let Err(stop) = ended {
            break stop;
        }
        // A call whose first byte was read is answered, though tidegate is stopping.
        if client.was_told() && client.bytes().is_empty() {
            break Closed::Drain.into();
        }
    };
    Box::pin(end(client, door, stop)).await
}

/// Why the calls of a connection end.
enum Stop {
    /// It ends.
    Closed(Closed),
    /// It goes on as bytes, the call read last among them, to exactly where its client wanted to go.
    Exactly(Box<DialAddr>),
}

impl From<Closed> for Stop {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

/// A call that could not be admitted is answered; or goes where it was going, if its service is followed no more.
async fn unadmitted(
    client: &mut Client,
    door: &Door,
    cached: &Cached,
    refused: Box<Refused>,
) -> Result<(), Stop> {
    let unfollowed = || {
        let Refused { head, frame, .. } = &*refused;
        door.routes.unfollowed(door, cached, head, frame)
    };
    let unknown = refused.failed.outcome == Outcome::UnknownService;
    if let Some(there) = unknown.then(unfollowed).flatten() {
        client.put_back(&refused.frame);
        return Err(Stop::Exactly(Box::new(there)));
    }
    refuse(client, door, refused).await.map_err(Stop::from)
}

fn untold(door: &Door, cached: &mut Cached, first: &Incoming) -> Option<Box<DialAddr>> {
    let there = door.routes.untold(door, cached, &first.head, &first.frame);
    there.map(Box::new)
}

async fn end(client: Box<Client>, door: &Arc<Door>, stop: Stop) -> Closed {
    match stop {
        Stop::Closed(closed) => {
            client.hang_up().await;
            closed
        }
        Stop::Exactly(there) => relay::exactly(client, door, *there, SEVERAL).await,
    }
}

/// One call, from its frame to the last byte of its answer.
async fn one(
    client: &mut Client,
    door: &Door,
    stack: &mut impl CallService<RpcCall>,
    cached: &mut Cached,
    request: Arc<Request>,
    now: Instant,
) -> Result<(), Stop> {
    let result = {
        let call = RpcCall {
            request: request.clone(),
            course: Course::new(now),
        };
        let mut running = pin!(stack.call(call));
        let mut watching = request.head.expects_reply() && request.upload.is_none();
        poll_fn(|cx| {
            if let Poll::Ready(result) = running.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if watching && client.poll_left(cx).is_ready() {
                watching = false;
                request.status.abandon();
                // The try under way ends now; what waits for an endpoint just goes.
                return match running.as_mut().poll(cx) {
                    Poll::Ready(result) => Poll::Ready(result),
                    Poll::Pending => {
                        Poll::Ready(Err(Failed::new(Outcome::ClientGone, Instant::now())))
                    }
                };
            }
            Poll::Pending
        })
        .await
    };
    let whole = reclaim(client, &request);
    match result {
        Ok(mut reply) => {
            if let Some(there) = door.routes.astray(cached, &request, &reply) {
                client.put_back(&request.frame);
                return Err(Stop::Exactly(Box::new(there)));
            }
            cached.learn(&request, &reply);
            deliver(client, door, &request, &mut reply).await?;
        }
        Err(failed) => Box::pin(answer(client, door, &request, failed)).await?,
    }
    if whole {
        Ok(())
    } else {
        Err(Closed::TooLarge.into())
    }
}

/// What could not be admitted.
pub(super) struct Refused {
    /// Its head and frame, for the answer.
    pub(super) head: Head,
    /// See `head`.
    pub(super) frame: Buf,
    /// When its first byte came in.
    pub(super) arrived: Instant,
    /// Why not.
    pub(super) failed: Failed,
}

impl Refused {
    /// For the account of calls without a service.
    pub(super) fn account(&self, client: &Client) -> Unrouted<'_> {
        Unrouted {
            call: Some((&self.head, &self.frame)),
            caller: client.peer().addr(),
            arrived: Some(self.arrived),
            failed: Some(self.failed.clone()),
        }
    }
}

/// The call with its target, or why it has none.
pub(super) fn admit(
    client: &mut Client,
    door: &Arc<Door>,
    cached: &mut Cached,
    incoming: Incoming,
) -> Result<Arc<Request>, Box<Refused>> {
    let Incoming {
        head,
        frame,
        rest,
        arrived,
        complete,
        held,
    } = incoming;
    let target = match door.routes.resolve(door, cached, &head, &frame, complete) {
        Ok(target) => target,
        Err(failed) => {
            let failed = match rest {
                Some(_) => failed.closing(),
                None => failed,
            };
            return Err(Box::new(Refused {
                head,
                frame,
                arrived,
                failed,
            }));
        }
    };
    let frame_timeout = client.frame_timeout();
    let upload = rest.and_then(|rest| Some(Upload::new(client.lend()?, rest, frame_timeout)));
    Ok(Arc::new(Request {
        target,
        head,
        frame,
        upload,
        whole_reply: head.is_mux(),
        arrived,
        source: client.peer().addr(),
        status: Status::new(complete.saturating_duration_since(arrived)),
        held,
        limits: (door.limits.hold, door.limits.max_frame),
    }))
}

/// The reading end is the connection's again. False if the call ended before its frame was read to its end: what
/// follows on the connection is no frame.
fn reclaim(client: &mut Client, request: &Request) -> bool {
    let Some(returned) = request.upload.as_ref().and_then(Upload::reclaim) else {
        return true;
    };
    client.give_back(returned.read, returned.after);
    returned.whole
}

/// Writes the reply: the instance's own bytes, but for `crrst` while tidegate is stopping.
async fn deliver(
    client: &mut Client,
    door: &Door,
    request: &Arc<Request>,
    reply: &mut Reply,
) -> Result<(), Closed> {
    if let Some(body) = reply.body.take() {
        return Box::pin(stream(client, door, request, reply, body)).await;
    }
    if let (Some(head), true) = (&reply.head, client.tells_closing()) {
        reply.frame = Buf::from(&frame::with_string(head, &reply.frame, "crrst", "1")[..]);
    }
    let (outcome, at) = match client.write(&reply.frame).await {
        Ok(false) => (reply.end.outcome, reply.end.at),
        Ok(true) => (reply.end.outcome, Instant::now()),
        Err(closed) => {
            let ended = Ended::new(Outcome::ClientGone, Instant::now(), 0);
            record(door, request, ended);
            return Err(closed);
        }
    };
    client.ended(at);
    record(door, request, Ended::new(outcome, at, reply.frame.len()));
    Ok(())
}

/// Passes a large reply on, as fast as the caller takes it.
async fn stream(
    client: &mut Client,
    door: &Door,
    request: &Arc<Request>,
    reply: &mut Reply,
    mut body: Box<dyn ReplyBody>,
) -> Result<(), Closed> {
    let mut len = reply.frame.len();
    let mut ended = client.write(&reply.frame).await.map(|_| ());
    reply.frame = Buf::default();
    let (mut outcome, mut cut) = (reply.end.outcome, None);
    while ended.is_ok() {
        match poll_fn(|cx| body.poll_chunk(cx)).await {
            None => break,
            Some(Ok(chunk)) => {
                len += chunk.len();
                ended = client.write(&chunk).await.map(|_| ());
            }
            Some(Err(failed)) => {
                let service = &request.target.cluster.name;
                let called = request.head.method(&request.frame);
                tracing::info!(service = %service, "{}", failed.explain(service, &called));
                outcome = Outcome::ReplyCut;
                (ended, cut) = (Err(Closed::ReplyCut), Some(failed));
            }
        }
    }
    let at = Instant::now();
    if matches!(ended, Err(Closed::Client | Closed::WriteTimeout)) {
        outcome = Outcome::ClientGone;
        body.abandon(End { outcome, at });
    }
    client.ended(at);
    let how = Ended {
        failed: cut,
        ..Ended::new(outcome, at, len)
    };
    record(door, request, how);
    ended
}

/// Answers a call that ended without a reply, as its outcome's row says.
async fn answer(
    client: &mut Client,
    door: &Door,
    request: &Arc<Request>,
    failed: Failed,
) -> Result<(), Closed> {
    let service = &request.target.cluster.name;
    log(service, &request.head, &request.frame, &failed);
    let silent = request.target.policy.on_deadline == OnDeadline::Silence;
    let bytes = reply_to(
        &request.head,
        &request.frame,
        service,
        &failed,
        silent,
        client.tells_closing(),
    );
    let wrote = match &bytes {
        Some(bytes) => client.write(bytes).await.map(|_| ()),
        None => Ok(()),
    };
    let (told, closes) = (failed.outcome.row().told, failed.closes);
    let len = bytes.map_or(0, |bytes| bytes.len());
    record(door, request, Ended::failed(failed, len));
    match told {
        Told::Nothing => Err(Closed::Client),
        Told::Close => Err(Closed::BadFrame),
        _ if closes => Err(Closed::TooLarge),
        _ => wrote,
    }
}

/// The answer's bytes, in the caller's own framing; `None` where nothing is to be said.
pub(super) fn reply_to(
    head: &Head,
    call: &[u8],
    service: &str,
    failed: &Failed,
    silent: bool,
    closing: bool,
) -> Option<Buf> {
    let type_id = match failed.outcome.row().told {
        Told::Exception | Told::Reply => INTERNAL,
        Told::Unknown => UNKNOWN_SERVICE,
        Told::Deadline if !silent => INTERNAL,
        Told::Deadline | Told::Close | Told::Nothing => return None,
    };
    if !head.expects_reply() {
        return None;
    }
    let text = failed.explain(service, &head.method(call));
    let closing = closing || failed.closes;
    let answer = frame::exception(head, call, type_id, &text, closing);
    Some(Buf::from(BytesMut::from(answer)))
}

/// One line for a call that failed and was not its caller's doing.
pub(super) fn log(service: &str, head: &Head, call: &[u8], failed: &Failed) {
    if failed.outcome.row().told != Told::Nothing {
        tracing::debug!(
            service,
            outcome = failed.outcome.label(),
            "{}",
            failed.explain(service, &head.method(call))
        );
    }
}

/// Answers a call that has no service to go to.
async fn refuse(client: &mut Client, door: &Door, refused: Box<Refused>) -> Result<(), Closed> {
    let account = refused.account(client);
    record_unrouted(door, refused.failed.outcome, account);
    let Refused {
        head,
        frame,
        failed,
        ..
    } = *refused;
    let named = head.to_service(&frame).unwrap_or("");
    log(named, &head, &frame, &failed);
    if let Some(bytes) = reply_to(&head, &frame, named, &failed, false, client.tells_closing()) {
        client.write(&bytes).await?;
    }
    if failed.closes {
        Err(Closed::TooLarge)
    } else {
        Ok(())
    }
}

/// There is no frame: the connection ends, with an answer where one is possible.
pub(super) async fn refuse_frame(client: &mut Client, door: &Door, none: NoFrame) -> Closed {
    let (head, frame, arrived, failed) = match none {
        NoFrame::Closed(closed) => {
            if closed == Closed::FrameTimeout
                || (closed == Closed::Client && !client.bytes().is_empty())
            {
                let outcome = match closed {
                    Closed::Client => Outcome::ClientGone,
                    _ => Outcome::BadFrame,
                };
                record_unrouted(door, outcome, unread(client, None, None));
            }
            return closed;
        }
        NoFrame::Bad(bad, head, bytes, arrived) => match *bad {
            BadFrame::TooLarge { .. } => {
                let limit = Limit::Count("max_frame", door.limits.max_frame);
                let failed = Failed::new(Outcome::FrameTooLarge, Instant::now())
                    .limit(limit, std::time::Duration::ZERO)
                    .because(bad.to_string());
                (head, bytes, arrived, failed)
            }
            bad => {
                tracing::warn!(listener = %door.name, "a bad frame, its connection is closed: {bad}");
                let account = unread(client, Some(arrived), None);
                record_unrouted(door, Outcome::BadFrame, account);
                return Closed::BadFrame;
            }
        },
        NoFrame::NoRoom(head, bytes, arrived) => {
            let limit = Limit::Count("max_buffered", crate::buffer::limit());
            let failed = Failed::new(Outcome::Overloaded, Instant::now())
                .limit(limit, std::time::Duration::ZERO)
                .because("no room to hold the call");
            door.refused("buffered");
            (head, bytes, arrived, failed)
        }
    };
    match head {
        Some(head) => {
            // Written or not, the connection ends.
            let refused = Refused {
                head,
                frame,
                arrived,
                failed: failed.closing(),
            };
            let _ = refuse(client, door, Box::new(refused)).await;
        }
        None => {
            let outcome = failed.outcome;
            let account = unread(client, Some(arrived), Some(failed));
            record_unrouted(door, outcome, account);
        }
    }
    Closed::TooLarge
}

/// A call whose head was not read.
fn unread(client: &Client, arrived: Option<Instant>, failed: Option<Failed>) -> Unrouted<'static> {
    Unrouted {
        call: None,
        caller: client.peer().addr(),
        arrived,
        failed,
    }
}
