//! Ends a try at the earliest of three: no progress within `read_deadline`, the call's instant, the caller's leaving.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::alarm::Alarm;
use crate::call::{Answer, Call, CallService, Fate, Shared, Try};
use crate::outcome::{Failed, Limit, Outcome, Phase, Reach};

/// See the module.
#[derive(Clone)]
pub struct AttemptLayer {
    alarm: Alarm,
}

impl AttemptLayer {
    /// With the alarm of the task that polls the calls.
    pub fn new(alarm: Alarm) -> Self {
        Self { alarm }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = Attempt<S>;
    fn layer(&self, inner: S) -> Attempt<S> {
        Attempt {
            alarm: self.alarm.clone(),
            inner,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Attempt<S> {
    alarm: Alarm,
    inner: S,
}

impl<C: Call, S: CallService<Try<C>>> Service<Try<C>> for Attempt<S> {
    type Response = C::Reply;
    type Error = Failed;
    type Future = Attempting<S::Future, C::Shared>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, call: Try<C>) -> Self::Future {
        let (shared, course) = (call.shared().clone(), *call.course());
        shared
            .status()
            .begin(course.now.saturating_duration_since(shared.arrived()));
        shared.status().touches(call.endpoint.id);
        Attempting {
            alarm: self.alarm.clone(),
            until: course.until,
            read_deadline: read_deadline(&shared),
            began: course.now,
            shared,
            inner: self.inner.call(call),
        }
    }
}

/// The built-in read deadline holds only for calls that state no deadline; an explicit one always.
pub fn read_deadline<S: Shared>(shared: &S) -> Option<Duration> {
    let policy = &shared.target().policy.read_deadline;
    (policy.explicit || shared.stated().is_none()).then_some(policy.after)
}

pin_project! {
    /// A try under its clocks.
    pub struct Attempting<F, S> {
        #[pin]
        inner: F,
        shared: S,
        alarm: Alarm,
        until: Option<Instant>,
        read_deadline: Option<Duration>,
        began: Instant,
    }
}

impl<F, S, R> Future for Attempting<F, S>
where
    F: Future<Output = Result<R, Failed>>,
    S: Shared,
    R: Answer,
{
    type Output = Result<R, Failed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.inner.poll(cx) {
            return Poll::Ready(result);
        }
        let status = this.shared.status();
        if status.is_abandoned() {
            return Poll::Ready(Err(end(
                this.shared,
                *this.began,
                Outcome::ClientGone,
                None,
            )));
        }
        let read = this
            .read_deadline
            .map(|after| (this.shared.arrived() + status.progressed() + after, after));
        let (at, limit) = match (*this.until, read) {
            (None, None) => return Poll::Pending,
            (Some(until), Some((at, _))) if until <= at => (until, None),
            (Some(until), None) => (until, None),
            (_, Some((at, after))) => (at, Some(after)),
        };
        std::task::ready!(this.alarm.poll(cx, at));
        let outcome = if limit.is_some() {
            Outcome::ReadDeadline
        } else {
            Outcome::Deadline
        };
        Poll::Ready(Err(end(this.shared, *this.began, outcome, limit)))
    }
}

/// The try ends without a reply, by a clock or by its caller.
#[cold]
fn end<S: Shared>(shared: &S, began: Instant, outcome: Outcome, read: Option<Duration>) -> Failed {
    let now = Instant::now();
    let (status, took) = (shared.status(), now.saturating_duration_since(began));
    let overdue = shared.target().method.is_overdue(took);
    let outcome = if overdue { outcome.overdue() } else { outcome };
    status.doom(match (outcome, overdue) {
        (Outcome::ReadDeadline, _) => Fate::Close,
        (_, true) => Fate::ChargedOrphan,
        (_, false) => Fate::Orphan,
    });
    let (phase, reach) = match status.reach() {
        Reach::Replied => (Phase::Read, Reach::Replied),
        Reach::Written if status.is_sent() => (Phase::FirstByte, Reach::Written),
        reach => (Phase::Write, reach),
    };
    let limit = match read {
        Some(after) => Some(Limit::Time("read_deadline", after)),
        None if matches!(outcome, Outcome::ClientGone | Outcome::ClientGoneOverdue) => None,
        None => super::deadline::limit(shared),
    };
    let failed = Failed::new(outcome, now).during(phase, reach);
    match limit {
        Some(limit) => failed.limit(limit, took),
        None => failed,
    }
}
