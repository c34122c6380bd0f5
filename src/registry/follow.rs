//! The task per service that ties it together: what is registered, what its names stand for, what
//! the policy says, and the passing of time, to [`Members`].

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::candidate::socket_path;
use super::names::{self, Lookup};
use super::{Host, Known, MemberPolicy, Members, Membership, ReadSet, Resolved, Shown};

mod announce;
mod sockets;
#[cfg(test)]
mod tests;

use announce::Announcer;
use sockets::Sockets;

/// How often host names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// The least time between two looks at the same names, however often one is asked for.
const RESOLVE_GAP: Duration = Duration::from_secs(1);

/// Follows one service until `known` closes: calls `apply` with the members whenever they change,
/// and logs one line for each registered address that is new.
///
/// Host names are resolved every 30 s, and at most once a second when `again` is notified (a connect
/// failed, or this host's addresses or listeners changed). A first set whose addresses are no names is applied at once.
///
/// A registered unix socket is a member from when it was first there, which is looked at once a second until then. After
/// that it is an instance like any other: `down` while it cannot be dialled.
pub async fn follow(
    service: Arc<str>,
    known: watch::Receiver<Known>,
    policy: watch::Receiver<MemberPolicy>,
    host: Arc<Host>,
    again: Arc<Notify>,
    apply: impl Fn(Arc<Members>) + Send,
) {
    follow_with(service, known, policy, host, again, names::system(), apply).await;
}

/// [`follow`] with a resolver of the caller's choice.
async fn follow_with(
    service: Arc<str>,
    mut known: watch::Receiver<Known>,
    mut policy: watch::Receiver<MemberPolicy>,
    host: Arc<Host>,
    again: Arc<Notify>,
    lookup: Lookup,
    apply: impl Fn(Arc<Members>) + Send,
) {
    let mut follower = Follower {
        membership: Membership::new(policy.borrow_and_update().clone()),
        announcer: Announcer::new(service),
        host,
        set: None,
        names: Resolved::new(),
        sockets: Sockets::new(),
        applied: None,
        apply,
    };
    let mut resolver = Resolver::new(lookup);
    let first = known.borrow_and_update().clone();
    follower.learn(first);
    let mut policy_open = true;
    loop {
        resolver.want(follower.membership.wanted_names());
        let next_change = follower.membership.next_change();
        tokio::select! {
            changed = known.changed() => {
                if changed.is_err() {
                    return;
                }
                let news = known.borrow_and_update().clone();
                follower.learn(news);
            }
            changed = policy.changed(), if policy_open => {
                policy_open = changed.is_ok();
                let policy = policy.borrow_and_update().clone();
                follower.adopt(policy);
            }
            resolved = resolver.finished() => follower.rename(resolved),
            () = again.notified() => {
                resolver.hurry();
                follower.read();
            }
            () = follower.sockets.appear(&follower.host), if follower.sockets.are_missing(&follower.host) => follower.read(),
            () = sleep_until(next_change.unwrap_or_else(Instant::now)), if next_change.is_some() => follower.tick(),
        }
    }
}

struct Follower<F> {
    membership: Membership,
    announcer: Announcer,
    host: Arc<Host>,
    set: Option<Arc<ReadSet>>,
    names: Resolved,
    /// The unix sockets of the set.
    sockets: Sockets,
    applied: Option<Arc<Members>>,
    apply: F,
}

impl<F: Fn(Arc<Members>)> Follower<F> {
    fn learn(&mut self, known: Known) {
        match known {
            Known::Unread => self.publish(Members::default()),
            Known::Denied(why) => self.publish(Members {
                denied: Some(why),
                ..Members::default()
            }),
            Known::Read(set) => {
                self.announcer.announce_skipped(&set.skipped);
                let paths = set.instances.iter().filter_map(|it| socket_path(it));
                self.sockets.set(paths.collect());
                self.set = Some(set);
                self.read();
            }
        }
    }

    fn rename(&mut self, names: Resolved) {
        self.names = names;
        self.read();
    }

    fn read(&mut self) {
        let Some(set) = &self.set else { return };
        let mut members = self
            .membership
            .read(set, &self.host, &self.names, Instant::now());
        // Nothing to call yet, but a name is being resolved, or a socket looked for: as good as not read.
        let pending =
            members.shown.iter().any(Shown::is_pending) || self.sockets.are_unlooked(&self.host);
        members.known = !members.list.is_empty() || !pending;
        self.publish(members);
    }

    fn adopt(&mut self, policy: MemberPolicy) {
        self.membership.set_policy(policy, Instant::now());
        self.read();
    }

    fn tick(&mut self) {
        let members = self.membership.tick(Instant::now());
        self.publish(members);
    }

    fn publish(&mut self, mut members: Members) {
        members.unreadable = self.set.as_ref().map_or(0, |set| set.skipped.len());
        if self.applied.as_deref() == Some(&members) {
            return;
        }
        let members = Arc::new(members);
        self.announcer.announce(&members);
        (self.apply)(Arc::clone(&members));
        self.applied = Some(members);
    }
}

type Resolving = Pin<Box<dyn Future<Output = Resolved> + Send>>;

/// Decides when names are looked up; the looking up runs beside everything else.
struct Resolver {
    lookup: Lookup,
    names: BTreeSet<String>,
    found: Resolved,
    due: Instant,
    last: Option<Instant>,
    running: Option<Resolving>,
}

impl Resolver {
    fn new(lookup: Lookup) -> Self {
        let (names, found, due) = (BTreeSet::new(), Resolved::new(), Instant::now());
        Resolver {
            lookup,
            names,
            found,
            due,
            last: None,
            running: None,
        }
    }

    /// Says which names matter now. A new one is looked up at once, in place of what runs.
    fn want(&mut self, names: &BTreeSet<String>) {
        if !names.is_subset(&self.names) {
            self.due = Instant::now();
            self.running = None;
        }
        if *names != self.names {
            self.names.clone_from(names);
        }
    }

    /// A connect failed: look soon.
    fn hurry(&mut self) {
        let soonest = self
            .last
            .map_or_else(Instant::now, |last| last + RESOLVE_GAP);
        self.due = self.due.min(soonest);
    }

    /// Ends with what the names stand for, each time they were looked up. Never ends while no name
    /// matters. May be dropped and called again.
    async fn finished(&mut self) -> Resolved {
        if self.names.is_empty() {
            std::future::pending::<()>().await;
        }
        if self.running.is_none() {
            sleep_until(self.due).await;
        }
        let running = self.running.get_or_insert_with(|| {
            let lookup = Arc::clone(&self.lookup);
            Box::pin(names::resolve(
                self.names.clone(),
                self.found.clone(),
                lookup,
            ))
        });
        let resolved = running.as_mut().await;
        self.running = None;
        let now = Instant::now();
        self.last = Some(now);
        self.due = now + RESOLVE_EVERY;
        self.found.clone_from(&resolved);
        resolved
    }
}
