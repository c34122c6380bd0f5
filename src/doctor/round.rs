//! The round: every address is tried once, some side by side.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::case::Case;
use super::{Looks, Progress};
use crate::probe::{Connect, Plan, Seen, Slots, probe_within};
use crate::registry::DialAddr;

/// Connections at one time, at most, also those that are being made.
const CONNECTIONS: usize = 64;
/// Probes at one time: more than there are connections, since one that was refused waits without.
const PROBES: usize = 8 * CONNECTIONS;
/// However many addresses there are, each is listened to for so long, besides its connect times.
const SHORTEST: Duration = Duration::from_millis(60);
/// However many addresses there are: what was not tried by then is unknown.
const LIMIT: Duration = Duration::from_secs(60);

/// Tries every address that would be dialled for these and was not tried yet. In no order, so that no subnet of black
/// holes, which have neighbouring keys, is left to the end or holds up the rest.
pub async fn look(
    cases: impl Iterator<Item = &Case>,
    plan: &Plan,
    looks: &mut Looks,
    progress: Progress<'_>,
) {
    let dials: HashSet<&DialAddr> = cases.flat_map(Case::dials).collect();
    let new = dials.into_iter().filter(|it| !looks.contains_key(it));
    let mut new: Vec<&DialAddr> = new.collect();
    fastrand::shuffle(&mut new);
    let all = new.len();
    let plan = Plan {
        listen: listen(plan.listen, all),
        ..*plan
    };
    let (plan, slots) = (&plan, &Slots::new(CONNECTIONS));
    let until = Instant::now() + limit(plan, all);
    let tried = stream::iter(new.iter().copied());
    let tried = tried.map(|dial| async move { (dial, probe_within(dial, plan, slots).await) });
    let mut tried = tried.buffer_unordered(PROBES);
    let mut done = 0;
    while let Ok(Some((dial, seen))) = timeout_at(until, tried.next()).await {
        looks.insert(dial.clone(), seen);
        done += 1;
        progress(done, all);
    }
    drop(tried);
    for dial in new {
        looks.entry(dial.clone()).or_insert_with(untried);
    }
}

/// The longest that all of it may take: where idle connections are held, their time comes on top.
fn limit(plan: &Plan, addresses: usize) -> Duration {
    let idle = plan.idle.unwrap_or_default();
    LIMIT.saturating_add(idle.saturating_mul(rounds(addresses)))
}

fn untried() -> Seen {
    Seen {
        connect: Connect::Ours(format!(
            "not tried: {LIMIT:?} were too short for all addresses"
        )),
        spoke: None,
        call: None,
        idle: None,
    }
}

/// How often so many addresses fill all connections.
fn rounds(addresses: usize) -> u32 {
    u32::try_from(addresses.div_ceil(CONNECTIONS)).unwrap_or(u32::MAX)
}

/// How long each of so many addresses is listened to: `patient` where all fit side by side, since a busy server is not to
/// be missed; else its share of that.
fn listen(patient: Duration, addresses: usize) -> Duration {
    (patient / rounds(addresses).max(1)).max(SHORTEST.min(patient))
}

#[cfg(test)]
mod tests;
