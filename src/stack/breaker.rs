//! The circuit breaker of the call's method: lets it in or refuses it, and learns how it ended.
//!
//! Outside of the retries, so that a call counts once. A probe may be dialled elsewhere when its connection fails, but is
//! never sent twice: `retry` asks its status.

use super::gate::{Gate, Settle};
use crate::breaker::{Permit, Refusal, Touched};
use crate::call::{Call, Shared};
use crate::outcome::{End, Failed, Outcome};

/// See the module.
#[derive(Clone, Copy)]
pub struct Breaker;

/// A call that was let in.
pub struct Passing<S: Shared> {
    shared: S,
    permit: Permit,
}

impl<C: Call> Gate<C> for Breaker {
    type Guard = Passing<C::Shared>;

    #[inline]
    fn enter(&self, call: &C) -> Result<Self::Guard, Failed> {
        let shared = call.shared().clone();
        let (target, now) = (shared.target(), call.course().now);
        let permit = match &target.method.breaker {
            Some(breaker) => breaker.enter(now),
            // Nobody learns of it, but a person may have forced all methods.
            None => target
                .cluster
                .methods
                .refusal(now)
                .map_or(Ok(Permit::UNCOUNTED), Err),
        };
        let permit = permit.map_err(|refusal| refused(call, refusal))?;
        if permit.is_probe() {
            shared.status().probes();
        }
        Ok(Passing { shared, permit })
    }
}

#[cold]
fn refused<C: Call>(call: &C, refusal: Refusal) -> Failed {
    Failed::new(Outcome::BreakerOpen, call.course().now).because(refusal.to_string())
}

impl<S: Shared> Settle for Passing<S> {
    #[inline]
    fn settle(self, end: End) {
        let (shared, target) = (&self.shared, self.shared.target());
        if let Some(breaker) = &target.method.breaker {
            breaker.settle(&self.permit, end, || Touched {
                endpoint: shared.status().touched(),
                pickable: target.cluster.set().available(),
            });
        }
    }

    /// A failed connect is no try yet, but touched an endpoint as well.
    fn sign(&self, failed: Failed) -> Failed {
        if let Some(endpoint) = &failed.endpoint {
            self.shared.status().touches(endpoint.id);
        }
        failed
    }
}
