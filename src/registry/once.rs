//! One judgement of what is registered, by the very rules that [`follow`](super::follow) goes by; nothing is followed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::candidate::socket_path;
use super::names;
use super::{Host, MemberPolicy, Members, Membership, ReadSet, Resolved};
use crate::platform;

/// How often names are looked for: a rule may lead from a name to another.
const ROUNDS: usize = 3;
/// How long unix sockets are looked for: a folder of another machine that is away takes as long as it likes.
const SOCKET_PATIENCE: Duration = Duration::from_secs(1);

/// What may be dialled of each of these sets. Host names that `names` does not hold are resolved and put there, and unix
/// sockets looked for, all within `patience`. A name that has no answer by then is not known to be wrong: it has no
/// finding, and nothing is dialled for it.
pub async fn judge_once(
    services: &[(&ReadSet, MemberPolicy)],
    host: &Arc<Host>,
    names: &mut Resolved,
    patience: Duration,
) -> Vec<Members> {
    find_sockets(services, host).await;
    let until = Instant::now() + patience;
    let mut asked: BTreeSet<String> = names.keys().cloned().collect();
    for _ in 0..ROUNDS {
        let wanted = wanted(services, host, names);
        let new: BTreeSet<String> = wanted.filter(|name| !asked.contains(name)).collect();
        if new.is_empty() {
            break;
        }
        asked.extend(new.iter().cloned());
        names.extend(names::resolve_until(new, until, names::system()).await);
    }
    let now = Instant::now();
    let judge = |(set, policy): &(&ReadSet, MemberPolicy)| {
        Membership::new(policy.clone()).read(set, host, names, now)
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
