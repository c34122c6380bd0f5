//! Whole calls through the proxy: scripted clients, the real listener, session and stack, scripted instances. All on
//! loopback, every wait bounded.
#![allow(clippy::unwrap_used)]

mod blackhole;
mod breaker;
#[path = "../golden/captures.rs"]
mod captures;
mod drain;
mod failures;
mod findings;
mod framings;
mod health_checks;
mod hostile;
mod lanes;
mod limits;
mod mux;
mod orphans;
mod prefer;
mod recorder;
mod relay;
mod reload;
mod replay;
mod retry;
mod rewrite;
mod routing;
mod sizes;
mod stale;
#[path = "../support/mod.rs"]
mod support;
mod time;
#[cfg(unix)]
mod unix;
