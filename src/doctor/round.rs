//! The round: every address is tried once, some side by side.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};

use super::case::Case;
use super::{Looks, Progress};
use crate::probe::{Plan, probe};
use crate::registry::DialAddr;

/// Connections at one time, at most.
const CONNECTIONS: usize = 64;

/// Tries every address that would be dialled for these and was not tried yet. In no order, so that no subnet of black
/// holes, which have neighbouring keys, is left to the end or holds up the rest.
pub async fn look(cases: &[Case], plan: &Plan, looks: &mut Looks, progress: Progress<'_>) {
    let dials: HashSet<&DialAddr> = cases.iter().flat_map(Case::dials).collect();
    let new = dials.into_iter().filter(|it| !looks.contains_key(it));
    let mut new: Vec<&DialAddr> = new.collect();
    fastrand::shuffle(&mut new);
    let all = new.len();
    let tried = stream::iter(new).map(|dial| async move { (dial, probe(dial, plan).await) });
    let mut tried = tried.buffer_unordered(CONNECTIONS / plan.connections());
    while let Some((dial, seen)) = tried.next().await {
        looks.insert(dial.clone(), seen);
        progress(looks.len().min(all), all);
    }
}

impl Plan {
    /// How many connections a probe may have open at once.
    #[must_use]
    pub fn connections(&self) -> usize {
        match self.idle {
            Some(_) => 2,
            None => 1,
        }
    }
}
