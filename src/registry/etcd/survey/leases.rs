//! How long the entries stay if nobody renews them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::LeaseTimeToLiveResponse;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::reader::Reader;
use crate::diagnosis::Lease;
use crate::registry::survey::ServiceSeen;

/// Leases that are asked for at a time.
const AT_ONCE: usize = 32;
/// What all of them may take; those that are left are unknown.
const LIMIT: Duration = Duration::from_secs(3);

/// Which entries hang on which lease, 0 being none.
#[derive(Default)]
pub(super) struct Leases(HashMap<i64, Vec<(Arc<str>, String)>>);

impl Leases {
    pub(super) fn add(&mut self, lease: i64, service: &Arc<str>, key: String) {
        let entries = self.0.entry(lease).or_default();
        entries.push((service.clone(), key));
    }

    /// Forgets the entries of services that are none.
    pub(super) fn keep_those_of(&mut self, is_service: impl Fn(&str) -> bool) {
        self.0.retain(|_, entries| {
            entries.retain(|(service, _)| is_service(service));
            !entries.is_empty()
        });
    }
}

/// Asks for each lease once, and notes it at its entries.
pub(super) async fn ask(reader: &Reader<'_>, leases: Leases, services: &mut [ServiceSeen]) {
    let mut at: HashMap<Arc<str>, &mut ServiceSeen> = services
        .iter_mut()
        .map(|service| (service.name.clone(), service))
        .collect();
    let until = Instant::now() + LIMIT;
    let asked = leases
        .0
        .into_iter()
        .map(|(id, entries)| async move { (time_to_live(reader, id, until).await, entries) });
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((lease, entries)) = answers.next().await {
        for (service, key) in entries {
            if let Some(service) = at.get_mut(&service) {
                service.leases.insert(key, lease);
            }
        }
    }
}

async fn time_to_live(reader: &Reader<'_>, id: i64, until: Instant) -> Lease {
    if id == 0 {
        return Lease::None;
    }
    if until <= Instant::now() || reader.left().is_zero() {
        return Lease::Unknown;
    }
    let mut client = reader.client.lease_client();
    let asked = timeout(reader.left(), client.time_to_live(id, None));
    match timeout_at(until, asked).await {
        Ok(Ok(Ok(answer))) => held(&answer),
        _ => Lease::Unknown,
    }
}

/// etcd counts in whole seconds, rounded down: up to one more is left. Nothing is held against a lease for a second
/// that it may have.
fn held(answer: &LeaseTimeToLiveResponse) -> Lease {
    let seconds = |n: i64| u64::try_from(n).ok().map(Duration::from_secs);
    match (seconds(answer.granted_ttl()), seconds(answer.ttl())) {
        (Some(granted), Some(left)) if !granted.is_zero() => Lease::Held {
            granted,
            left: (left + Duration::from_secs(1)).min(granted),
        },
        // It has ended meanwhile, and its entries with it.
        _ => Lease::Unknown,
    }
}
