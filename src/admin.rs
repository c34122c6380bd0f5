//! The admin face: what a running tidegate shows, and the few things it can be told.
//!
//! A small HTTP/1.1 server ([`Server`]) over whatever implements [`Control`]. It runs on the control
//! thread, away from calls: a scrape delays none. Two such servers may run: one with
//! [`Routes::Everything`], on loopback or a unix socket, and one with [`Routes::MetricsOnly`] for a
//! Prometheus elsewhere.
//!
//! | | | |
//! |---|---|---|
//! | `GET /` | a page for people | |
//! | `GET /metrics` | Prometheus' text format | both |
//! | `GET /healthz` | 200 while the process answers at all | both |
//! | `GET /readyz` | 200, or 503 and why not | both |
//! | `GET /services` | JSON: each endpoint with class, state and why | |
//! | `GET /why?service=S&endpoint=E` | the same in sentences, with the numbers behind each state, and behind a state that is not | |
//! | `GET /calls?service=S&kind=K&limit=N` | JSON: the calls that failed last, and the slowest ones | |
//! | `GET /config` | the config in force, as TOML | |
//! | `GET`, `POST /log-level` | what is logged; the body says what shall be | |
//! | `POST /reload` | loads the config again: 200 and what changed, or 422 and why not | |
//! | `POST /breaker` | forces a breaker, or resets it: 200, or 404 and which there are | |
//! | `POST /drain` | begins to drain: 200, or 409 and why not | |
//!
//! Whoever reaches the admin address may use all of it, so a browser must not be made to reach it
//! for somebody else's page: a request has to name the admin's own host (which stops a foreign name
//! that resolves to loopback), and a `POST` must not come from another origin.

mod answer;
mod breaker;
mod calls;
mod guard;
mod query;
mod server;

use std::pin::Pin;
use std::time::Duration;

use crate::breaker::Forced;
use crate::recorder;

pub(crate) use query::encode;
pub use server::Server;

/// A future that a [`Control`] hands out.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What there is to say of each of some services, as JSON.
pub type Services = Box<dyn Iterator<Item = serde_json::Value> + Send>;

/// What the admin face needs of the running process.
///
/// [`services`](Control::services), [`why`](Control::why), [`calls`](Control::calls), [`config`](Control::config) are
/// called on a thread that may block; the others on the server's own runtime, where they must not.
pub trait Control: Send + Sync + 'static {
    /// `/services`: every service, endpoint and listener with its state.
    fn services(&self) -> serde_json::Value;

    /// `/why`: in sentences, why a service, or one of its endpoints, is in the state it is in, and in no other; all
    /// services where none is named, the worst first.
    ///
    /// # Errors
    ///
    /// There is no such service or endpoint; which there are.
    fn why(&self, service: Option<&str>, endpoint: Option<&str>) -> Result<String, String>;

    /// `/calls`: the calls that failed last and the slowest ones, by service; each is made as it is taken, on a thread
    /// that may block.
    ///
    /// # Errors
    ///
    /// There is no such service; which there are.
    fn calls(&self, wanted: &recorder::Wanted) -> Result<Services, String>;

    /// `/config`: the config in force, as TOML, with secrets left out.
    fn config(&self) -> String;

    /// `/readyz`: whether calls can be taken.
    fn readiness(&self) -> Readiness;

    /// `POST /reload`: loads the config again. Says what changed. It runs to its end even if whoever
    /// asked hangs up.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the new config; all stays as it was then.
    fn reload(&self) -> Pending<'_, Result<String, String>>;

    /// `POST /drain`: begins to drain, and says what that means.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn drain(&self) -> Result<String, String>;

    /// `POST /breaker`: forces or resets breakers, and says which.
    ///
    /// # Errors
    ///
    /// There is no such service or method; which there are.
    fn breaker(&self, order: &BreakerOrder) -> Result<String, String>;

    /// `GET /log-level`: what is logged, as directives.
    fn log_level(&self) -> String;

    /// `POST /log-level`: logs this from now on.
    ///
    /// # Errors
    ///
    /// Which directive is wrong; all stays as it was then.
    fn set_log_level(&self, directives: &str) -> Result<(), String>;
}

/// What a person wants of breakers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerOrder {
    /// Of which service.
    pub service: String,
    /// Of which method; `None`: of all that have one.
    pub method: Option<String>,
    /// What.
    pub wanted: Wanted,
}

/// What a person wants of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To be open, or closed, for so long.
    Forced(Forced, Duration),
    /// To be closed, and forced no longer.
    Reset,
}

/// Whether calls can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// Not yet: what is being waited for.
    Starting(String),
    /// No longer.
    Draining,
}

/// Which paths a [`Server`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// All of them.
    Everything,
    /// `/metrics`, `/healthz` and `/readyz`, under any host name.
    MetricsOnly,
}

#[cfg(test)]
mod tests;
