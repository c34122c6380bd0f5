use super::super::ring::{Ring, Worth};
use super::*;

fn hashed(all: Vec<Member>, peers: &Arc<Peers>) -> EndpointSet {
    EndpointSet::new(all, &policy(Balance::ConsistentHash), peers.clone())
}

fn key(n: usize) -> Call {
    Call::new(&format!("ring_hash_key=user-{n}"))
}

/// Which endpoint each of the keys belongs to, by its port.
fn owners(set: &EndpointSet, keys: usize) -> Vec<usize> {
    (0..keys)
        .map(|n| picked(set, &key(n)).expect("a pick"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_with_its_endpoint_and_another_call_goes_by_weight() {
    let peers = Arc::default();
    let set = hashed(members(&[10; 8], &peers), &peers);
    for n in 0..50 {
        assert_eq!(picks(&set, &key(n), 20).len(), 1);
    }
    assert_eq!(picks(&set, &Call::default(), 500).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_first_key_that_a_call_says_counts() {
    let policy = read("balance='consistent_hash'\nhash_key=['raw_ring_hash_key','source']");
    let peers = Arc::default();
    let set = EndpointSet::new(members(&[10; 50], &peers), &policy, peers);
    let of = |says: &str| picks(&set, &Call::new(says), 20);
    let both = of("raw_ring_hash_key=a source=10.0.0.1");
    assert_eq!(both, of("raw_ring_hash_key=a source=10.0.0.2"));
    assert_eq!(both, of("raw_ring_hash_key=a"));
    assert_eq!(of("source=10.0.0.1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_an_endpoint_leaves_only_its_keys_move_and_they_spread_and_return_with_it() {
    const KEYS: usize = 5_000;
    for weights in [vec![10; 10], vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
        let peers = Arc::default();
        let all = members(&weights, &peers);
        let before = owners(&hashed(all.clone(), &peers), KEYS);
        for gone in [0, 4, 9] {
            // It is down, and then it is not registered any more.
            fail(&all[gone]);
            let down = owners(&hashed(all.clone(), &peers), KEYS);
            all[gone].endpoint.health.connected();
            let mut fewer = all.clone();
            fewer.remove(gone);
            let left = owners(&hashed(fewer, &peers), KEYS);
            let left: Vec<usize> = left
                .iter()
                .map(|at| at + usize::from(*at >= gone))
                .collect();
            assert_eq!(down, left);
            let mut heirs = [0; 10];
            for (was, is) in before.iter().zip(&down) {
                match *was == gone {
                    true => heirs[*is] += 1,
                    false => assert_eq!(was, is, "another's key moved"),
                }
            }
            let (own, most): (usize, usize) = (heirs.iter().sum(), *heirs.iter().max().unwrap());
            assert!(heirs.iter().filter(|n| **n > 0).count() >= 7, "{heirs:?}");
            assert!(most * 2 < own, "{most} of {own} to one");
        }
        assert_eq!(owners(&hashed(all, &peers), KEYS), before, "they return");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_shared_by_weight_within_a_few_percent() {
    const KEYS: usize = 40_000;
    for weights in [
        vec![10; 5],
        vec![10, 20, 30, 40],
        vec![1, 1, 2],
        vec![100, 300],
    ] {
        let peers = Arc::default();
        let set = hashed(members(&weights, &peers), &peers);
        let owners = owners(&set, KEYS);
        let total: u32 = weights.iter().sum();
        for (n, weight) in weights.iter().enumerate() {
            let got = owners.iter().filter(|at| **at == n).count() as f64 / KEYS as f64;
            let want = f64::from(*weight) / f64::from(total);
            assert!((got - want).abs() < 0.05, "{weights:?}: {got} of {want}");
        }
    }
}

#[test]
fn a_ring_is_the_same_in_every_process() {
    let names: Vec<String> = (0..20).map(|n| format!("10.0.0.{n}:8888")).collect();
    let weights = [10; 20];
    let named = names.iter().map(|name| (name.as_str(), 10));
    let ring = Ring::new(named, Worth::of(&weights));
    let of = |key: &str| ring.from(key.as_bytes()).next().unwrap();
    // Other numbers here would be other instances for every key in use.
    assert_eq!(["a", "user-1", "user-2", "42"].map(of), [1, 1, 1, 6]);
    let mut around: Vec<usize> = ring.from(b"a").collect();
    assert_eq!(around.len(), 20 * 160);
    around.sort_unstable();
    around.dedup();
    assert_eq!(around.len(), 20);
}

#[test]
fn points_are_about_160_for_the_mean_weight_and_bounded() {
    let points = |weights: &[u64]| {
        let names: Vec<String> = (0..weights.len()).map(|n| n.to_string()).collect();
        let named = names
            .iter()
            .map(String::as_str)
            .zip(weights.iter().copied());
        let ring = Ring::new(named, Worth::of(weights));
        ring.from(b"").count()
    };
    for weight in [1, 7, 10, 100, 1_000_000] {
        let each = points(&[weight; 10]) / 10;
        assert!((112..=227).contains(&each), "{each} of weight {weight}");
    }
    for n in [10_000, 300_000] {
        let all = points(&vec![10; n]);
        assert!(all <= (1 << 18).max(n), "{all}");
    }
    assert!(points(&[1_000_000, 1, 1]) <= 1 << 18);
    assert_eq!(points(&[]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tried_or_full_endpoint_passes_the_call_to_the_next_on_the_ring() {
    let peers = Arc::default();
    let set = hashed(members(&[10; 6], &peers), &peers);
    let call = key(7);
    let mut order = Vec::new();
    let mut tried = Tried::default();
    for _ in 0..4 {
        let Pick::One(place) = set.pick(&call, &tried, 0, Instant::now()) else {
            panic!("no pick");
        };
        tried.push(place.endpoint().id);
        order.push(at(&set, &place));
    }
    // The same order for a call that finds them full.
    let mut places = Vec::new();
    for want in &order {
        let Pick::One(place) = set.pick(&call, &Tried::default(), 1, Instant::now()) else {
            panic!("no pick");
        };
        assert_eq!(at(&set, &place), *want);
        places.push(place);
    }
    let mut distinct = order.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{order:?}");
}
