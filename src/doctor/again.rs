//! A second look, at what would be accused: a server in the middle of a restart is no finding.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::case::{self, Case};
use super::places::{self, Place};
use super::report::Whole;
use super::{Asked, Known, Progress, round, whole};
use crate::config::Config;
use crate::registry::survey::Survey;
use crate::registry::{Found, Host};

/// Kitex deregisters when it is told to stop, and registers a second after it listens: what is away for so long, and
/// listens, comes back no more by itself.
const RETURN: Duration = Duration::from_millis(1500);

/// What both looks go by.
pub(super) struct Again<'a> {
    pub config: &'a Config,
    pub asked: &'a Asked,
    pub places: &'a [Place],
    pub host: &'a Arc<Host>,
    pub progress: Progress<'a>,
}

impl Again<'_> {
    /// The services with an accused registration are surveyed once more and take the place of what was seen of them first:
    /// an entry that has gone meanwhile was a server that stopped, one that was put again is tried again.
    pub(super) async fn settle(&self, cases: &mut Vec<Case>, known: &mut Known) {
        let is_accused = |case: &Case| case.is_accused(self.places, &known.looks, self.host);
        let accused = (0..cases.len()).filter(|at| is_accused(&cases[*at]));
        let accused: BTreeSet<usize> = accused.collect();
        self.look(&accused, cases, known).await;
        let emptied = accused.iter().any(|at| cases[*at].is_empty());
        if emptied && self.asked.services.is_empty() {
            cases.retain(|case| !case.is_empty() || self.is_configured(case));
        }
    }

    /// What listens on this host and is registered no more, by the number of the service. That, and a service of which all
    /// instances are gone, may be a restart: it is looked at again when that would be over.
    pub(super) async fn unregistered(
        &self,
        surveys: &[(usize, Survey)],
        cases: &mut [Case],
        known: &mut Known,
    ) -> HashMap<usize, Vec<Whole>> {
        let left = whole::unregistered(cases, surveys, self.host).await;
        let is_left = |at: &usize| left.contains_key(at) || cases[*at].has_lost_all();
        let suspects: BTreeSet<usize> = (0..cases.len()).filter(is_left).collect();
        if suspects.is_empty() {
            return left;
        }
        sleep(RETURN).await;
        self.look(&suspects, cases, known).await;
        whole::unregistered(cases, surveys, self.host).await
    }

    /// Looks at these once more. What cannot be read again stays as it was.
    async fn look(&self, which: &BTreeSet<usize>, cases: &mut [Case], known: &mut Known) {
        let Known { looks, names } = known;
        let named = which.iter().map(|at| {
            let case = &cases[*at];
            (case.place, case.seen.name.clone())
        });
        let surveys = places::survey_again(self.places, named).await;
        // What was found stands: a resolver that is slower now takes none of it back.
        names.retain(|_, found| matches!(found, Found::Addresses(_)));
        let again = case::judge_knowing(self.config, self.places, &surveys, self.host, names).await;
        let again = again
            .into_iter()
            .filter(|it| it.was_read() && !it.seen.partly);
        let mut again: HashMap<_, Case> = again.map(|it| (it.id(), it)).collect();
        for case in cases.iter() {
            let now = again.get(&case.id());
            now.into_iter().for_each(|now| case.forget(now, looks));
        }
        round::look(again.values(), &self.asked.plan, looks, self.progress).await;
        for case in cases.iter_mut() {
            if let Some(now) = again.remove(&case.id()) {
                let before = std::mem::replace(case, now);
                case.remember(&before);
            }
        }
    }

    /// Whether the config names the service: it is missed where it is not registered.
    fn is_configured(&self, case: &Case) -> bool {
        self.config.service(&case.seen.name).is_some()
    }
}
