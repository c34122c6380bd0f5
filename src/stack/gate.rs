//! tower's part of a policy that has one shape: enter, run, settle.
//!
//! A [`Gate`] is a plain state machine; this file makes a layer of it, once for all.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::{Answer, Call, CallService};
use crate::outcome::{End, Failed};

/// A policy that lets calls in, or refuses them, and learns how they end.
pub trait Gate<C: Call>: Clone + Send + 'static {
    /// What is held while the call runs. Dropped unsettled: nobody learned how it ended.
    type Guard: Settle;

    /// Lets the call in.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    fn enter(&self, call: &C) -> Result<Self::Guard, Failed>;
}

/// What is held while a call runs.
pub trait Settle: Send + 'static {
    /// The call ended.
    fn settle(self, end: End);

    /// Adds what this guard knows to a failure on its way up.
    fn sign(&self, failed: Failed) -> Failed {
        failed
    }
}

/// The layer of a gate.
pub fn gate<G>(gate: G) -> GateLayer<G> {
    GateLayer(gate)
}

/// See [`gate`].
#[derive(Clone)]
pub struct GateLayer<G>(G);

impl<G: Clone, S> Layer<S> for GateLayer<G> {
    type Service = Gated<G, S>;
    fn layer(&self, inner: S) -> Gated<G, S> {
        Gated {
            gate: self.0.clone(),
            inner,
        }
    }
}

/// A service behind a gate.
#[derive(Clone)]
pub struct Gated<G, S> {
    gate: G,
    inner: S,
}

impl<C: Call, G: Gate<C>, S: CallService<C>> Service<C> for Gated<G, S> {
    type Response = C::Reply;
    type Error = Failed;
    type Future = Held<S::Future, G::Guard>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: C) -> Self::Future {
        match self.gate.enter(&call) {
            Ok(guard) => Held::Running {
                inner: self.inner.call(call),
                guard: Some(guard),
            },
            Err(failed) => Held::Refused {
                failed: Some(failed),
            },
        }
    }
}

pin_project! {
    /// A call that holds a guard.
    // The macro takes no docs on a variant's fields.
    #[allow(missing_docs)]
    #[project = HeldProj]
    pub enum Held<F, G> {
        /// Let in.
        Running {
            #[pin]
            inner: F,
            guard: Option<G>,
        },
        /// Refused.
        Refused {
            failed: Option<Failed>,
        },
    }
}

impl<F, G, R> Future for Held<F, G>
where
    F: Future<Output = Result<R, Failed>>,
    G: Settle,
    R: Answer,
{
    type Output = Result<R, Failed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            HeldProj::Running { inner, guard } => {
                let result = ready!(inner.poll(cx));
                let guard = guard.take().expect("a future is not polled after its end");
                Poll::Ready(settle(result, guard))
            }
            HeldProj::Refused { failed } => Poll::Ready(Err(failed
                .take()
                .expect("a future is not polled after its end"))),
        }
    }
}

#[inline]
fn settle<R: Answer, G: Settle>(result: Result<R, Failed>, guard: G) -> Result<R, Failed> {
    match result {
        Ok(mut reply) if reply.open() => {
            reply.ride(Box::new(move |end| guard.settle(end)));
            Ok(reply)
        }
        Ok(reply) => {
            guard.settle(reply.end());
            Ok(reply)
        }
        Err(failed) => {
            let failed = guard.sign(failed);
            guard.settle(failed.end());
            Err(failed)
        }
    }
}
