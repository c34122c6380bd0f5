//! Tries a call again, at another endpoint, where the outcome table and the policy say that is safe.

use std::future::{Ready, ready};

use tokio::time::Instant;
use tower::retry::Policy;

use crate::call::{Answer, Call, Shared};
use crate::outcome::{Again, Charge, Failed, Outcome, Outcomes, Reach};

#[cfg(test)]
mod tests;

/// See the module.
#[derive(Clone, Copy)]
pub struct TryElsewhere;

impl<C: Call + Clone, R: Answer> Policy<C, R, Failed> for TryElsewhere {
    type Future = Ready<()>;

    fn retry(&mut self, call: &mut C, result: &mut Result<R, Failed>) -> Option<Ready<()>> {
        let bad = Bad::of(call, result);
        if let Some(cause) = call.course().cause {
            let told = if bad.is_none() { "ok" } else { "failed" };
            let metrics = &call.shared().target().cluster.metrics;
            metrics.retry(cause.label(), told);
        }
        let bad = bad?;
        if !may(call, &bad) {
            if let Err(failed) = result {
                *result = Err(number(call, failed.clone()));
            }
            return None;
        }
        again(call, &bad);
        Some(ready(()))
    }

    fn clone_request(&mut self, call: &C) -> Option<C> {
        Some(call.clone())
    }
}

/// How a try ended that may be made again: without a reply, or with one that the policy names.
struct Bad {
    outcome: Outcome,
    at: Instant,
    reach: Reach,
    endpoint: Option<u32>,
}

impl Bad {
    #[inline]
    fn of<C: Call, R: Answer>(call: &C, result: &Result<R, Failed>) -> Option<Self> {
        let shared = call.shared();
        let (end, reach, endpoint) = match result {
            Err(failed) => {
                let endpoint = failed.endpoint.as_ref().map(|named| named.id);
                (failed.end(), failed.reach, endpoint)
            }
            Ok(reply) => {
                let end = reply.end();
                let named = shared.target().policy.retry_on.contains(end.outcome);
                if !named || reply.open() {
                    return None;
                }
                (end, Reach::Replied, Some(shared.status().touched()))
            }
        };
        Some(Self {
            outcome: end.outcome,
            at: end.at,
            reach,
            endpoint,
        })
    }
}

/// Whether the call may be sent again.
fn may<C: Call>(call: &C, bad: &Bad) -> bool {
    let (shared, course) = (call.shared(), call.course());
    let policy = &shared.target().policy;
    let row = bad.outcome.row();
    if row.again == Again::Never || !shared.repeatable() || shared.status().is_abandoned() {
        return false;
    }
    if course.until.is_some_and(|until| bad.at >= until) {
        return false;
    }
    if row.endpoint == Charge::Down && shared.target().cluster.set().available() == 0 {
        // The endpoint nearest to its return was dialled already.
        return false;
    }
    let left = course.tried.count + 1 < policy.tries;
    let dead = bad.outcome == Outcome::StaleConnection && !course.fresh;
    if bad.reach == Reach::Unwritten {
        // Nothing left this host. A connection that was dead before it was used costs no try: the pool may hold many.
        return dead || left;
    }
    if !shared.expects_reply() || shared.is_retry() || shared.status().is_probe() {
        return false;
    }
    if dead && bad.reach == Reach::Unacknowledged && policy.resend_unacknowledged {
        return true;
    }
    left && may_have_run(call, bad)
}

/// Whether the policy allows to send a call again that an endpoint may have run.
fn may_have_run<C: Call>(call: &C, bad: &Bad) -> bool {
    let policy = &call.shared().target().policy;
    let by_method = matches!(
        bad.outcome.row().again,
        Again::Idempotent | Again::IfUnarrived
    );
    policy.retry_on.contains(bad.outcome)
        || policy.idempotent && by_method && bad.reach < Reach::Replied
}

/// Puts the call on its further way.
fn again<C: Call>(call: &mut C, bad: &Bad) {
    let course = call.course_mut();
    course.now = bad.at;
    course.cause = Some(bad.outcome);
    course.resent |= bad.reach > Reach::Unwritten;
    course.fresh |= bad.outcome == Outcome::StaleConnection;
    if let Some(id) = bad.endpoint {
        course.tried.push(id);
    }
}

/// Says which try it was, and how many there may be of such a call.
#[cold]
fn number<C: Call>(call: &C, failed: Failed) -> Failed {
    let (shared, policy) = (call.shared(), &call.shared().target().policy);
    let this = shared.status().tries().max(1);
    let twice = policy.idempotent || policy.retry_on != Outcomes::NONE;
    let repeats = twice && shared.expects_reply() && !shared.is_retry() && shared.repeatable();
    failed.tries(this, if repeats { policy.tries } else { 1 }.max(this))
}
