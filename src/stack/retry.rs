//! Tries a call again, at another endpoint, where the outcome table and the policy say that is safe.
//!
//! The first further try goes out at once where there is another endpoint for it. Before any other one there is a pause,
//! drawn between nothing and `retry_backoff`, which doubles from pause to pause: "full jitter", so that calls that failed
//! together do not come back together.

use std::time::Duration;

use tokio::time::Instant;
use tower::retry::Policy;

use crate::call::{Answer, Call, Course, Shared};
use crate::config::RetryBudget;
use crate::outcome::{Again, Charge, Failed, Outcome, Outcomes, Reach};

mod pause;
#[cfg(test)]
mod tests;

pub use pause::Pause;

/// A pause is never drawn from more than so many times `retry_backoff`.
const LONGEST: u32 = 10;

/// See the module.
#[derive(Clone, Copy)]
pub struct TryElsewhere;

impl<C: Call + Clone, R: Answer> Policy<C, R, Failed> for TryElsewhere {
    type Future = Pause;

    fn retry(&mut self, call: &mut C, result: &mut Result<R, Failed>) -> Option<Pause> {
        let bad = Bad::of(call, result);
        if let Some(cause) = call.course().cause {
            let told = if bad.is_none() { "ok" } else { "failed" };
            let metrics = &call.shared().target().cluster.metrics;
            metrics.retry(cause.label(), told);
        }
        let bad = bad?;
        match (next(call, &bad), result) {
            (Ok(next), _) => {
                *call.course_mut() = next.course;
                return Some(Pause::of(next.pause));
            }
            (Err(why), Err(failed)) => *failed = last(call, failed, why),
            (Err(_), Ok(_)) => {}
        }
        None
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

/// What a further try costs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// Nothing: only a dead connection was in the way.
    Nothing,
    /// A try.
    Try,
    /// A try, of a call that an endpoint may have run.
    SecondRun,
}

/// What the call may be sent again for, if at all.
fn may<C: Call>(call: &C, bad: &Bad) -> Option<Cost> {
    let (shared, course) = (call.shared(), call.course());
    let policy = &shared.target().policy;
    let row = bad.outcome.row();
    if row.again == Again::Never || !shared.repeatable() || shared.status().is_abandoned() {
        return None;
    }
    if row.endpoint == Charge::Down && shared.target().cluster.set().live(shared) == 0 {
        // The endpoint nearest to its return was dialled already.
        return None;
    }
    let left = course.tried.count + 1 < policy.tries;
    let dead = bad.outcome == Outcome::StaleConnection && !course.fresh;
    if bad.reach == Reach::Unwritten {
        // Nothing left this host. A connection that was dead before it was used costs no try: the pool may hold many.
        return match dead {
            true => Some(Cost::Nothing),
            false => left.then_some(Cost::Try),
        };
    }
    if !shared.expects_reply() || shared.is_retry() || shared.status().is_probe() {
        return None;
    }
    if dead && bad.reach == Reach::Unacknowledged && policy.resend_unacknowledged {
        return Some(Cost::Nothing);
    }
    (left && may_run_again(call, bad)).then_some(Cost::SecondRun)
}

/// Whether the policy allows to send a call again that an endpoint may have run.
fn may_run_again<C: Call>(call: &C, bad: &Bad) -> bool {
    let policy = &call.shared().target().policy;
    let by_method = matches!(
        bad.outcome.row().again,
        Again::Idempotent | Again::IfUnarrived
    );
    policy.retry_on.contains(bad.outcome)
        || policy.idempotent && by_method && bad.reach < Reach::Replied
}

/// A further try: its course, and the pause before it.
struct Next {
    course: Course,
    pause: Duration,
}

/// Why there is no further try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// It is not safe, not wanted, not in time, or one too many.
    Try,
    /// The service's retry budget is spent.
    Budget,
}

/// The call's next try, if there may be one, it would begin before the call's time runs out, and the budget has it.
fn next<C: Call>(call: &C, bad: &Bad) -> Result<Next, Last> {
    let cost = may(call, bad).ok_or(Last::Try)?;
    let mut course = *call.course();
    if let Some(id) = bad.endpoint {
        course.tried.push(id);
    }
    let pause = match cost {
        Cost::Nothing => Duration::ZERO,
        Cost::Try | Cost::SecondRun => pause(call, &mut course),
    };
    course.now = bad.at + pause;
    if course.until.is_some_and(|until| course.now >= until) {
        return Err(Last::Try);
    }
    if cost == Cost::SecondRun && !withdraw(call, bad) {
        return Err(Last::Budget);
    }
    course.cause = Some(bad.outcome);
    course.resent |= bad.reach > Reach::Unwritten;
    course.fresh |= bad.outcome == Outcome::StaleConnection;
    Ok(Next { course, pause })
}

/// Takes from the service's budget what sending the call again costs.
fn withdraw<C: Call>(call: &C, bad: &Bad) -> bool {
    let target = call.shared().target();
    let (cluster, policy) = (&target.cluster, target.service.retry_budget);
    let enough = cluster.budget.withdraw(bad.at, policy);
    if !enough {
        cluster.metrics.retry(bad.outcome.label(), "no_budget");
    }
    enough
}

/// The pause before the try that this course leads to.
fn pause<C: Call>(call: &C, course: &mut Course) -> Duration {
    let (shared, target) = (call.shared(), call.shared().target());
    let first = course.tried.count == 1;
    if first && target.cluster.set().has_other(shared, &course.tried) {
        return Duration::ZERO;
    }
    let base = target.policy.retry_backoff;
    let most = base * LONGEST.min(1 << course.pauses.min(LONGEST as u8));
    course.pauses = course.pauses.saturating_add(1);
    most.mul_f64(fastrand::f64())
}

/// The failure that the caller is told: which try it was of how many there may be of such a call, and what kept it from
/// another one, if that was the budget.
#[cold]
fn last<C: Call>(call: &C, failed: &Failed, why: Last) -> Failed {
    let (shared, target) = (call.shared(), call.shared().target());
    let policy = &target.policy;
    let this = shared.status().tries().max(1);
    let twice = policy.idempotent || policy.retry_on != Outcomes::NONE;
    let repeats = twice && shared.expects_reply() && !shared.is_retry() && shared.repeatable();
    let of = if repeats { policy.tries } else { 1 }.max(this);
    let failed = failed.clone().tries(this, of);
    if why == Last::Try {
        return failed;
    }
    let RetryBudget {
        percent,
        min_per_second,
    } = target.service.retry_budget;
    let said = failed.detail.as_deref();
    let said = said.map_or(String::new(), |said| format!("{said}; "));
    failed.because(format!(
        "{said}no retry budget left: {percent} % of the calls of the last 10s, and {min_per_second} a second, were sent again"
    ))
}
