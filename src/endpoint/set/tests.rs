#![allow(clippy::unwrap_used)]

mod any_sequence;
mod balance;
mod lanes;
mod prefer;
mod ring;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::*;
use crate::call::Attribute;
use crate::config::{Balance, Config, HealthCheck, Key};
use crate::endpoint::Waiters;
use crate::health::Missed;
use crate::outcome::Outcome;
use crate::registry::Instance;

/// A call that says this.
#[derive(Default)]
struct Call(HashMap<String, String>);

impl Call {
    /// `env=alice to_cluster=blue`.
    fn new(says: &str) -> Self {
        let pairs = says.split(' ').filter_map(|it| it.split_once('='));
        Self(pairs.map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl Attributes for Call {
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>> {
        let said = self.0.get(key.name())?;
        (!said.is_empty()).then(|| Attribute::of_bytes(said.as_bytes()))
    }
}

fn tags(pairs: &str) -> Tags {
    let pairs = pairs.split(' ').filter_map(|it| it.split_once('='));
    let tags: BTreeMap<_, _> = pairs.map(|(k, v)| (k.into(), v.into())).collect();
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

/// The endpoint on port 1000 + `n`.
fn member(n: u16, weight: u32, peers: &Arc<Peers>) -> Member {
    let waiters = Arc::new(Waiters::default());
    let addr = SocketAddr::from(([127, 0, 0, 1], 1000 + n));
    Member {
        endpoint: Endpoint::new("test", addr, waiters, peers.clone()),
        weight,
        tags: Tags::default(),
        here: false,
    }
}

fn members(weights: &[u32], peers: &Arc<Peers>) -> Vec<Member> {
    let weights = (0..).zip(weights);
    weights.map(|(n, w)| member(n, *w, peers)).collect()
}

/// Endpoints of these tags; `here` among them says that it is on this host.
fn tagged(all: &[&str], peers: &Arc<Peers>) -> Vec<Member> {
    let all = (0..).zip(all);
    all.map(|(n, pairs)| Member {
        tags: tags(pairs),
        here: pairs.split(' ').any(|it| it == "here"),
        ..member(n, 10, peers)
    })
    .collect()
}

fn set(weights: &[u32], balance: Balance) -> EndpointSet {
    let peers = Arc::default();
    EndpointSet::new(members(weights, &peers), &policy(balance), peers)
}

fn policy(balance: Balance) -> Policy {
    Policy {
        balance,
        hash_key: vec![Key::new("ring_hash_key").unwrap()],
        ..Policy::default()
    }
}

/// What a service's table comes to.
fn read(table: &str) -> Policy {
    let text = format!(
        "[[listener]]\nname='s'\nlisten='127.0.0.1:1'\nservice='s'\n\
         [[service]]\nname='s'\nendpoints=['127.0.0.1:2']\n{table}"
    );
    let config = Config::from_str("t", &text).unwrap_or_else(|errors| panic!("{errors}"));
    config.service("s").unwrap().policy.clone()
}

fn fail(member: &Member) {
    let health = &member.endpoint.health;
    health.connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
}

/// The places in the set of the endpoints that so many picks come to.
fn picks(set: &EndpointSet, call: &Call, n: usize) -> Vec<usize> {
    let mut hits: Vec<usize> = (0..n).filter_map(|_| picked(set, call)).collect();
    hits.sort_unstable();
    hits.dedup();
    hits
}

fn picked(set: &EndpointSet, call: &Call) -> Option<usize> {
    match set.pick(call, &Tried::default(), 0, Instant::now()) {
        Pick::One(place) => Some(at(set, &place)),
        Pick::Full(_) | Pick::Nothing => None,
    }
}

fn at(set: &EndpointSet, place: &Place) -> usize {
    let id = place.endpoint().id;
    set.all.iter().position(|m| m.endpoint.id == id).unwrap()
}

/// Picks `n` times with nothing in flight in between; the share of each endpoint.
fn shares(set: &EndpointSet, n: usize) -> Vec<f64> {
    let mut hits = vec![0usize; set.all.len()];
    for _ in 0..n {
        hits[picked(set, &Call::default()).expect("a pick")] += 1;
    }
    hits.iter().map(|h| *h as f64 / n as f64).collect()
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_up_those_that_only_fail_their_checks_are_picked() {
    let (peers, now) = (Arc::default(), Instant::now());
    let all = members(&[1, 1, 1], &peers);
    let rules = HealthCheck {
        unhealthy_threshold: 1,
        ..HealthCheck::default()
    };
    let missed = Err(Missed {
        outcome: Outcome::ReadDeadline,
        detail: "no answer".into(),
    });
    for member in &all[..2] {
        member.endpoint.health.checked(&missed, &rules, now);
    }
    let up = EndpointSet::new(all.clone(), &policy(Balance::LeastLoaded), peers.clone());
    assert_eq!(shares(&up, 10), [0.0, 0.0, 1.0]);
    let refused = &all[2].endpoint.health;
    refused.connect_failed(Outcome::ConnectRefused, "", now, 0.0);
    let none_up = EndpointSet::new(all, &policy(Balance::WeightedRoundRobin), peers);
    assert_eq!(shares(&none_up, 10), [0.5, 0.5, 0.0]);
}
