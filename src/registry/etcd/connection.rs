//! The one connection that the services of a registry share.
//!
//! It is to one endpoint at a time: a client over several sends each call to a random one, down or
//! not. Whoever finds it dead says so ([`Connection::failed`]), and the next one who asks gets a
//! client to the next endpoint, with certificates and token fetched anew.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use etcd_client::Client;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::dial::dial;
use super::fault::{Fault, Kind};
use super::options::EtcdOptions;
use crate::registry::{Status, Watcher};

/// After a failed connect, everybody who asks gets the same answer for so long.
const FAILURE_HOLDS: Duration = Duration::from_millis(100);

/// A client, and which one it is.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) client: Client,
    pub(super) endpoint: Arc<str>,
    generation: u64,
}

pub(super) struct Connection {
    options: EtcdOptions,
    watcher: Arc<dyn Watcher>,
    state: tokio::sync::Mutex<State>,
    status: Mutex<Status>,
}

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    generation: u64,
    /// Which endpoint is next, modulo their number.
    next: usize,
    failure: Option<(Instant, Fault)>,
}

impl Connection {
    pub(super) fn new(options: EtcdOptions, watcher: Arc<dyn Watcher>) -> Self {
        let state = State {
            next: fastrand::usize(..options.endpoints.len().max(1)),
            ..State::default()
        };
        Connection {
            options,
            watcher,
            state: tokio::sync::Mutex::new(state),
            status: Mutex::default(),
        }
    }

    pub(super) fn options(&self) -> &EtcdOptions {
        &self.options
    }

    pub(super) fn watcher(&self) -> &dyn Watcher {
        &*self.watcher
    }

    pub(super) fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// The client of the moment, or a new one: each endpoint is tried once.
    pub(super) async fn client(&self) -> Result<Lease, Fault> {
        let mut state = self.state.lock().await;
        if let Some(lease) = &state.lease {
            return Ok(lease.clone());
        }
        if let Some((until, fault)) = &state.failure
            && Instant::now() < *until
        {
            return Err(fault.clone());
        }
        let mut last = Fault::new(Kind::Away, "no endpoint is configured");
        for _ in 0..self.options.endpoints.len() {
            match self.connect(state.next).await {
                Ok((client, endpoint)) => {
                    state.generation += 1;
                    let lease = Lease {
                        client,
                        endpoint,
                        generation: state.generation,
                    };
                    state.lease = Some(lease.clone());
                    state.failure = None;
                    return Ok(lease);
                }
                Err(fault) => last = fault,
            }
            if last.is_final() {
                break;
            }
            state.next = state.next.wrapping_add(1);
        }
        let holds = if last.is_final() {
            self.options.retry_refused_every / 2
        } else {
            FAILURE_HOLDS
        };
        state.failure = Some((Instant::now() + holds, last.clone()));
        Err(last)
    }

    /// This client is of no use any more. The next one is to another endpoint, unless it is only
    /// the token that died.
    pub(super) async fn failed(&self, lease: &Lease, fault: &Fault) {
        let mut state = self.state.lock().await;
        if state
            .lease
            .as_ref()
            .is_some_and(|newest| newest.generation == lease.generation)
        {
            state.lease = None;
            if fault.kind == Kind::Away {
                state.next = state.next.wrapping_add(1);
            }
        }
    }

    async fn connect(&self, index: usize) -> Result<(Client, Arc<str>), Fault> {
        let endpoint = &self.options.endpoints[index % self.options.endpoints.len()];
        let named = |fault: Fault| fault.at(endpoint, self.options.cert.is_some());
        let client = dial(&self.options, endpoint).await.map_err(named)?;
        Ok((client, endpoint.as_str().into()))
    }

    /// etcd just said how things stand.
    pub(super) fn synced(&self) {
        let mut status = self.status.lock();
        let came_up = !std::mem::replace(&mut status.up, true);
        status.last_sync = Some(SystemTime::now());
        drop(status);
        if came_up {
            tracing::info!(registry = self.options.name, "etcd answers");
            self.watcher.up(true);
        }
        self.watcher.synced();
    }

    /// No endpoint answers, or etcd refuses. Logged when it begins, or changes its reason; a denied
    /// range concerns one service, whose task says so.
    pub(super) fn unwell(&self, fault: &Fault) {
        let text: Arc<str> = format!("{} ({})", fault.text, fault.code()).into();
        let mut status = self.status.lock();
        let answers = fault.kind == Kind::Denied;
        let went_down = std::mem::replace(&mut status.up, answers) && !answers;
        let is_news = went_down
            || status
                .last_error
                .as_ref()
                .is_none_or(|before| *before != text);
        status.last_error = Some(Arc::clone(&text));
        let known = match (status.last_sync, &self.options.state_dir) {
            (None, None) => "nothing is known yet",
            (None, Some(_)) => "what state_dir has counts",
            (Some(_), _) => "what is known of it stays",
        };
        drop(status);
        if is_news && !answers {
            tracing::warn!(
                registry = self.options.name,
                "nothing new from etcd for now, {known}: {text}"
            );
        }
        self.watcher.up(answers);
    }
}
