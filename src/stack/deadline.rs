//! Fixes the instant by which the caller must have its answer; `attempt` enforces it.

use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use crate::call::{Call, CallService, Shared};
use crate::config::DeadlineSource;
use crate::outcome::{Failed, Limit};

/// See the module.
#[derive(Clone, Copy)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;
    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Deadline<S> {
    inner: S,
}

impl<C: Call, S: CallService<C>> Service<C> for Deadline<S> {
    type Response = C::Reply;
    type Error = Failed;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut call: C) -> S::Future {
        let shared = call.shared();
        let target = shared.target();
        let policy = target.policy.deadline;
        let (limit, source) = match (shared.stated(), policy) {
            (Some(stated), Some(own)) if own < stated => {
                (Some(own), source(target.policy.deadline_source))
            }
            (Some(stated), _) => (Some(stated - margin(stated)), "caller"),
            (None, Some(own)) => (Some(own), source(target.policy.deadline_source)),
            (None, None) => (None, ""),
        };
        if let Some(limit) = limit {
            target.cluster.metrics.deadline_source(source);
            let until = shared.arrived() + limit;
            call.course_mut().until = Some(until);
        }
        self.inner.call(call)
    }
}

/// The deadline that holds for the call, as its error names it: the caller's own, or the policy's where that is smaller.
pub fn limit<S: Shared>(shared: &S) -> Option<Limit> {
    match (shared.stated(), shared.target().policy.deadline) {
        (Some(stated), own) if own.is_none_or(|own| own >= stated) => {
            Some(Limit::Time("the caller's deadline", stated))
        }
        (_, own) => own.map(|own| Limit::Time("deadline", own)),
    }
}

fn source(of: DeadlineSource) -> &'static str {
    match of {
        DeadlineSource::Default => "default",
        DeadlineSource::Service => "service",
        DeadlineSource::Method => "method",
    }
}

/// `deadline_margin`: how long before the caller gives up it has its answer. A tenth, between 2 and 5 ms; half of what
/// is under 4 ms.
pub fn margin(stated: Duration) -> Duration {
    if stated < Duration::from_millis(4) {
        return stated / 2;
    }
    (stated / 10).clamp(Duration::from_millis(2), Duration::from_millis(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_leaves_a_tenth_between_2_and_5_ms_before_the_caller_gives_up_or_half_under_4_ms()
    {
        for (stated_ms, margin_us) in [
            (1, 500),
            (3, 1_500),
            (4, 2_000),
            (20, 2_000),
            (30, 3_000),
            (50, 5_000),
            (800, 5_000),
        ] {
            assert_eq!(
                margin(Duration::from_millis(stated_ms)),
                Duration::from_micros(margin_us),
                "{stated_ms} ms"
            );
        }
    }
}
