//! The endpoints of a service at one moment, made for picking: rebuilt on the rare change, read by every call.
//!
//! Both ways of picking cost the same for ten endpoints as for ten thousand: two weighted samples from an alias table
//! (Walker, Vose) compared by load, or the next slot of a schedule that holds every endpoint by its weight, evenly
//! spread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::load::stamp;
use super::{Endpoint, Place};
use crate::call::Tried;
use crate::config::{Balance, Policy};
use crate::health::{Peers, State};

#[cfg(test)]
mod tests;

/// Slots of a schedule at most: beyond, weights are scaled down.
const MAX_SLOTS: u64 = 65_536;
/// Pairs sampled before the set is searched for a free place.
const PAIRS: usize = 3;
/// The latency assumed of two endpoints while nothing is known of either.
const UNKNOWN_NANOS: f64 = 1e6;

/// An endpoint with its weight in this set.
#[derive(Clone)]
pub struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its weight, at least 1.
    pub weight: u32,
}

/// What a pick finds.
pub enum Pick {
    /// An endpoint, with a place at it.
    One(Place),
    /// Every endpoint's places are taken.
    Full,
    /// No endpoint may be used.
    Nothing,
}

/// A snapshot of a service's endpoints.
#[derive(Default)]
pub struct EndpointSet {
    /// All of them, down ones too.
    pub all: Vec<Member>,
    /// Those that calls may be sent to.
    up: Vec<Member>,
    mean_weight: f64,
    /// The alias table: for each slot the chance, of 2³², to stay there, and where to go else.
    alias: Vec<(u32, u32)>,
    /// Filled for weighted round robin only.
    schedule: Vec<u32>,
    turn: AtomicUsize,
    slow_start: Duration,
    peers: Arc<Peers>,
}

impl EndpointSet {
    /// A set of these endpoints, which know of each other by `peers`; what is down or ejected is not picked.
    pub fn new(all: Vec<Member>, policy: &Policy, peers: Arc<Peers>) -> Self {
        let up: Vec<Member> = all
            .iter()
            .filter(|m| m.endpoint.health.state().is_picked())
            .cloned()
            .collect();
        let weights: Vec<u64> = up.iter().map(|m| u64::from(m.weight.max(1))).collect();
        let total: u64 = weights.iter().sum();
        let mean_weight = if up.is_empty() {
            1.0
        } else {
            total as f64 / up.len() as f64
        };
        let (alias, schedule) = match policy.balance {
            Balance::LeastLoaded => (alias_table(&weights, total), Vec::new()),
            Balance::WeightedRoundRobin => (Vec::new(), schedule(&weights)),
        };
        // A new set does not begin where every other one began: many rebuilds would favour the first endpoint.
        let turn = AtomicUsize::new(fastrand::usize(..=schedule.len()));
        Self {
            all,
            up,
            mean_weight,
            alias,
            schedule,
            turn,
            slow_start: policy.ejection.slow_start,
            peers,
        }
    }

    /// How many may be picked.
    pub fn available(&self) -> usize {
        self.up.len()
    }

    /// Whether there is an endpoint that may be picked and was not tried.
    pub fn has_other(&self, tried: &Tried) -> bool {
        self.up.iter().any(|m| !tried.contains(m.endpoint.id))
    }

    /// Picks an endpoint with a free place (of `limit`, 0: any number), not one that was tried while there is another.
    #[inline]
    pub fn pick(&self, tried: &Tried, limit: usize, now: Instant) -> Pick {
        let picked = match self.up.len() {
            0 => return Pick::Nothing,
            1 => self.up[0].endpoint.place(limit),
            _ if self.schedule.is_empty() => self.least_loaded(tried, limit, now),
            _ => self.next_in_turn(tried, limit, now),
        };
        picked
            .or_else(|| self.search(tried, limit))
            .map_or(Pick::Full, Pick::One)
    }

    fn least_loaded(&self, tried: &Tried, limit: usize, now: Instant) -> Option<Place> {
        let stamp = stamp(now);
        for _ in 0..PAIRS {
            let a = self.sample();
            let mut b = self.sample();
            if b == a {
                // Two of the same say nothing: the neighbour is as good a second as any.
                b = (a + 1) % self.up.len();
            }
            let (a, b) = (&self.up[a], &self.up[b]);
            let fits = |m: &Member| self.fits(m, tried, limit, now);
            let first = match (fits(a), fits(b)) {
                (true, true) if self.cheaper(b, a, stamp) => b,
                (true, _) => a,
                (false, true) => b,
                (false, false) => continue,
            };
            if let Some(place) = first.endpoint.place(limit) {
                return Some(place);
            }
        }
        None
    }

    fn next_in_turn(&self, tried: &Tried, limit: usize, now: Instant) -> Option<Place> {
        for _ in 0..2 * PAIRS {
            let turn = self.turn.fetch_add(1, Relaxed) % self.schedule.len();
            let member = &self.up[self.schedule[turn] as usize];
            if self.fits(member, tried, limit, now) {
                return member.endpoint.place(limit);
            }
        }
        None
    }

    /// What sampling did not find: any endpoint with a free place, those not tried first. Reached only when most are
    /// full or tried.
    #[cold]
    fn search(&self, tried: &Tried, limit: usize) -> Option<Place> {
        let (left, right) = self.up.split_at(fastrand::usize(..self.up.len()));
        let around = || right.iter().chain(left);
        around()
            .filter(|m| !tried.contains(m.endpoint.id) && !self.is_tried_out(m))
            .chain(around())
            .find_map(|m| m.endpoint.place(limit))
    }

    #[inline]
    fn fits(&self, member: &Member, tried: &Tried, limit: usize, now: Instant) -> bool {
        let endpoint = &member.endpoint;
        (limit == 0 || (endpoint.busy() as usize) < limit)
            && !tried.contains(endpoint.id)
            && (endpoint.health.is_plain() || self.has_share(member, now))
    }

    /// Whether an endpoint that is on probation, or was until lately, gets a call.
    #[cold]
    fn has_share(&self, member: &Member, now: Instant) -> bool {
        let share = member.endpoint.health.share(self.slow_start, now);
        !self.is_tried_out(member) && (share >= 1.0 || fastrand::f64() < share)
    }

    /// On probation, and the one call that may be in flight on it is: while another endpoint is up, that is enough.
    fn is_tried_out(&self, member: &Member) -> bool {
        let endpoint = &member.endpoint;
        endpoint.health.state() == State::Probation
            && endpoint.busy() > 0
            && self.peers.count(State::Up) > 0
    }

    /// Whether one more call would wait for less at `a`. An endpoint of which nothing is known, or that is on
    /// probation, counts as fast as the other: assumed to be slower, it would never be tried.
    #[inline]
    fn cheaper(&self, a: &Member, b: &Member, now: u64) -> bool {
        let latency = |m: &Member| match m.endpoint.health.state() {
            State::Probation => None,
            _ => m.endpoint.load.latency(now),
        };
        let (la, lb) = (latency(a), latency(b));
        let unknown = la.or(lb).unwrap_or(UNKNOWN_NANOS);
        self.cost(a, la.unwrap_or(unknown)) < self.cost(b, lb.unwrap_or(unknown))
    }

    /// Latency × (1 + calls in flight, by weight): what one more call would wait for.
    #[inline]
    fn cost(&self, member: &Member, latency: f64) -> f64 {
        let pending = f64::from(member.endpoint.busy());
        latency * (1.0 + pending * self.mean_weight / f64::from(member.weight))
    }

    /// An index, by weight.
    #[inline]
    fn sample(&self) -> usize {
        let random = fastrand::u64(..);
        let slot = ((random >> 32) * self.alias.len() as u64) >> 32;
        let (stay, other) = self.alias[slot as usize];
        if (random as u32) <= stay {
            slot as usize
        } else {
            other as usize
        }
    }
}

/// Vose's alias method. The chance to stay is of 2³² − 1.
fn alias_table(weights: &[u64], total: u64) -> Vec<(u32, u32)> {
    let n = weights.len();
    let mut scaled: Vec<f64> = weights
        .iter()
        .map(|w| *w as f64 * n as f64 / total.max(1) as f64)
        .collect();
    let mut table: Vec<(u32, u32)> = (0..n).map(|i| (u32::MAX, i as u32)).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| scaled[*i] < 1.0);
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        table[poor] = ((scaled[poor] * f64::from(u32::MAX)) as u32, rich as u32);
        scaled[rich] -= 1.0 - scaled[poor];
        if scaled[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    table
}

/// Every endpoint as often as its weight says, spread as evenly as it goes: the earliest due comes next.
fn schedule(weights: &[u64]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights.iter().map(|w| w / divisor).sum();
    let most = MAX_SLOTS.max(weights.len() as u64);
    let times: Vec<u64> = weights
        .iter()
        .map(|w| {
            if total <= most {
                w / divisor
            } else {
                (w / divisor * most / total).max(1)
            }
        })
        .collect();
    // An endpoint of weight w is due at (k + ½) / w: sorting all dues is the earliest-deadline-first order.
    let mut due: Vec<(f64, u32)> = Vec::with_capacity(times.iter().sum::<u64>() as usize);
    for (i, n) in times.iter().enumerate() {
        due.extend((0..*n).map(|k| ((k as f64 + 0.5) / *n as f64, i as u32)));
    }
    due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    due.into_iter().map(|(_, i)| i).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
