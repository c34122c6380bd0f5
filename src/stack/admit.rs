//! A place among the service's calls in flight, `max_calls`, and a token of its rate and of the method's, `rate_limit`.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::gate::{Gate, Settle};
use crate::call::{Call, Shared};
use crate::outcome::{End, Failed, Limit, Outcome, human};
use crate::rate::TooMany;

/// Counts the calls in flight, and refuses those over the limit.
#[derive(Clone, Copy)]
pub struct Admit;

/// A place among the calls in flight.
pub struct Admitted<S: Shared>(S);

impl<C: Call> Gate<C> for Admit {
    type Guard = Admitted<C::Shared>;

    #[inline]
    fn enter(&self, call: &C) -> Result<Self::Guard, Failed> {
        let target = call.shared().target();
        target.cluster.mark_used();
        let limit = target.service.max_calls;
        let guard = Admitted(call.shared().clone());
        if target.cluster.calls.fetch_add(1, Relaxed) >= limit {
            return Err(too_many_in_flight(call, limit));
        }
        target
            .rates
            .take()
            .map_err(|too_many| too_fast(call, &too_many))?;
        target.cluster.budget.deposit(call.course().now);
        Ok(guard)
    }
}

#[cold]
fn too_many_in_flight<C: Call>(call: &C, limit: usize) -> Failed {
    call.shared().target().cluster.metrics.refused("calls");
    Failed::new(Outcome::Overloaded, call.course().now)
        .limit(Limit::Count("max_calls", limit), Duration::ZERO)
        .because(format!("{limit} calls in flight"))
}

#[cold]
fn too_fast<C: Call>(call: &C, too_many: &TooMany<'_>) -> Failed {
    let target = call.shared().target();
    target.cluster.metrics.refused("rate");
    let (n, next) = (too_many.rate.per_second(), human(too_many.next));
    let whose = match too_many.of_method {
        true => &target.method.name,
        false => "all methods",
    };
    Failed::new(Outcome::RateLimited, call.course().now)
        .limit(Limit::Count("rate_limit", n as usize), Duration::ZERO)
        .because(format!(
            "calls a second of {whose}, the next one passes in {next}"
        ))
}

impl<S: Shared> Settle for Admitted<S> {
    fn settle(self, _: End) {}
}

impl<S: Shared> Drop for Admitted<S> {
    #[inline]
    fn drop(&mut self) {
        self.0.target().cluster.calls.fetch_sub(1, Relaxed);
    }
}
