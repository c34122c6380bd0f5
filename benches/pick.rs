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

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use tidegate::call::{Attribute, Attributes, Tried};
use tidegate::config::{Balance, Config, IntKey, Key, Policy};
use tidegate::endpoint::{Endpoint, EndpointSet, Member, Pick, Place, Tags, Waiters};
use tidegate::health::Peers;
use tidegate::registry::Instance;
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

#[divan::bench(consts = LIMITS, args = SIZES, min_time = 1, sample_size = 500)]
fn weighted_random<const LIMIT: usize>(bencher: Bencher<'_, '_>, size: u16) {
    pick(bencher, size, Balance::WeightedRandom, LIMIT);
}

#[divan::bench(consts = LIMITS, args = SIZES, min_time = 1, sample_size = 500)]
fn consistent_hash<const LIMIT: usize>(bencher: Bencher<'_, '_>, size: u16) {
    pick(bencher, size, Balance::ConsistentHash, LIMIT);
}

/// By a rule whose tag comes from the call; every second endpoint is in a lane.
#[divan::bench(args = SIZES, min_time = 1, sample_size = 500)]
fn in_a_lane(bencher: Bencher<'_, '_>, size: u16) {
    let lane = "[[service.lane]]\nwhen = { env = '*' }\nuse = { env = '{env}' }";
    pick_by(bencher, size, &read(lane), 0);
}

/// Half of the endpoints are preferred.
#[divan::bench(args = SIZES, min_time = 1, sample_size = 500)]
fn preferred(bencher: Bencher<'_, '_>, size: u16) {
    pick_by(
        bencher,
        size,
        &read("prefer = ['env=lane-0']\nmin_share = 0"),
        0,
    );
}

/// What a change of one endpoint's state costs, made on a thread that may carry calls.
#[divan::bench(args = ["least_loaded", "weighted_round_robin", "consistent_hash"], sample_count = 20)]
fn rebuild_of_10000(bencher: Bencher<'_, '_>, balance: &str) {
    let policy = read(&format!(
        "balance = '{balance}'\nhash_key = 'ring_hash_key'"
    ));
    let peers = Arc::default();
    let members = members(10_000, Instant::now(), &peers);
    let rebuild = || EndpointSet::new(members.clone(), &policy, peers.clone());
    bencher.bench_local(rebuild);
}

/// The same in a thousand lanes.
#[divan::bench(sample_count = 20)]
fn rebuild_of_10000_in_1000_lanes(bencher: Bencher<'_, '_>) {
    let policy = read("[[service.lane]]\nuse = { env = '{env}' }");
    let peers = Arc::default();
    let members = members(10_000, Instant::now(), &peers);
    bencher.bench_local(|| EndpointSet::new(members.clone(), &policy, peers.clone()));
}

fn pick(bencher: Bencher<'_, '_>, size: u16, balance: Balance, limit: usize) {
    let hash_key = vec![Key::Int(IntKey::RingHashKey)];
    let policy = Policy {
        balance,
        hash_key,
        ..Policy::default()
    };
    pick_by(bencher, size, &policy, limit);
}

fn pick_by(bencher: Bencher<'_, '_>, size: u16, policy: &Policy, limit: usize) {
    let (now, peers) = (Instant::now(), Arc::default());
    let set = EndpointSet::new(members(size, now, &peers), policy, peers);
    let _taken = take_every_fifth(&set, limit);
    let tried = Tried::default();
    let mut n = 0_u8;
    bencher.bench_local(|| {
        n = n.wrapping_add(1);
        // The place is given back here: an output would be kept until the end of the sample.
        let found = black_box(&set).pick(&Marked(n), black_box(&tried), limit, now);
        assert!(matches!(found, Pick::One(_)));
    });
}

/// A call in a lane, with one of 256 keys for a consistent hash.
struct Marked(u8);

impl Attributes for Marked {
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>> {
        match key {
            Key::Int(IntKey::RingHashKey) => {
                Some(Attribute::of_bytes(std::slice::from_ref(&self.0)))
            }
            Key::Int(IntKey::Env) => Some(Attribute::of_bytes(b"lane-0")),
            _ => None,
        }
    }
}

/// What a service's table comes to.
fn read(table: &str) -> Policy {
    let rest = "[[listener]]\nname = 's'\nlisten = '127.0.0.1:1'\nservice = 's'";
    let text = format!("{rest}\n[[service]]\nname = 's'\nendpoints = ['127.0.0.1:2']\n{table}");
    let config = Config::from_str("bench", &text).unwrap_or_else(|errors| panic!("{errors}"));
    config.policy_of("s").clone()
}

/// Every second one is in one of 1,000 lanes.
fn tags(n: u16) -> Tags {
    let lane = format!("lane-{}", n / 2 % 1_000);
    let tags = match n % 2 {
        0 => [("env".to_owned(), lane)].into(),
        _ => BTreeMap::new(),
    };
    Tags::of(&Arc::new(Instance {
        address: String::new(),
        network: "tcp".into(),
        key: String::new(),
        weight: 10,
        tags,
        revision: 1,
        notes: Vec::new(),
    }))
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
                tags: tags(i),
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
