//! One judgement of what is registered, by the very rules that [`follow`](super::follow) goes by; nothing is followed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::candidate::socket_path;
use super::names::{self, Lookup};
use super::{Host, MemberPolicy, Members, Membership, ReadSet, Resolved};
use crate::platform;

/// How often names are looked for: a rule may lead from a name to another.
const ROUNDS: usize = 3;
/// How long unix sockets are looked for: a folder of another machine that is away takes as long as it likes.
const SOCKET_PATIENCE: Duration = Duration::from_secs(1);

/// What may be dialled of each of these sets. Host names are resolved and unix sockets looked for, all within `patience`;
/// a name that has no answer by then counts as one that does not resolve.
pub async fn judge_once(
    services: &[(&ReadSet, MemberPolicy)],
    host: &Arc<Host>,
    patience: Duration,
) -> Vec<Members> {
    find_sockets(services, host).await;
    let until = Instant::now() + patience;
    let mut names = Resolved::new();
    for _ in 0..ROUNDS {
        let wanted = wanted(services, host, &names);
        let new: BTreeSet<String> = wanted.filter(|name| !names.contains_key(name)).collect();
        if new.is_empty() {
            break;
        }
        names.extend(names::resolve(new, Resolved::new(), within(until)).await);
    }
    let now = Instant::now();
    let judge = |(set, policy): &(&ReadSet, MemberPolicy)| {
        Membership::new(policy.clone()).read(set, host, &names, now)
    };
    services.iter().map(judge).collect()
}

/// The host names that have to be resolved.
fn wanted<'a>(
    services: &'a [(&ReadSet, MemberPolicy)],
    host: &'a Host,
    names: &'a Resolved,
) -> impl Iterator<Item = String> + 'a {
    let now = Instant::now();
    services.iter().flat_map(move |(set, policy)| {
        let mut membership = Membership::new(policy.clone());
        membership.read(set, host, names, now);
        membership.wanted_names().clone()
    })
}

async fn find_sockets(services: &[(&ReadSet, MemberPolicy)], host: &Arc<Host>) {
    let instances = services.iter().flat_map(|(set, _)| &set.instances);
    let paths: BTreeSet<PathBuf> = instances.filter_map(|it| socket_path(it)).collect();
    if paths.is_empty() {
        return;
    }
    let host = Arc::clone(host);
    let look = tokio::task::spawn_blocking(move || {
        let there = paths.iter().filter(|path| platform::has_socket(path));
        there.for_each(|path| host.found_socket(path));
    });
    // What was not found by then is not there.
    let _ = timeout(SOCKET_PATIENCE, look).await;
}

/// The system's resolver, until then.
fn within(until: Instant) -> Lookup {
    let system = names::system();
    Arc::new(move |name| {
        let found = system(name);
        Box::pin(async move {
            let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
            timeout_at(until, found).await.map_err(late)?
        })
    })
}
