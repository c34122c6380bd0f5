//! A Thrift server and client without a framework, for tests: each behaves exactly as a test's script says.
//!
//! The wire code here was written from the protocol's description and shares nothing with the proxy's own, so that
//! each checks the other; the `peers` package in turn checks this one against a real framework.
//!
//! - [`wire`]: one [`Message`] in any of four framings, to bytes and back.
//! - [`header`]: the [`Header`] of those framings that have one.
//! - [`body`]: the little of Thrift's binary protocol that echo calls need.
//! - [`script`]: the [`Act`] to do for each call, and a server's other [`Options`].
//! - [`server`]: a [`Server`] that does so, and counts what it has [`Seen`].
//! - [`instance`]: an [`Instance`] whose [`Fault`] is switched while it runs.
//! - [`client`]: a [`Client`] with one call at a time, a [`MuxClient`] with many.
//! - [`load`]: a [`Load`] of so many calls a second.
#![warn(missing_docs)]

pub mod body;
pub mod client;
pub mod header;
pub mod instance;
pub mod load;
mod ports;
pub mod script;
pub mod server;
#[cfg(test)]
mod tests;
pub mod wire;

pub use client::{Answer, Client, MuxClient};
pub use header::Header;
pub use instance::{Fault, Instance};
pub use load::{Load, Plan};
pub use ports::free;
pub use script::{Act, Call, Gate, OnAccept, Options, Seen};
pub use server::Server;
pub use wire::{Framing, Message};
