//! The whole stack, top-down: the way a call goes from the session to an endpoint.
//!
//! One value, built once per client connection; its clones are one `Arc`. State travels with the call, a reload swaps
//! data, and every service here is always ready: what could make one wait is awaited inside the call, under its
//! deadline.

use tower::ServiceBuilder;
use tower::retry::RetryLayer;

use crate::call::{Call, CallService, Try};

pub mod admit;
pub mod alarm;
pub mod attempt;
pub mod balance;
pub mod breaker;
pub mod deadline;
pub mod exchange;
pub mod gate;
pub mod observe;
pub mod retry;

use admit::Admit;
use alarm::Alarm;
use attempt::AttemptLayer;
use balance::BalanceLayer;
use breaker::Breaker;
use deadline::DeadlineLayer;
use gate::gate;
use observe::Observe;
use retry::TryElsewhere;

/// The stack over `exchange`, which carries one try of a call to its endpoint and back. `alarm` is the connection's.
pub fn stack<C: Call + Clone>(
    exchange: impl CallService<Try<C>>,
    alarm: Alarm,
) -> impl CallService<C> {
    ServiceBuilder::new()
        .layer(gate(Admit)) // a place among the calls in flight, a token of the rate: or an answer, never an unseen queue
        .layer(DeadlineLayer) // fixes the instant by which the caller must have its answer
        .layer(gate(Breaker)) // service × method; learns once per call, however many tries that takes
        .layer(RetryLayer::new(TryElsewhere)) // another endpoint, only when that is safe
        .layer(BalanceLayer) // Call -> Try: picks an endpoint with a free place, and a connection, pooled or dialled
        .layer(gate(Observe)) // the endpoint learns how the try went
        .layer(AttemptLayer::new(alarm)) // ends the try: read deadline, the call's instant, or the caller's leaving
        .service(exchange) // call out, reply in
}
