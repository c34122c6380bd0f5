//! Instances in etcd, read per service and watched.
//!
//! The client library's watch ends, or hangs, on a restart, a lost leader, a compaction, a token
//! that died and a data directory that was wiped, and never comes back by itself. So each service
//! has a task ([`follow`]) that reads its range whole, watches from the next revision, and begins
//! anew on any end of the watch; and all of them share one connection ([`connection`]) that moves
//! from endpoint to endpoint and signs in again. The names of services ([`listing`]) are followed in the same way.
//! Nothing of what was read is forgotten because etcd is away. Whoever asks for one look ([`mod@survey`]) gets connections
//! of its own.

mod connection;
mod dial;
mod fault;
mod follow;
mod listing;
mod options;
mod read;
mod service;
mod survey;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hyper::Uri;
use tokio::sync::watch;

use super::survey::{Ask, Survey};
use super::{Host, Known, Listing, Registry, Status, Watcher};
use connection::Connection;

pub use options::{EtcdOptions, EtcdOptionsError};

/// A registry in etcd.
pub struct Etcd {
    connection: Arc<Connection>,
}

impl Etcd {
    /// Checks the options; connects to nothing. The certificates' files are read at each connection,
    /// so that they can be rotated.
    ///
    /// # Errors
    ///
    /// [`EtcdOptionsError`]: options that contradict each other.
    pub fn new(options: EtcdOptions, watcher: Arc<dyn Watcher>) -> Result<Self, EtcdOptionsError> {
        let options = options.checked()?;
        Ok(Etcd {
            connection: Arc::new(Connection::new(options, watcher)),
        })
    }
}

impl Registry for Etcd {
    fn name(&self) -> &str {
        &self.connection.options().name
    }

    fn watch(&self, service: &str) -> watch::Receiver<Known> {
        service::spawn(Arc::clone(&self.connection), service)
    }

    fn list(&self, literal: &str) -> watch::Receiver<Listing> {
        listing::spawn(Arc::clone(&self.connection), literal)
    }

    fn status(&self) -> Status {
        self.connection.status()
    }

    /// On connections of its own, one to each endpoint.
    fn survey(&self, ask: Ask) -> BoxFuture<'_, Survey> {
        Box::pin(survey::survey(self.connection.options(), ask))
    }

    fn is_on(&self, host: &Host) -> bool {
        let endpoints = &self.connection.options().endpoints;
        endpoints.iter().all(|url| is_on(url, host))
    }
}

/// Whether the member at this URL listens on this host. A name other than `localhost` is another host's.
fn is_on(url: &str, host: &Host) -> bool {
    let (name, _) = host_and_port(url);
    match name.parse::<IpAddr>() {
        Ok(ip) => host.is_here(ip),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// The host of an endpoint's URL, an IPv6 address without its brackets, and the port, also where none is written.
#[must_use]
pub fn host_and_port(url: &str) -> (String, u16) {
    let uri: Uri = url.parse().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let usual = if url.starts_with("https://") { 443 } else { 80 };
    (host.to_owned(), uri.port_u16().unwrap_or(usual))
}
