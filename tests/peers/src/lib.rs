//! Peers that are real: the RPC framework volo over Thrift, and tonic over gRPC.
//!
//! A package of its own, so that neither a build nor the other tests of tidegate ever compile a framework. The tests
//! that want one therefore live here too, in `tests/`: `cargo test -p peers`.
//!
//! The Thrift code in `gen/` is written by `generate/` from `idl/echo.thrift` and checked in.
#![warn(missing_docs)]

pub mod grpc;
pub mod thrift;

/// What volo's generator wrote.
#[rustfmt::skip]
#[path = "gen/echo.rs"]
#[allow(missing_docs, unreachable_pub, warnings, clippy::all)]
mod generated;
