//! `Call -> Try`: picks an endpoint with a free place and gets a connection to it, pooled or dialled, elsewhere if that
//! fails.
//!
//! The usual way, a free place and a pooled connection, is decided at once. What waits (for a place, a connection, the
//! registry) is one boxed future in [`find`], reached rarely.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::{Call, CallService, Shared, Target, Try};
use crate::endpoint::{Pick, Place};
use crate::outcome::Failed;
use crate::upstream::Conn;

mod dialled;
pub mod find;
mod rescue;

/// See the module.
#[derive(Clone, Copy)]
pub struct BalanceLayer;

impl<S> Layer<S> for BalanceLayer {
    type Service = Balance<S>;
    fn layer(&self, inner: S) -> Balance<S> {
        Balance { inner }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Balance<S> {
    inner: S,
}

impl<C: Call, S: CallService<Try<C>>> Service<C> for Balance<S> {
    type Response = C::Reply;
    type Error = Failed;
    type Future = Balancing<C, S, S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, call: C) -> Self::Future {
        let (shared, course) = (call.shared(), call.course());
        let target = shared.target();
        // Whoever waits for a place comes first.
        let queue = target
            .cluster
            .waiters
            .count
            .load(std::sync::atomic::Ordering::Relaxed)
            > 0;
        let pick = if queue {
            None
        } else {
            let limit = target.service.max_endpoint_calls;
            let set = target.cluster.set();
            let pick = || match set.pick(shared, &course.tried, limit, course.now) {
                Pick::One(place) => Some(place),
                Pick::Full(_) | Pick::Nothing => None,
            };
            target.chosen(&course.tried).or_else(pick)
        };
        let fresh = course.fresh || !shared.expects_reply();
        match pick {
            Some(place) if !fresh => match pooled(target, &place, course.now) {
                Some(conn) => Balancing::Trying {
                    inner: self.inner.call(attach(call, place, conn)),
                },
                None => self.find(call, Some(place)),
            },
            place => self.find(call, place),
        }
    }
}

impl<S: Clone> Balance<S> {
    #[cold]
    fn find<C: Call, F>(&self, call: C, place: Option<Place>) -> Balancing<C, S, F> {
        Balancing::Finding {
            found: Box::pin(find::find(call, place)),
            service: self.inner.clone(),
        }
    }
}

/// A pooled connection to the place's endpoint.
#[inline]
pub(crate) fn pooled(
    target: &Target,
    place: &Place,
    now: tokio::time::Instant,
) -> Option<Box<Conn>> {
    let taken = place.endpoint().pool.take(now, target.service.idle_timeout);
    if taken.dead > 0 {
        let cluster = &target.cluster;
        cluster.metrics.stale_before_use.add(taken.dead as u64);
        if let Some(closed) = taken.closed {
            cluster.found_closed(place.endpoint(), closed);
        }
    }
    taken.conn
}

/// The call at its endpoint.
#[inline]
pub(crate) fn attach<C: Call>(call: C, place: Place, conn: Box<Conn>) -> Try<C> {
    Try {
        endpoint: place.endpoint().clone(),
        call,
        place,
        conn,
    }
}

/// What [`find::find`] comes to.
type Found<C> = Pin<Box<dyn Future<Output = Result<Try<C>, Failed>> + Send>>;

pin_project! {
    /// A call that is tried at an endpoint, or waits for one.
    // The macro takes no docs on a variant's fields.
    #[allow(missing_docs)]
    #[project = BalancingProj]
    pub enum Balancing<C, S, F> {
        /// At its endpoint.
        Trying {
            #[pin]
            inner: F,
        },
        /// Waiting.
        Finding {
            found: Found<C>,
            service: S,
        },
    }
}

impl<C, S, F> Future for Balancing<C, S, F>
where
    C: Call,
    S: Service<Try<C>, Future = F>,
    F: Future<Output = Result<C::Reply, Failed>>,
{
    type Output = Result<C::Reply, Failed>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let inner = match self.as_mut().project() {
                BalancingProj::Trying { inner } => return inner.poll(cx),
                BalancingProj::Finding { found, service } => {
                    service.call(ready!(found.as_mut().poll(cx))?)
                }
            };
            self.set(Balancing::Trying { inner });
        }
    }
}
