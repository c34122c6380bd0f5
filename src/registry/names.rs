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

/// Resolves those of `names` that have an answer by then: of the others nothing is known.
pub(super) async fn resolve_until(
    names: BTreeSet<String>,
    until: Instant,
    lookup: Lookup,
) -> Resolved {
    let each = stream::iter(names).map(|name| {
        let lookup = Arc::clone(&lookup);
        async move {
            let answer = timeout_at(until, lookup(name.clone())).await.ok()?;
            Some((name, found(answer)))
        }
    });
    let answered = each.buffer_unordered(AT_ONCE_IN_ALL);
    answered.filter_map(std::future::ready).collect().await
}

async fn look_up(name: &str, before: Option<Found>, lookup: &Lookup) -> Found {
    let answer = tokio::time::timeout(LOOKUP_TIMEOUT, lookup(name.to_owned())).await;
    let late = |_| Found::Failed(format!("no answer within {LOOKUP_TIMEOUT:?}"));
    match (answer.map(found).unwrap_or_else(late), before) {
        (Found::Failed(_), Some(before @ Found::Addresses(_))) => before,
        (found, _) => found,
    }
}

fn found(answer: io::Result<Vec<IpAddr>>) -> Found {
    match answer {
        Ok(ips) if ips.is_empty() => Found::Failed("it has no address".to_owned()),
        Ok(mut ips) => {
            ips.sort_unstable();
            ips.dedup();
            ips.truncate(MAX_ADDRESSES);
            Found::Addresses(ips)
        }
        Err(error) => Found::Failed(error.to_string()),
    }
}
