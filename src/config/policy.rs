//! Policy: how one service's calls are carried.
//!
//! A policy is complete: what a file leaves out comes from `[defaults]`, and what that leaves out
//! from the built-in values, which stand in one place, [`Policy::default`] and
//! [`CallPolicy::default`]:
//!
//! | key | built in | |
//! |---|---|---|
//! | `connect_timeout` | 1.2 s | one connect; past the kernel's first SYN retransmit |
//! | `connect_stagger` | 250 ms | then another endpoint is dialled as well |
//! | `connect_attempts` | 3 | different hosts dialled for one call |
//! | `idle_timeout` | 4 s | of a pooled connection; older Kitex servers close after 5 s |
//! | `max_idle` | 64 | pooled connections of one endpoint |
//! | `max_calls` | 1024 | in flight, of the service |
//! | `max_waiting` | 1024 | for a place or a connection, of the service |
//! | `max_endpoint_calls` | 0 | in flight at one endpoint; 0: no limit |
//! | `balance` | `least_loaded` | |
//! | `hash_key` | none | of `consistent_hash`: what is hashed |
//! | `prefer` | none | the instances that calls go to first |
//! | `min_share` | 0.5 | of the preferred ones must be live |
//! | `suspicious` | `avoid` | |
//! | `empty_grace` | 15 s | what an emptied service lost stays as last resort |
//! | `read_deadline` | 3 s | one try; the built-in value holds only for calls that state no deadline |
//! | `deadline` | off | the whole call |
//! | `on_deadline` | `answer` | |
//! | `idempotent` | false | |
//! | `tries` | 3 | of one call, the first included |
//! | `resend_unacknowledged` | false | |
//! | `retry_on` | none | outcomes after which a call that arrived is sent again |
//! | `retry_backoff` | 25 ms | before the second further try, doubling, fully jittered |
//! | `rate_limit`, `rate_burst` | 0 | calls per second; 0: no limit |
//!
//! The tables `breaker`, `ejection`, `retry_budget` and `health_check` are in `resilience`, `lane` is in `lane`.

use std::time::Duration;

use serde::Serialize;

use super::key::Key;
use super::lane::{Lane, Preference};
use super::resilience::{
    BreakerPolicy, EjectionPolicy, HealthCheck, RateLimit, RetryBudget, Share,
};
use super::units;
use crate::outcome::Outcomes;

/// One service's policy, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The longest one connect may take. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub connect_timeout: Duration,
    /// How long one connect is waited for before another endpoint is dialled as well. 1 ms to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub connect_stagger: Duration,
    /// How many different hosts are dialled for one call. 1 to 10.
    pub connect_attempts: usize,
    /// How long a pooled upstream connection is kept unused. 1 ms to 24 h.
    #[serde(serialize_with = "units::duration")]
    pub idle_timeout: Duration,
    /// Unused connections kept per endpoint. 0 to 65,536; 0 keeps none.
    pub max_idle: usize,
    /// Calls of the service in flight. 1 to 1,000,000.
    pub max_calls: usize,
    /// Calls of the service that wait for a place or a connection. 0 to 1,000,000.
    pub max_waiting: usize,
    /// Calls in flight at one endpoint. 0 to 1,000,000; 0 is no limit.
    pub max_endpoint_calls: usize,
    /// How an endpoint is picked.
    pub balance: Balance,
    /// What is hashed where `balance` is `consistent_hash`: the first of these that the call says.
    pub hash_key: Vec<Key>,
    /// The endpoints that calls go to first: of the first item that has enough live ones.
    pub prefer: Vec<Preference>,
    /// The share of the endpoints of an item of `prefer` that must be live; one at least.
    pub min_share: Share,
    /// What is done with loopback and link-local addresses of the registry.
    pub suspicious: Suspicious,
    /// How long what an emptied service lost stays as last resort. 0 to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub empty_grace: Duration,
    /// What may also differ for one method.
    #[serde(flatten)]
    pub call: CallPolicy,
    /// Which endpoints a call may go to, in order: the first rule that the call fits and that has a live endpoint. None:
    /// every call may go to every endpoint.
    #[serde(rename = "lane")]
    pub lanes: Vec<Lane>,
    /// The circuit breaker of each method.
    pub breaker: BreakerPolicy,
    /// How endpoints that fail are taken out.
    pub ejection: EjectionPolicy,
    /// How many calls may be sent again.
    pub retry_budget: RetryBudget,
    /// How endpoints are asked how they are.
    pub health_check: HealthCheck,
}

/// The part of a policy that one method may have for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallPolicy {
    /// The bound on one try's progress.
    #[serde(skip_serializing_if = "ReadDeadline::is_built_in")]
    pub read_deadline: ReadDeadline,
    /// The bound on the whole call, waiting and further tries included; `None`: no bound but the
    /// caller's own. 1 ms to 24 h.
    #[serde(serialize_with = "units::duration_or_off")]
    pub deadline: Option<Duration>,
    /// Which table [`deadline`](Self::deadline) was written in.
    #[serde(skip)]
    pub deadline_source: DeadlineSource,
    /// What a caller gets at its deadline.
    pub on_deadline: OnDeadline,
    /// The call may be sent again although an endpoint may have run it.
    pub idempotent: bool,
    /// Tries of one call, the first included. 1 to 6.
    pub tries: u32,
    /// A call whose reused connection died before any of the call was acknowledged is sent again.
    /// Right for servers that neither abort nor half-close right after reading; Kitex's do not.
    pub resend_unacknowledged: bool,
    /// Outcomes after which the call is sent again although an endpoint may have run it: those that
    /// the policy names.
    pub retry_on: Outcomes,
    /// The longest pause before the second further try; it doubles from try to try, to ten times
    /// this. The pause is drawn between nothing and that, and there is none before the first try at
    /// another endpoint. 0 to 1 h.
    #[serde(serialize_with = "units::duration")]
    pub retry_backoff: Duration,
    /// Of the table it was written in: all calls of a service, or all calls of a method.
    #[serde(flatten)]
    pub rate: RateLimit,
}

/// The read deadline: a timer of one try's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadDeadline {
    /// 1 ms to 24 h.
    pub after: Duration,
    /// Written in a file: it holds for every call. The built-in one holds only for calls that
    /// state no deadline of their own.
    pub explicit: bool,
}

/// Which table a deadline was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlineSource {
    /// `[defaults]`, or nowhere.
    #[default]
    Default,
    /// `[[service]]`.
    Service,
    /// `[service.method.NAME]`.
    Method,
}

/// What a caller gets when its deadline has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeadline {
    /// An exception that says so, just before the caller gives up.
    #[default]
    Answer,
    /// Nothing: the caller's own timer stays in charge, and with it the caller's own retries.
    Silence,
}

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The better of two drawn by weight: latency times calls in flight.
    #[default]
    LeastLoaded,
    /// Each in turn, as often as its weight says.
    WeightedRoundRobin,
    /// Any, as often as its weight says.
    WeightedRandom,
    /// The one that what the call says under `hash_key` belongs to, on a ring; any by weight for a call that says nothing.
    ConsistentHash,
}

/// What is done with addresses that are likely registered by mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicious {
    /// Used only while nothing else is registered.
    #[default]
    Avoid,
    /// Used like any other.
    Allow,
    /// Never used.
    Refuse,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(1200),
            connect_stagger: Duration::from_millis(250),
            connect_attempts: 3,
            idle_timeout: Duration::from_secs(4),
            max_idle: 64,
            max_calls: 1024,
            max_waiting: 1024,
            max_endpoint_calls: 0,
            balance: Balance::default(),
            hash_key: Vec::new(),
            prefer: Vec::new(),
            min_share: Share::millionths(500_000),
            suspicious: Suspicious::default(),
            empty_grace: Duration::from_secs(15),
            call: CallPolicy::default(),
            lanes: Vec::new(),
            breaker: BreakerPolicy::default(),
            ejection: EjectionPolicy::default(),
            retry_budget: RetryBudget::default(),
            health_check: HealthCheck::default(),
        }
    }
}

impl Policy {
    /// Whether the endpoints of a service are grouped and picked in the same way.
    #[must_use]
    pub fn picks_as(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.balance, it.min_share, it.ejection.slow_start);
        of(self) == of(other)
            && self.hash_key == other.hash_key
            && self.prefer == other.prefer
            && self.lanes == other.lanes
    }
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            read_deadline: ReadDeadline::default(),
            deadline: None,
            deadline_source: DeadlineSource::default(),
            on_deadline: OnDeadline::default(),
            idempotent: false,
            tries: 3,
            resend_unacknowledged: false,
            retry_on: Outcomes::NONE,
            retry_backoff: Duration::from_millis(25),
            rate: RateLimit::default(),
        }
    }
}

impl CallPolicy {
    /// What a method has that writes nothing: the service's policy, but for its rate. A service's rate limits all its
    /// calls together, a method's only those of the method.
    #[must_use]
    pub fn of_methods(&self) -> Self {
        Self {
            rate: RateLimit::default(),
            ..self.clone()
        }
    }
}

impl Default for ReadDeadline {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(3),
            explicit: false,
        }
    }
}

impl ReadDeadline {
    /// Nobody wrote it. It is then left out of a printed config: written there, it would mean more.
    pub fn is_built_in(&self) -> bool {
        !self.explicit
    }
}

impl Serialize for ReadDeadline {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        units::duration(&self.after, serializer)
    }
}
