//! Tries a call again, at another endpoint, where the outcome table and the policy say that is safe.

use std::future::{Ready, ready};

use tower::retry::Policy;

use crate::call::{Answer, Call, Shared};
use crate::outcome::{Again, Charge, Failed, Outcome, Reach};

/// See the module.
#[derive(Clone, Copy)]
pub struct TryElsewhere;

impl<C: Call + Clone, R: Answer> Policy<C, R, Failed> for TryElsewhere {
    type Future = Ready<()>;

    fn retry(&mut self, call: &mut C, result: &mut Result<R, Failed>) -> Option<Ready<()>> {
        if let Some(cause) = call.course().cause {
            let told = if result.is_ok() { "ok" } else { "failed" };
            let metrics = &call.shared().target().cluster.metrics;
            metrics.retry(cause.label(), told);
        }
        let failed = result.as_ref().err()?;
        let tries = call.shared().status().tries().max(1);
        let again = again(call, failed);
        if !again {
            let policy = &call.shared().target().policy;
            let of = if policy.idempotent { policy.tries } else { 1 }.max(tries);
            *result = Err(failed.clone().tries(tries, of));
            return None;
        }
        let (reach, outcome, at) = (failed.reach, failed.outcome, failed.at);
        let endpoint = failed.endpoint.as_ref().map(|e| e.id);
        let course = call.course_mut();
        course.now = at;
        course.cause = Some(outcome);
        course.resent |= reach > Reach::Unwritten;
        course.fresh |= outcome == Outcome::StaleConnection;
        if let Some(id) = endpoint {
            course.tried.push(id);
        }
        Some(ready(()))
    }

    fn clone_request(&mut self, call: &C) -> Option<C> {
        Some(call.clone())
    }
}

/// Whether the call may be sent again.
fn again<C: Call>(call: &C, failed: &Failed) -> bool {
    let (shared, course) = (call.shared(), call.course());
    let policy = &shared.target().policy;
    let row = failed.outcome.row();
    if row.again == Again::Never || !shared.repeatable() || shared.status().is_abandoned() {
        return false;
    }
    if course.until.is_some_and(|until| failed.at >= until) {
        return false;
    }
    if row.endpoint == Charge::Down && shared.target().cluster.set().available() == 0 {
        // The endpoint nearest to its return was dialled already.
        return false;
    }
    if failed.reach == Reach::Unwritten {
        // Nothing left this host. A connection that was dead before it was used costs no try: the pool may hold many.
        let free = failed.outcome == Outcome::StaleConnection && !course.fresh;
        return free || course.tried.count + 1 < policy.tries;
    }
    if !shared.expects_reply() || shared.is_retry() || shared.status().is_probe() {
        return false;
    }
    if failed.reach == Reach::Unacknowledged && failed.outcome == Outcome::StaleConnection {
        return policy.resend_unacknowledged && !course.fresh || idempotent(call, row.again);
    }
    idempotent(call, row.again) && failed.reach < Reach::Replied
}

/// Whether the policy allows running the method twice, and there is a try left.
fn idempotent<C: Call>(call: &C, again: Again) -> bool {
    let policy = &call.shared().target().policy;
    let allowed = matches!(again, Again::Idempotent | Again::IfUnarrived) && policy.idempotent;
    allowed && call.course().tried.count + 1 < policy.tries
}
