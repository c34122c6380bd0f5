//! Live endpoints that are as good as each other, and how one of them is picked.
//!
//! Every way of picking costs the same for ten endpoints as for ten thousand: two weighted samples from an alias table
//! compared by load, one such sample, the next slot of a schedule that holds every endpoint by its weight, or the place
//! of a key on a ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::Member;
use super::ring::{Ring, Worth};
use super::tables::{Alias, schedule};
use crate::call::{Attribute, Attributes, Tried};
use crate::config::{Balance, Key};
use crate::endpoint::load::stamp;
use crate::endpoint::{Endpoint, Place};
use crate::health::{Health, Peers, State};

/// Pairs sampled before the tier is searched for a free place.
const PAIRS: usize = 3;
/// The latency assumed of two endpoints while nothing is known of either.
const UNKNOWN_NANOS: f64 = 1e6;
/// Endpoints of a ring that are asked for a place before the tier is searched.
const ALONG: usize = 8;
/// Points of a ring that are looked at for so many endpoints.
const STEPS: usize = 4_096;
/// Preferred endpoints that are looked at, one after another, where sampling found none.
const LOOKED_AT: usize = 16;

/// How endpoints are picked, the same for all tiers of a set.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) balance: Balance,
    pub(super) hash_key: Vec<Key>,
    pub(super) slow_start: Duration,
    pub(super) peers: Arc<Peers>,
    /// No endpoint of the set is up.
    pub(super) last_resort: bool,
}

impl Rules {
    /// Whether calls are sent to an endpoint in this state of health.
    pub(super) fn is_live(&self, health: &Health) -> bool {
        health.state().is_picked() || (self.last_resort && health.is_last_resort())
    }
}

/// One pick.
pub(super) struct Ask<'a> {
    pub(super) call: &'a dyn Attributes,
    pub(super) tried: &'a Tried,
    /// Places of an endpoint; 0: any number.
    pub(super) limit: usize,
    pub(super) now: Instant,
    pub(super) rules: &'a Rules,
}

/// An endpoint that calls may be sent to.
struct Live {
    endpoint: Arc<Endpoint>,
    weight: u32,
}

/// See the module.
pub(super) struct Tier {
    up: Vec<Live>,
    mean_weight: f64,
    by: By,
}

enum By {
    Load(Alias),
    Weight(Alias),
    Turn(Vec<u32>, AtomicUsize),
    /// A call without a key goes by weight.
    Key(Ring, Alias),
}

impl Tier {
    /// A tier of these, all live; `worth` is of all that are registered.
    pub(super) fn new(members: &[&Member], rules: &Rules, worth: Worth) -> Self {
        let up: Vec<Live> = members
            .iter()
            .map(|m| Live {
                endpoint: m.endpoint.clone(),
                weight: m.weight.max(1),
            })
            .collect();
        let weights: Vec<u64> = up.iter().map(|m| u64::from(m.weight)).collect();
        let mean_weight = match up.len() {
            0 => 1.0,
            n => weights.iter().sum::<u64>() as f64 / n as f64,
        };
        let by = match rules.balance {
            Balance::LeastLoaded => By::Load(Alias::new(&weights)),
            Balance::WeightedRandom => By::Weight(Alias::new(&weights)),
            Balance::WeightedRoundRobin => {
                let slots = schedule(&weights);
                // A new set does not begin where every other one began: many rebuilds would favour the first endpoint.
                let turn = fastrand::usize(..=slots.len());
                By::Turn(slots, AtomicUsize::new(turn))
            }
            Balance::ConsistentHash => {
                let named = up.iter().map(|m| (&*m.endpoint.name, u64::from(m.weight)));
                By::Key(Ring::new(named, worth), Alias::new(&weights))
            }
        };
        Self {
            up,
            mean_weight,
            by,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.up.len()
    }

    /// Its endpoints.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.up.iter().map(|m| &m.endpoint)
    }

    /// Its endpoints with their weights.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (&Arc<Endpoint>, u32)> {
        self.up.iter().map(|m| (&m.endpoint, m.weight))
    }

    /// The only endpoint, whatever is to be said against it.
    #[inline]
    pub(super) fn only(&self, ask: &Ask<'_>) -> Option<Place> {
        self.up[0].endpoint.place(ask.limit)
    }

    /// An endpoint that nothing is to be said against, if a few looks find one. There is at least one endpoint.
    #[inline]
    pub(super) fn pick(&self, ask: &Ask<'_>) -> Option<Place> {
        match &self.by {
            By::Load(alias) => self.least_loaded(alias, ask),
            By::Turn(slots, turn) => self.next_in_turn(slots, turn, ask),
            By::Weight(alias) => self.any(alias, ask),
            By::Key(ring, alias) => match key(ask) {
                Some(key) => self.along(ring, &key, ask),
                None => self.any(alias, ask),
            },
        }
    }

    #[inline]
    fn least_loaded(&self, alias: &Alias, ask: &Ask<'_>) -> Option<Place> {
        let stamp = stamp(ask.now);
        for _ in 0..PAIRS {
            let a = alias.sample();
            let mut b = alias.sample();
            if b == a {
                // Two of the same say nothing: the neighbour is as good a second as any.
                b = (a + 1) % self.up.len();
            }
            let (a, b) = (&self.up[a], &self.up[b]);
            let first = match (ask.fits(a), ask.fits(b)) {
                (true, true) if self.cheaper(b, a, stamp) => b,
                (true, _) => a,
                (false, true) => b,
                (false, false) => continue,
            };
            if let Some(place) = first.endpoint.place(ask.limit) {
                return Some(place);
            }
        }
        None
    }

    fn next_in_turn(&self, slots: &[u32], turn: &AtomicUsize, ask: &Ask<'_>) -> Option<Place> {
        for _ in 0..2 * PAIRS {
            let turn = turn.fetch_add(1, Relaxed) % slots.len();
            let member = &self.up[slots[turn] as usize];
            if ask.fits(member) {
                return member.endpoint.place(ask.limit);
            }
        }
        None
    }

    fn any(&self, alias: &Alias, ask: &Ask<'_>) -> Option<Place> {
        let fitting = (0..2 * PAIRS)
            .map(|_| &self.up[alias.sample()])
            .find(|m| ask.fits(m));
        fitting?.endpoint.place(ask.limit)
    }

    /// The endpoint that the key belongs to; in its place, the next ones along the ring.
    fn along(&self, ring: &Ring, key: &[u8], ask: &Ask<'_>) -> Option<Place> {
        let mut passed = [usize::MAX; ALONG];
        let mut count = 0;
        for at in ring.from(key).take(STEPS) {
            if passed.contains(&at) {
                continue;
            }
            let member = &self.up[at];
            if ask.fits(member)
                && let Some(place) = member.endpoint.place(ask.limit)
            {
                return Some(place);
            }
            *passed.get_mut(count)? = at;
            count += 1;
            if count == self.up.len() {
                return None;
            }
        }
        None
    }

    /// What sampling did not find among preferred endpoints: an endpoint that is neither on probation nor was until
    /// lately, that was not tried, and that has a place. Not all of a large tier are looked at.
    #[cold]
    pub(super) fn plain(&self, ask: &Ask<'_>) -> Option<Place> {
        self.around()
            .take(LOOKED_AT)
            .filter(|m| m.endpoint.health.is_plain() && !ask.tried.contains(m.endpoint.id))
            .find_map(|m| m.endpoint.place(ask.limit))
    }

    /// Any endpoint that was not tried and has a free place, but none that is tried out.
    pub(super) fn untried(&self, ask: &Ask<'_>) -> Option<Place> {
        self.around()
            .filter(|m| !ask.tried.contains(m.endpoint.id) && !ask.is_tried_out(m))
            .find_map(|m| m.endpoint.place(ask.limit))
    }

    /// Any endpoint with a free place.
    pub(super) fn whatever(&self, ask: &Ask<'_>) -> Option<Place> {
        self.around().find_map(|m| m.endpoint.place(ask.limit))
    }

    /// All of them, from a random one on.
    fn around(&self) -> impl Iterator<Item = &Live> {
        let (left, right) = self.up.split_at(fastrand::usize(..=self.up.len()));
        right.iter().chain(left)
    }

    /// Whether one more call would wait for less at `a`. An endpoint of which nothing is known, or that is on
    /// probation, counts as fast as the other: assumed to be slower, it would never be tried.
    #[inline]
    fn cheaper(&self, a: &Live, b: &Live, now: u64) -> bool {
        let latency = |m: &Live| match m.endpoint.health.state() {
            State::Probation => None,
            _ => m.endpoint.load.latency(now),
        };
        let (la, lb) = (latency(a), latency(b));
        let unknown = la.or(lb).unwrap_or(UNKNOWN_NANOS);
        self.cost(a, la.unwrap_or(unknown)) < self.cost(b, lb.unwrap_or(unknown))
    }

    /// Latency × (1 + calls in flight, by weight): what one more call would wait for.
    #[inline]
    fn cost(&self, member: &Live, latency: f64) -> f64 {
        let pending = f64::from(member.endpoint.busy());
        latency * (1.0 + pending * self.mean_weight / f64::from(member.weight))
    }
}

impl Ask<'_> {
    #[inline]
    fn fits(&self, member: &Live) -> bool {
        let endpoint = &member.endpoint;
        (self.limit == 0 || (endpoint.busy() as usize) < self.limit)
            && !self.tried.contains(endpoint.id)
            && (endpoint.health.is_plain() || self.has_share(member))
    }

    /// Whether an endpoint that is on probation, or was until lately, gets a call.
    #[cold]
    fn has_share(&self, member: &Live) -> bool {
        let share = member
            .endpoint
            .health
            .share(self.rules.slow_start, self.now);
        !self.is_tried_out(member) && (share >= 1.0 || fastrand::f64() < share)
    }

    /// On probation, and the one call that may be in flight on it is: while another endpoint is up, that is enough.
    fn is_tried_out(&self, member: &Live) -> bool {
        let endpoint = &member.endpoint;
        endpoint.health.state() == State::Probation
            && endpoint.busy() > 0
            && self.rules.peers.count(State::Up) > 0
    }
}

/// What the call is hashed by, if it says anything of it.
fn key<'a>(ask: &Ask<'a>) -> Option<Attribute<'a>> {
    let mut keys = ask.rules.hash_key.iter();
    keys.find_map(|key| ask.call.attribute(key))
}
