//! A place among the service's calls in flight, `max_calls`.

use std::sync::atomic::Ordering::Relaxed;

use super::gate::{Gate, Settle};
use crate::call::{Call, Shared};
use crate::outcome::{End, Failed, Limit, Outcome};

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
            target.cluster.metrics.refused("calls");
            let n = Limit::Count("max_calls", limit);
            return Err(Failed::new(Outcome::Overloaded, call.course().now)
                .limit(n, std::time::Duration::ZERO)
                .because(format!("{limit} calls in flight")));
        }
        Ok(guard)
    }
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
