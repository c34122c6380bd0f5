use super::*;
use crate::health::State;
use crate::outcome::Charge;

const HERE: &str = "prefer=['this_host','zone=a']\n";

fn preferring(all: &[&str], table: &str) -> EndpointSet {
    let peers = Arc::default();
    EndpointSet::new(tagged(all, &peers), &read(table), peers)
}

/// The same set, after a change of states.
fn again(set: &EndpointSet, table: &str) -> EndpointSet {
    EndpointSet::new(set.all.clone(), &read(table), set.rules.peers.clone())
}

fn to(set: &EndpointSet) -> Vec<usize> {
    picks(set, &Call::default(), 300)
}

/// One pick of a call that was tried there, under a limit of places.
fn pick(set: &EndpointSet, tried: &[usize], limit: usize) -> Option<usize> {
    let mut all = Tried::default();
    tried.iter().for_each(|n| all.push(set.all[*n].endpoint.id));
    match set.pick(&(), &all, limit, Instant::now()) {
        Pick::One(place) => Some(at(set, &place)),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_item_with_enough_live_endpoints_counts() {
    let all = ["", "zone=a", "zone=a", "here", "zone=b"];
    let set = preferring(&all, HERE);
    assert_eq!(to(&set), [3]);
    assert!(set.preferred().contains(&set.all[3].endpoint.id));
    fail(&set.all[3]);
    let set = again(&set, HERE);
    assert_eq!(to(&set), [1, 2]);
    fail(&set.all[1]);
    let set = again(&set, HERE);
    assert_eq!(to(&set), [2], "half of them is enough");
    let strict = "prefer=['zone=a']\nmin_share=0.6\n";
    assert_eq!(to(&again(&set, strict)), [0, 2, 4]);
    fail(&set.all[2]);
    let any = "prefer=['zone=a']\nmin_share=0\n";
    assert_eq!(to(&again(&set, any)), [0, 4], "at least one");
    set.all[3].endpoint.health.connected();
    assert_eq!(to(&again(&set, HERE)), [3], "back at once");
}

#[tokio::test(start_paused = true)]
async fn without_preferred_endpoints_or_with_nothing_else_all_are_picked() {
    assert_eq!(to(&preferring(&["", ""], HERE)), [0, 1]);
    assert_eq!(to(&preferring(&["here", "here"], HERE)), [0, 1]);
    assert_eq!(to(&preferring(&["here"], HERE)), [0]);
    assert!(to(&preferring(&[], HERE)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_ways_of_balancing_begin_with_the_preferred() {
    for balance in [
        "least_loaded",
        "weighted_round_robin",
        "weighted_random",
        "consistent_hash'\nhash_key='ring_hash_key",
    ] {
        let table = format!("balance='{balance}'\n{HERE}");
        let set = preferring(&["", "", "here", "here", ""], &table);
        for n in 0..50 {
            let to = picks(&set, &Call::new(&format!("ring_hash_key={n}")), 50);
            assert!(to.iter().all(|at| [2, 3].contains(at)), "{balance}: {to:?}");
        }
        assert_eq!(to(&set), [2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn tried_or_full_preferred_endpoints_are_left_for_others() {
    let set = preferring(&["", "here", "", "here"], HERE);
    for _ in 0..50 {
        assert_eq!(pick(&set, &[1], 0), Some(3));
        assert!(matches!(pick(&set, &[1, 3], 0), Some(0 | 2)));
        assert!(matches!(pick(&set, &[1, 3, 0], 0), Some(2)));
        assert!(pick(&set, &[0, 1, 2, 3], 0).is_some());
    }
    let first = set.all[1].endpoint.place(1).unwrap();
    for _ in 0..50 {
        assert_eq!(pick(&set, &[], 1), Some(3));
    }
    let second = set.all[3].endpoint.place(1).unwrap();
    for _ in 0..50 {
        assert!(matches!(pick(&set, &[], 1), Some(0 | 2)));
    }
    let _rest = [0, 2].map(|n| set.all[n].endpoint.place(1).unwrap());
    assert_eq!(pick(&set, &[], 1), None, "all are full");
    drop((first, second));
    assert!(matches!(pick(&set, &[], 1), Some(1 | 3)));
}

#[tokio::test(start_paused = true)]
async fn a_preferred_endpoint_on_probation_gets_its_probes_and_no_more() {
    let set = preferring(&["", "here", ""], HERE);
    let mine = &set.all[1].endpoint;
    let rules = crate::config::EjectionPolicy::default();
    mine.health.observe(Charge::Timeout, &rules, Instant::now());
    assert_eq!(mine.health.state(), State::Probation);
    let set = again(&set, HERE);
    let Pick::One(probe) = set.pick(&(), &Tried::default(), 0, Instant::now()) else {
        panic!("no pick");
    };
    assert_eq!(at(&set, &probe), 1, "its probe");
    for _ in 0..50 {
        assert!(matches!(pick(&set, &[], 0), Some(0 | 2)));
    }
    drop(probe);
    assert_eq!(pick(&set, &[], 0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_large_preferred_part_that_is_full_is_left_after_a_few_looks() {
    let mut all = vec!["here"; 400];
    all.push("");
    let set = preferring(&all, HERE);
    let _full: Vec<_> = (0..400)
        .map(|n| set.all[n].endpoint.place(1).unwrap())
        .collect();
    assert_eq!(pick(&set, &[], 1), Some(400));
}

#[tokio::test(start_paused = true)]
async fn preference_works_within_a_lane_and_is_told_with_it() {
    let table = format!("{HERE}[[service.lane]]\nwhen={{env='*'}}\nuse={{env='{{env}}'}}\n");
    let all = ["", "here", "env=alice", "env=alice here", "env=bob"];
    let set = preferring(&all, &table);
    let to = |says: &str| picks(&set, &Call::new(says), 200);
    assert_eq!(to("env=alice"), [3]);
    assert_eq!(to("env=bob"), [4]);
    assert_eq!(to(""), [1]);
    let parts: Vec<String> = set.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        parts,
        [
            "lane env=alice: 2 of 2 live; preferred: this_host, 1 of 1 live",
            "lane env=bob: 1 of 1 live",
            "baseline: 2 of 2 live; preferred: this_host, 1 of 1 live",
        ]
    );
    let ids: std::collections::HashSet<u32> = [1, 3].map(|n| set.all[n].endpoint.id).into();
    assert_eq!(set.preferred(), ids);
    let alone = preferring(&["here", ""], HERE).parts();
    assert_eq!(alone[0].to_string(), "preferred: this_host, 1 of 1 live");
}
