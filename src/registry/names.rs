//! Host names among the registered addresses, resolved by the system: one endpoint per address.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use crate::platform;

#[cfg(test)]
mod tests;

/// How long one name may take to resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Names resolved at the same time.
const AT_ONCE: usize = 16;
/// The same for a look at all services at once.
const AT_ONCE_IN_ALL: usize = 64;
/// Addresses taken of one name.
const MAX_ADDRESSES: usize = 64;

/// What a host name is known to stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its addresses, sorted, without duplicates, at least one.
    Addresses(Vec<IpAddr>),
    /// It never resolved; why not.
    Failed(String),
    /// The resolver gave no answer, and why: nothing is known of the name.
    Unanswered(String),
}

/// How far it is known what the host name of an address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// It is known, or that it stands for nothing; or the address has no name.
    #[default]
    Settled,
    /// It was not looked up yet.
    Pending,
    /// The resolver gave no answer.
    Unanswered,
}

/// Host name to what it stands for; a name that is missing was not asked for yet.
pub type Resolved = HashMap<String, Found>;

/// How a name is resolved: the system's way, or a test's.
pub type Lookup = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync,
>;

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    })
}

/// Resolves all of `names`, a bounded number at a time. A name that fails keeps the addresses it
/// had in `before`: a resolver that is away must not empty a service.
pub(super) async fn resolve(names: BTreeSet<String>, before: Resolved, lookup: Lookup) -> Resolved {
    stream::iter(names)
        .map(|name| {
            let (lookup, before) = (Arc::clone(&lookup), before.get(&name).cloned());
            async move {
                let found = look_up(&name, before, &lookup).await;
                (name, found)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Resolves all of `names`, as far as there is an answer by then.
pub(super) async fn resolve_until(
    names: BTreeSet<String>,
    until: Instant,
    lookup: Lookup,
) -> Resolved {
    let each = stream::iter(names).map(|name| {
        let lookup = Arc::clone(&lookup);
        async move {
            let answer = timeout_at(until, lookup(name.clone())).await;
            let late = |_| Found::Unanswered("no answer in time".to_owned());
            let found = answer.map_or_else(late, |it| found(&name, it));
            (name, found)
        }
    });
    each.buffer_unordered(AT_ONCE_IN_ALL).collect().await
}

async fn look_up(name: &str, before: Option<Found>, lookup: &Lookup) -> Found {
    let answer = tokio::time::timeout(LOOKUP_TIMEOUT, lookup(name.to_owned())).await;
    let late = |_| Found::Unanswered(format!("no answer within {LOOKUP_TIMEOUT:?}"));
    match (answer.map_or_else(late, |it| found(name, it)), before) {
        (Found::Failed(_) | Found::Unanswered(_), Some(before @ Found::Addresses(_))) => before,
        (found, _) => found,
    }
}

/// Why a name is not known, which is no fault of whoever registered it.
pub(super) fn unanswered(name: &str, why: &str) -> String {
    let settings = platform::resolvers().unwrap_or("the network's DNS settings");
    format!(
        "{name} is not known: this host's resolver does not answer ({why}); check {settings}, or register an IP \
         address if it is a name of a container network"
    )
}

fn found(name: &str, answer: io::Result<Vec<IpAddr>>) -> Found {
    match answer {
        Ok(ips) if ips.is_empty() => Found::Failed("it has no address".to_owned()),
        Ok(mut ips) => {
            ips.sort_unstable();
            ips.dedup();
            ips.truncate(MAX_ADDRESSES);
            Found::Addresses(ips)
        }
        // Of a name without a dot, such as a container's, systemd-resolved says the same where there is none.
        Err(error) if name.contains('.') && platform::is_unanswered(&error) => {
            Found::Unanswered(error.to_string())
        }
        Err(error) => Found::Failed(error.to_string()),
    }
}
