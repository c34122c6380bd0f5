//! The rest of a large reply, passed on as it comes; the guards of the layers ride in it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{MARK, give_back, poll_piece};
use crate::call::Rider;
use crate::endpoint::Place;
use crate::frame::{Fed, Head, Rest};
use crate::outcome::{End, Failed, Limit, Outcome, Phase, Reach};
use crate::rpc::{ReplyBody, Request};
use crate::stack::attempt::read_deadline;
use crate::upstream::Conn;

/// See the module.
pub(super) struct Body {
    conn: Option<Box<Conn>>,
    place: Place,
    request: Arc<Request>,
    until: Option<Instant>,
    rest: Rest,
    outcome: Outcome,
    head: Head,
    riders: Vec<Rider>,
    /// Armed only while the endpoint is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Bytes since the read deadline began anew, and what is left of it: it stands still while the caller is waited
    /// for.
    marked: usize,
    left: Option<Duration>,
}

impl Body {
    pub(super) fn new(
        conn: Box<Conn>,
        place: Place,
        request: Arc<Request>,
        until: Option<Instant>,
        rest: Rest,
        outcome: Outcome,
        head: Head,
    ) -> Self {
        Self {
            conn: Some(conn),
            place,
            left: read_deadline(&request),
            request,
            until,
            rest,
            outcome,
            head,
            riders: Vec::new(),
            alarm: None,
            marked: 0,
        }
    }

    fn settle(&mut self, end: End) {
        for rider in self.riders.drain(..) {
            rider(end);
        }
    }

    /// The reply stopped in its middle.
    fn stopped(
        &mut self,
        outcome: Outcome,
        why: &str,
        limit: Option<(&'static str, Duration)>,
    ) -> Failed {
        self.conn = None;
        let endpoint = self.place.endpoint();
        let failed = Failed::new(outcome, Instant::now())
            .during(Phase::Read, Reach::Replied)
            .to(endpoint.id, &endpoint.name)
            .because(why)
            .closing();
        self.settle(failed.end());
        match limit {
            Some((key, after)) => failed.limit(Limit::Time(key, after), after),
            None => failed,
        }
    }

    /// Bytes came.
    fn moved(&mut self, bytes: usize) {
        let alarm = self.alarm.take();
        self.marked += bytes;
        if self.marked >= MARK {
            (self.marked, self.left) = (0, read_deadline(&self.request));
        } else if let (Some(alarm), Some(left)) = (alarm, &mut self.left) {
            *left = alarm.deadline().saturating_duration_since(Instant::now());
        }
    }

    /// Ready when the endpoint made no progress for too long, or the call's time is over.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Failed> {
        let now = Instant::now();
        let Some(at) = [self.left.map(|left| now + left), self.until]
            .into_iter()
            .flatten()
            .min()
        else {
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        ready!(alarm.as_mut().poll(cx));
        if self.until.is_some_and(|until| until <= now) {
            return Poll::Ready(self.stopped(
                Outcome::Deadline,
                "its reply was not whole in time",
                None,
            ));
        }
        let limit = read_deadline(&self.request).map(|after| ("read_deadline", after));
        Poll::Ready(self.stopped(Outcome::ReadDeadline, "its reply stopped", limit))
    }
}

impl ReplyBody for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failed>>> {
        let this = self;
        let Some(conn) = &mut this.conn else {
            return Poll::Ready(None);
        };
        let read = match poll_piece(conn, cx) {
            Poll::Ready(read) => read,
            Poll::Pending => return this.poll_stalled(cx).map(|failed| Some(Err(failed))),
        };
        let piece = match read {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                return Poll::Ready(Some(Err(this.stopped(
                    Outcome::ReplyCut,
                    "it closed",
                    None,
                ))));
            }
            Err(error) => {
                return Poll::Ready(Some(Err(this.stopped(
                    Outcome::ReplyCut,
                    &error.to_string(),
                    None,
                ))));
            }
        };
        this.moved(piece.len());
        match this.rest.feed(&piece) {
            Ok(Fed::All) => Poll::Ready(Some(Ok(piece))),
            Ok(Fed::Ends(n)) => {
                this.ended(n == piece.len());
                Poll::Ready(Some(Ok(piece.slice(..n))))
            }
            Err(bad) => Poll::Ready(Some(Err(this.stopped(
                Outcome::BadReply,
                &bad.to_string(),
                None,
            )))),
        }
    }

    fn ride(&mut self, rider: Rider) {
        self.riders.push(rider);
    }

    fn abandon(&mut self, end: End) {
        self.conn = None;
        self.settle(end);
    }
}

impl Body {
    /// The frame is whole.
    fn ended(&mut self, clean: bool) {
        let now = Instant::now();
        if let Some(conn) = self.conn.take().filter(|_| clean) {
            give_back(
                conn,
                &self.place,
                &self.head,
                now,
                self.request.target.service.max_idle,
            );
        }
        self.settle(End {
            outcome: self.outcome,
            at: now,
        });
    }
}
