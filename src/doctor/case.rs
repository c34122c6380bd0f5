//! One service as it was surveyed and judged, and what its findings are once its addresses were tried.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Looks;
use super::places::Place;
use super::report::{Entry, ServiceReport, Verdict, Whole};
use crate::config::Config;
use crate::diagnosis::{self, Facts, KITEX_CONNECT_TIMEOUT};
use crate::discovery::member_policy;
use crate::finding::Code;
use crate::probe::{Connect, Seen};
use crate::registry::survey::{ServiceSeen, Survey};
use crate::registry::{DialAddr, Host, Members, Resolved, Rewrites, Shown, judge_once};

/// How long the host names of all services together may take to resolve.
const NAMES_PATIENCE: Duration = Duration::from_secs(6);

/// See the module.
pub struct Case {
    /// The number of the place where it is registered.
    pub place: usize,
    /// What is registered.
    pub seen: ServiceSeen,
    /// What a running tidegate would make of that.
    pub members: Members,
    /// The longest that it would let a connect take.
    pub connect_timeout: Duration,
}

/// Judges all services of some surveys, by the policies and rewrite rules of the config.
pub async fn judge(
    config: &Config,
    places: &[Place],
    surveys: &[(usize, Survey)],
    host: &Arc<Host>,
) -> Vec<Case> {
    judge_knowing(config, places, surveys, host, &mut Resolved::new()).await
}

/// The same where some host names are known already. The others are asked for, and then known as well.
pub async fn judge_knowing(
    config: &Config,
    places: &[Place],
    surveys: &[(usize, Survey)],
    host: &Arc<Host>,
    names: &mut Resolved,
) -> Vec<Case> {
    let rules = Rewrites::new(&config.rewrites);
    let each = surveys.iter().flat_map(|(at, survey)| {
        let services = survey.services.iter();
        services.map(|service| (*at, service))
    });
    let services: Vec<(usize, &ServiceSeen)> = each.collect();
    let with_policy = services.iter().map(|(at, service)| {
        let policy = config.policy_of(&service.name);
        let rules = Arc::new(rules.of(&service.name));
        (
            &service.set,
            member_policy(policy, places[*at].is_static(), rules),
        )
    });
    let sets: Vec<_> = with_policy.collect();
    let members = judge_once(&sets, host, names, NAMES_PATIENCE).await;
    let cases = services.into_iter().zip(members);
    cases
        .map(|((place, service), members)| Case {
            place,
            seen: service.clone(),
            members,
            connect_timeout: config.policy_of(&service.name).connect_timeout,
        })
        .collect()
}

impl Case {
    /// The same for the same service of the same place.
    #[must_use]
    pub fn id(&self) -> (usize, Arc<str>) {
        (self.place, self.seen.name.clone())
    }

    /// Whether it could be read.
    #[must_use]
    pub fn was_read(&self) -> bool {
        self.seen.failed.is_none()
    }

    /// Whether nothing is registered for it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.set.instances.is_empty() && self.seen.set.skipped.is_empty()
    }

    /// Whether nothing is registered for it, and something was.
    #[must_use]
    pub fn has_lost_all(&self) -> bool {
        self.was_read() && self.is_empty() && !self.seen.partly && !self.seen.gone.is_empty()
    }

    /// Takes over from an earlier look what was registered and is no more: what was there before the first look is asked
    /// for only once. Where nothing is left, what was there then has gone as well.
    pub fn remember(&mut self, before: &Case) {
        let seen = before.seen.set.instances.iter();
        let seen = seen.map(|it| &it.address).filter(|_| self.is_empty());
        let mut gone: Vec<String> = seen.chain(&before.seen.gone).cloned().collect();
        let now = &self.seen.set.instances;
        gone.retain(|address| now.iter().all(|it| it.address != *address));
        self.seen.gone = gone;
    }

    /// What would be dialled for it.
    pub fn dials(&self) -> impl Iterator<Item = &DialAddr> {
        self.members.shown.iter().filter_map(|it| it.dial.as_ref())
    }

    /// Whether something is held against one of its registrations.
    #[must_use]
    pub fn is_accused(&self, places: &[Place], looks: &Looks, host: &Host) -> bool {
        let entries = self.entries(places, looks, host);
        entries.iter().any(|it| it.verdict == Verdict::Wrong)
    }

    /// Forgets what was seen at addresses that were registered again meanwhile, as `now` says.
    pub fn forget(&self, now: &Case, looks: &mut Looks) {
        let before = self.revisions();
        for (dial, revision) in now.revisions() {
            if before.get(dial) != Some(&revision) {
                looks.remove(dial);
            }
        }
    }

    /// When what would be dialled was registered; of several registrations, the first.
    fn revisions(&self) -> HashMap<&DialAddr, u64> {
        let mut revisions = HashMap::new();
        for shown in &self.members.shown {
            if let Some(dial) = &shown.dial {
                revisions.entry(dial).or_insert(shown.instance.revision);
            }
        }
        revisions
    }

    /// What is reported of it.
    #[must_use]
    pub fn report(
        self,
        places: &[Place],
        looks: &Looks,
        host: &Host,
        findings: Vec<Whole>,
    ) -> ServiceReport {
        ServiceReport {
            entries: self.entries(places, looks, host),
            unread: !self.was_read(),
            registry: places[self.place].name.clone(),
            whence: places[self.place].whence.clone(),
            name: self.seen.name,
            skipped: self.seen.set.skipped,
            findings,
        }
    }

    fn entries(&self, places: &[Place], looks: &Looks, host: &Host) -> Vec<Entry> {
        let place = &places[self.place];
        let shown = self.members.shown.iter();
        let mut entries: Vec<Entry> = shown
            .map(|shown| self.entry(shown, looks, host, place))
            .collect();
        let of_one = |a: &Entry, b: &Entry| Arc::ptr_eq(a.instance(), b.instance());
        entries.chunk_by_mut(of_one).for_each(settle);
        entries
    }

    fn entry(&self, shown: &Shown, looks: &Looks, host: &Host, place: &Place) -> Entry {
        let seen = shown.dial.as_ref().and_then(|it| looks.get(it));
        let registered: Vec<Code> = shown.code.iter().chain(&shown.more).copied().collect();
        let lease = self.seen.leases.get(&shown.instance.key).copied();
        let lease = lease.unwrap_or_default();
        let connect_timeout = (!place.whence.unconfigured).then_some(self.connect_timeout);
        let tcp = shown.dial.as_ref().and_then(DialAddr::tcp);
        let on_link = tcp.is_some_and(|it| host.is_on_link(it.ip()));
        let codes = diagnosis::findings(&Facts {
            class: shown.dialled_class(),
            registered: &registered,
            seen,
            lease,
            on_link,
            alone: place.alone && (place.kind != "etcd" || !seen.is_some_and(fails)),
            connect_timeout: connect_timeout.unwrap_or(KITEX_CONNECT_TIMEOUT),
        });
        Entry {
            shown: shown.clone(),
            lease,
            seen: seen.cloned(),
            codes,
            verdict: Verdict::Unknown,
            alone: place.alone,
            on_link,
            own_bridge: tcp.is_some_and(|it| host.is_own_bridge(it.ip())),
            connect_timeout,
            host: None,
        }
    }
}

/// Whether nobody answers: a registry on this host is then no proof of where its services are, since etcd may be behind a
/// tunnel.
fn fails(seen: &Seen) -> bool {
    !matches!(seen.connect, Connect::Open(_) | Connect::Ours(_))
}

/// Says what comes of a registration. Where its host name has several addresses and one works, callers go on to that
/// one from those that say at once that nobody is there.
fn settle(entries: &mut [Entry]) {
    let works = |it: &Entry| it.connect().is_some() && !it.is_accused();
    if entries.len() > 1 && entries.iter().any(works) {
        let passed_over = entries.iter_mut().filter(|it| {
            let connect = it.seen.as_ref().map(|it| &it.connect);
            matches!(connect, Some(Connect::Refused(_) | Connect::Unreachable(_)))
        });
        passed_over.for_each(|it| it.codes.retain(|code| code.is_note()));
    }
    let verdict = verdict(entries);
    entries.iter_mut().for_each(|it| it.verdict = verdict);
}

fn verdict(entries: &[Entry]) -> Verdict {
    if entries.iter().any(Entry::is_accused) {
        return Verdict::Wrong;
    }
    let works = entries.iter().any(|it| it.connect().is_some());
    match works {
        true => Verdict::Reachable,
        false => Verdict::Unknown,
    }
}
