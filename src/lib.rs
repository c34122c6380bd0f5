//! tidegate: a transparent, RPC-aware TCP proxy. This page is the map: a call's way, top to bottom.
#![warn(missing_docs)]

pub mod config;
pub mod frame;
pub mod metrics;
pub mod outcome;
pub mod platform;
pub mod protocol;
pub mod registry;
