//! The services that transparent listeners may know: each is followed without waiting for a call that names it.
//!
//! Their names stand in the listeners' patterns, or are found by listing what begins as a pattern does. From then on
//! they are services that callers named, but for one thing: they are not forgotten while they are listed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use tokio::time::{Instant, sleep};

use super::{Named, Routed, Routes};
use crate::cluster::Knowledge;
use crate::config::{self, Pattern, Patterns};
use crate::discovery::{Followed, Listed, Services};
use crate::metrics;
use crate::registry::Listing;

#[cfg(test)]
mod tests;

/// How long a connection waits for the first read of what its listener may know, and how often it looks.
const FIRST_READ: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the listeners ask for, and what was found.
#[derive(Default)]
pub(super) struct Listings {
    wanted: Vec<Wanted>,
    open: HashMap<Range, Listed>,
    /// Listed services that are not followed, since there are too many.
    left_out: usize,
    /// When they were asked for.
    since: Option<Instant>,
}

/// A registry, and what the names that are asked for begin with.
type Range = (Arc<str>, Box<str>);

/// What one listener may know.
struct Wanted {
    registry: Arc<str>,
    patterns: Patterns,
}

/// One listing, for people.
pub struct Shown {
    /// The registry.
    pub registry: Arc<str>,
    /// What is listed: names that begin with the text before the star.
    pub names: Box<str>,
    /// How many there are; `None`: not known yet.
    pub found: Option<usize>,
    /// Why they are not known.
    pub problem: Option<Arc<str>>,
}

impl Wanted {
    fn of(listener: &config::Listener) -> Option<Self> {
        let registry = listener.registry.clone().filter(|_| listener.transparent)?;
        let patterns = listener.services.clone().unwrap_or_else(Patterns::all);
        Some(Self { registry, patterns })
    }

    /// What must be listed to find the names; those that are written out need no listing.
    fn ranges(&self) -> impl Iterator<Item = Range> {
        let patterns = self.patterns.iter().filter(|it| it.exact().is_none());
        patterns.map(|it| (self.registry.clone(), it.literal().into()))
    }
}

impl Listings {
    /// The names found so far, and the registry of each; that of the first listener, where several have it.
    pub(super) fn names(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut names = BTreeMap::new();
        for wanted in &self.wanted {
            let mut add = |name: Arc<str>| {
                names.entry(name).or_insert_with(|| wanted.registry.clone());
            };
            let exact = wanted.patterns.iter().filter_map(Pattern::exact);
            exact.for_each(|name| add(name.into()));
            for range in wanted.ranges() {
                if let Some(Listing::Read(found)) = self.state(&range) {
                    let known = found.iter().filter(|name| wanted.patterns.matches(name));
                    known.cloned().for_each(&mut add);
                }
            }
        }
        names
    }

    fn state(&self, range: &Range) -> Option<Listing> {
        Some(self.open.get(range)?.listing.borrow().clone())
    }

    /// Why services may be missing of which a range consists.
    fn problem(&self, range: &Range) -> Option<Arc<str>> {
        let listed = self.open.get(range)?;
        match &*listed.listing.borrow() {
            Listing::Denied(why) => Some(format!("its registry could not be listed: {why}").into()),
            Listing::Unread => {
                let trouble = listed.registry.status().last_error;
                let trouble = trouble.map_or(String::new(), |it| format!(": {it}"));
                Some(format!("its registry could not be listed yet{trouble}").into())
            }
            Listing::Read(_) => None,
        }
    }
}

impl Routes {
    /// From now on these are the listeners: what their services take to be known is listed, and nothing else.
    pub fn set_listeners(self: &Arc<Self>, listeners: &[config::Listener]) {
        let mut listings = self.listings.lock();
        listings.wanted = listeners.iter().filter_map(Wanted::of).collect();
        listings.since = (!listings.wanted.is_empty()).then(Instant::now);
        let ranges: HashSet<Range> = listings.wanted.iter().flat_map(Wanted::ranges).collect();
        listings.open.retain(|range, listed| {
            ranges.contains(range) && self.discovery.is_current(&range.0, &listed.registry)
        });
        for range in ranges {
            if !listings.open.contains_key(&range)
                && let Some(listed) = self.list(&range)
            {
                listings.open.insert(range, listed);
            }
        }
        self.settle(listings);
    }

    fn list(self: &Arc<Self>, (registry, literal): &Range) -> Option<Listed> {
        let routes = Arc::downgrade(self);
        let tell = move || {
            if let Some(routes) = routes.upgrade() {
                routes.settle(routes.listings.lock());
            }
        };
        self.discovery.list(registry, literal, tell)
    }

    /// Follows what is listed, and lets go what no longer is.
    fn settle(&self, mut listings: MutexGuard<'_, Listings>) {
        let (names, now) = (listings.names(), Instant::now());
        for (name, named) in &mut *self.named.lock() {
            if named.listed && !names.contains_key(name) {
                (named.listed, named.unused_since) = (false, now);
            }
        }
        let unfollowed =
            |(name, registry): (_, Arc<str>)| !self.follow_listed(name, &registry, now);
        let left_out = names.into_iter().map(unfollowed).filter(|it| *it).count();
        if left_out > 0 && listings.left_out == 0 {
            tracing::warn!(
                max_services = self.table.load().max_services,
                left_out,
                "more services are listed than may be followed: `max_services` in [runtime] bounds them; \
                 services = [\"shop.*\"] at a listener names those that it needs"
            );
        }
        listings.left_out = left_out;
        metrics::process_wide().services_left_out(left_out);
    }

    /// Whether the service is followed, now or already.
    fn follow_listed(&self, name: Arc<str>, registry: &str, now: Instant) -> bool {
        let table = self.table.load();
        if table.services.contains_key(&name) {
            return true;
        }
        let mut all = self.named.lock();
        if let Some(named) = all.get_mut(&name) {
            named.listed = true;
            return true;
        }
        if all.len() >= table.max_services {
            return false;
        }
        let routed = self.start(&name, registry, &table);
        let mut named = Named::new(routed, now);
        named.listed = true;
        all.insert(name, named);
        true
    }

    /// There is room for services that were left out.
    pub(super) fn settle_left_out(&self) {
        let listings = self.listings.lock();
        if listings.left_out > 0 {
            self.settle(listings);
        }
    }

    /// The services that this listener may know, that are followed, and that are registered at `addr`; where none is,
    /// those that were until lately.
    pub fn services_at(&self, addr: SocketAddr, listener: &config::Listener) -> Services {
        let mut services = self.discovery.index().services_at(addr);
        services.retain(|name| listener.may_know(name) && self.by_name(name).is_some());
        services
    }

    /// The service of this name, where it is followed.
    pub fn by_name(&self, name: &str) -> Option<Routed> {
        if let Some(routed) = self.table.load().services.get(name) {
            return Some(routed.clone());
        }
        let named = self.named.lock();
        named.get(name).map(|named| named.routed.clone())
    }

    /// Waits until what this listener may know was read for the first time, but no longer than a second after it was
    /// asked for: a service is known by its addresses only then.
    pub async fn first_read(&self, listener: &config::Listener) {
        let Some(since) = self.listings.lock().since else {
            return;
        };
        let until = since + FIRST_READ;
        while Instant::now() < until && !self.is_read(listener) {
            sleep(LOOK_AGAIN).await;
        }
    }

    fn is_read(&self, listener: &config::Listener) -> bool {
        let Some(wanted) = Wanted::of(listener) else {
            return true;
        };
        let listings = self.listings.lock();
        let unread = |range: Range| matches!(listings.state(&range), Some(Listing::Unread));
        if wanted.ranges().any(unread) {
            return false;
        }
        // What was listed a moment ago is about to be followed.
        let followed = |name: &Arc<str>| self.by_name(name).is_some();
        if listings.left_out == 0 && !listings.names().keys().all(followed) {
            return false;
        }
        drop(listings);
        let is_read = |it: &Arc<Followed>| {
            !listener.may_know(&it.cluster.name)
                || *it.cluster.known().borrow() != Knowledge::Unread
        };
        self.followed().iter().all(is_read)
    }

    /// Why a transparent listener may not know all the services that it should: its registry could not be listed.
    pub fn unlisted(&self, listener: &config::Listener) -> Option<Arc<str>> {
        let listings = self.listings.lock();
        let mut ranges = Wanted::of(listener)?
            .ranges()
            .collect::<Vec<_>>()
            .into_iter();
        ranges.find_map(|range| listings.problem(&range))
    }

    /// How many listed services are not followed, since there are more than `max_services`.
    pub fn left_out(&self) -> usize {
        self.listings.lock().left_out
    }

    /// What is listed, for people.
    pub fn listings(&self) -> Vec<Shown> {
        let listings = self.listings.lock();
        let show = |range: &Range| Shown {
            registry: range.0.clone(),
            names: format!("{}*", range.1).into(),
            found: match listings.state(range) {
                Some(Listing::Read(names)) => Some(names.len()),
                _ => None,
            },
            problem: listings.problem(range),
        };
        let mut shown: Vec<_> = listings.open.keys().map(show).collect();
        shown.sort_by(|a, b| (&a.registry, &a.names).cmp(&(&b.registry, &b.names)));
        shown
    }
}
