//! What a pick costs among few endpoints and among many: `cargo bench --bench pick`. Nothing is asserted here; the
//! goal is that ten thousand cost as ten.
//!
//! Each figure is a pick and the giving back of the place that it found. The constant is the limit of places per
//! endpoint, 0 for none. Where there is one, every fifth endpoint has all of its places taken: a pick that meets such
//! an endpoint goes on looking.
//!
//! The picks follow each other with nothing in between: few endpoints are read from the nearest cache, ten thousand
//! from farther ones. That much of the difference is the memory's, not the set's.
#![allow(missing_docs)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use tidegate::call::Tried;
use tidegate::config::{Balance, Policy};
use tidegate::endpoint::{Endpoint, EndpointSet, Member, Pick, Place, Tags, Waiters};
use tidegate::health::Peers;
use tokio::time::Instant;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const SIZES: [u16; 4] = [3, 10, 1_000, 10_000];
const LIMITS: [usize; 2] = [0, 4];

fn main() {
    divan::main();
}

#[divan::bench(consts = LIMITS, args = SIZES, min_time = 1, sample_size = 500)]
fn least_loaded<const LIMIT: usize>(bencher: Bencher<'_, '_>, size: u16) {
    pick(bencher, size, Balance::LeastLoaded, LIMIT);
}

#[divan::bench(consts = LIMITS, args = SIZES, min_time = 1, sample_size = 500)]
fn weighted_round_robin<const LIMIT: usize>(bencher: Bencher<'_, '_>, size: u16) {
    pick(bencher, size, Balance::WeightedRoundRobin, LIMIT);
}

fn pick(bencher: Bencher<'_, '_>, size: u16, balance: Balance, limit: usize) {
    let now = Instant::now();
    let (peers, policy) = (Arc::default(), policy(balance));
    let set = EndpointSet::new(members(size, now, &peers), &policy, peers);
    let _taken = take_every_fifth(&set, limit);
    let tried = Tried::default();
    bencher.bench_local(|| {
        // The place is given back here: an output would be kept until the end of the sample.
        let found = black_box(&set).pick(&(), black_box(&tried), limit, now);
        assert!(matches!(found, Pick::One(_)));
    });
}

fn policy(balance: Balance) -> Policy {
    Policy {
        balance,
        ..Policy::default()
    }
}

/// Endpoints of weights 1 to 4 that have all answered, each in its own time.
fn members(size: u16, now: Instant, peers: &Arc<Peers>) -> Vec<Member> {
    let waiters = Arc::new(Waiters::default());
    (0..size)
        .map(|i| {
            let addr = SocketAddr::from(([127, 0, 0, 1], 1_000 + i));
            let endpoint = Endpoint::new("bench", addr, waiters.clone(), peers.clone());
            let took = Duration::from_micros(500 + u64::from(i) * 7 % 1_000);
            endpoint.load.observe(took, now);
            Member {
                endpoint,
                weight: u32::from(i % 4) + 1,
                tags: Tags::default(),
                here: false,
            }
        })
        .collect()
}

/// All places of every fifth endpoint, none without a limit.
fn take_every_fifth(set: &EndpointSet, limit: usize) -> Vec<Place> {
    let fifths = set.all.iter().skip(4).step_by(5);
    fifths
        .flat_map(|member| (0..limit).filter_map(|_| member.endpoint.place(limit)))
        .collect()
}
