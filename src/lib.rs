//! tidegate: a transparent, RPC-aware TCP proxy for Kitex and Thrift services registered in etcd.
//!
//! This page is the map. A call's way, top to bottom:
//!
//! | module | what it does |
//! |---|---|
//! | [`listener`] | accepts; limits; what the connections of one listener share |
//! | [`session`] | one client connection; its first bytes ([`protocol`]) decide: Thrift calls, or a relay of bytes |
//! | [`frame`] | the codec: bytes in, frames out; a call's head is read, its body carried |
//! | [`route`] | service and method to a [`Target`](call::Target), with its policy |
//! | [`stack`] | the layers, in one file, read top-down: admit, deadline, breaker, retry, balance, observe, attempt, exchange |
//! | [`breaker`] | refuses the calls of a method while most of them fail |
//! | [`endpoint`], [`health`] | one instance: its load, places and state; the set that is picked from |
//! | [`upstream`] | connections to instances: dialled, pooled |
//!
//! Beside the way: [`outcome`] is the one table of everything that can end a call, [`call`] and [`rpc`] are what
//! travels, [`cluster`] is what a service's calls share, with its [`rate`] and its retry [`budget`], [`discovery`]
//! binds clusters to their [`registry`], [`config`], [`metadata`], [`metrics`], [`window`] and [`platform`] are leaves,
//! [`why`] says why a state is what it is, [`recorder`] keeps the calls that are worth a look, [`redirect`] makes the firewall's rules, and [`app`] builds all of it.
#![warn(missing_docs)]

pub mod admin;
pub mod app;
pub mod breaker;
pub mod budget;
pub mod buffer;
pub mod call;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod diagnosis;
pub mod discovery;
pub mod doctor;
pub mod endpoint;
pub mod finding;
pub mod frame;
pub mod health;
pub mod listener;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod outcome;
pub mod platform;
pub mod probe;
pub mod protocol;
pub mod rate;
pub mod recorder;
pub mod redirect;
pub mod registry;
pub mod route;
pub mod rpc;
pub mod session;
pub mod stack;
pub mod upstream;
pub mod why;
pub mod window;
