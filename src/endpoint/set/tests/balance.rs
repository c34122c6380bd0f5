use std::time::Duration;

use super::super::tables::{MAX_SLOTS, schedule};
use super::*;
use crate::outcome::Outcome;

const ALL: [Balance; 4] = [
    Balance::LeastLoaded,
    Balance::WeightedRoundRobin,
    Balance::WeightedRandom,
    Balance::ConsistentHash,
];

#[tokio::test(start_paused = true)]
async fn an_empty_set_has_nothing_to_pick() {
    for balance in ALL {
        assert!(matches!(
            set(&[], balance).pick(&(), &Tried::default(), 0, Instant::now()),
            Pick::Nothing
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_gives_each_endpoint_exactly_its_weight_in_every_round() {
    let set = set(&[5, 1, 1], Balance::WeightedRoundRobin);
    for _ in 0..3 {
        let got = shares(&set, 7);
        assert_eq!(
            got.iter()
                .map(|s| (s * 7.0).round() as u32)
                .collect::<Vec<_>>(),
            [5, 1, 1]
        );
    }
}

#[test]
fn a_schedule_spreads_the_heavy_one_and_stays_bounded() {
    let slots = schedule(&[2, 1, 1]);
    assert_eq!(slots.len(), 4);
    assert!(slots.windows(2).all(|w| w[0] != w[1]), "{slots:?}");
    assert!(schedule(&[1_000_000, 999_999, 1]).len() <= MAX_SLOTS as usize + 2);
}

#[tokio::test(start_paused = true)]
async fn equal_endpoints_get_equal_shares_and_weights_count() {
    for share in shares(&set(&[1; 4], Balance::LeastLoaded), 20_000) {
        assert!((share - 0.25).abs() < 0.03, "{share}");
    }
    let set = set(&[90, 5, 5], Balance::LeastLoaded);
    let heavy = shares(&set, 20_000)[0];
    assert!(heavy > 0.5, "the heavy one got {heavy}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_loses_every_comparison() {
    let set = set(&[1, 1, 1], Balance::LeastLoaded);
    let now = Instant::now();
    for (i, ms) in [200, 1, 1].into_iter().enumerate() {
        set.all[i]
            .endpoint
            .load
            .observe(Duration::from_millis(ms), now);
    }
    assert!(shares(&set, 2_000)[0] < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_busy_endpoint_is_passed_over_for_an_idle_one() {
    let set = set(&[1, 1], Balance::LeastLoaded);
    for m in &set.all {
        m.endpoint
            .load
            .observe(Duration::from_millis(1), Instant::now());
    }
    let _busy: Vec<_> = (0..8)
        .map(|_| set.all[0].endpoint.place(0).unwrap())
        .collect();
    assert_eq!(shares(&set, 500), [0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_tried_endpoint_is_picked_again_only_when_there_is_no_other() {
    for balance in ALL {
        let set = set(&[1, 1], balance);
        let mut tried = Tried::default();
        tried.push(set.all[0].endpoint.id);
        for _ in 0..50 {
            let Pick::One(place) = set.pick(&(), &tried, 0, Instant::now()) else {
                panic!()
            };
            assert_eq!(place.endpoint().id, set.all[1].endpoint.id);
        }
        tried.push(set.all[1].endpoint.id);
        assert!(matches!(
            set.pick(&(), &tried, 0, Instant::now()),
            Pick::One(_)
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_without_a_free_place_are_not_picked_and_full_is_said() {
    for balance in ALL {
        let set = set(&[1; 20], balance);
        let mut places = Vec::new();
        for _ in 0..20 {
            let Pick::One(place) = set.pick(&(), &Tried::default(), 1, Instant::now()) else {
                panic!("one was free")
            };
            places.push(place);
        }
        assert!(set.all.iter().all(|m| m.endpoint.busy() == 1));
        assert!(matches!(
            set.pick(&(), &Tried::default(), 1, Instant::now()),
            Pick::Full(0)
        ));
        places.pop();
        assert!(matches!(
            set.pick(&(), &Tried::default(), 1, Instant::now()),
            Pick::One(_)
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_down_endpoint_is_not_in_the_picked_part() {
    let peers = Arc::default();
    let all = members(&[1, 1], &peers);
    all[0]
        .endpoint
        .health
        .connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
    let set = EndpointSet::new(all, &policy(Balance::LeastLoaded), peers);
    assert_eq!(set.available(), 1);
    assert_eq!(shares(&set, 100), [0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn weighted_random_gives_each_its_share() {
    let set = set(&[6, 3, 1], Balance::WeightedRandom);
    for (got, want) in shares(&set, 50_000).iter().zip([0.6, 0.3, 0.1]) {
        assert!((got - want).abs() < 0.01, "{got} of {want}");
    }
}
