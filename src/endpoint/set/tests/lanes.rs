use super::*;

/// Three endpoints of no tag, alice's, bob's two, and one that is only of a cluster.
const ALL: [&str; 7] = [
    "",
    "idc=x",
    "zone=y",
    "env=alice",
    "env=bob",
    "env=bob idc=x",
    "cluster=blue",
];

fn laned(table: &str) -> EndpointSet {
    let peers = Arc::default();
    EndpointSet::new(tagged(&ALL, &peers), &read(table), peers)
}

/// The same set, with these down.
fn without(set: &EndpointSet, down: &[usize], table: &str) -> EndpointSet {
    down.iter().for_each(|at| fail(&set.all[*at]));
    EndpointSet::new(set.all.clone(), &read(table), set.rules.peers.clone())
}

/// Where a call that says this goes.
fn to(set: &EndpointSet, says: &str) -> Vec<usize> {
    picks(set, &Call::new(says), 200)
}

const BY_ENV: &str = "[[service.lane]]\nwhen={env='*'}\nuse={env='{env}'}\n";

#[tokio::test(start_paused = true)]
async fn without_lanes_every_call_may_go_everywhere() {
    assert_eq!(to(&laned(""), "env=alice").len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_its_lane_and_all_others_to_the_baseline() {
    let set = laned(BY_ENV);
    assert_eq!(to(&set, "env=alice"), [3]);
    assert_eq!(to(&set, "env=bob"), [4, 5]);
    let baseline = [0, 1, 2, 6];
    for says in ["", "env=carol", "env=", "to_cluster=alice", "env=Alice"] {
        assert_eq!(to(&set, says), baseline, "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_when_must_hold_and_stars_stand_for_any_run() {
    let set = laned(
        "[[service.lane]]\nwhen={env='ali*',from_service='shop.*'}\nuse={env='alice'}\n\
         [[service.lane]]\nwhen={RPC_PERSIST_LANE='b*b'}\nuse={env='bob',idc='x'}\n",
    );
    assert_eq!(to(&set, "env=alina from_service=shop.cart"), [3]);
    let baseline = [0, 2, 6];
    for says in [
        "env=alina",
        "from_service=shop.cart",
        "env=alina from_service=pay.bill",
        "env=xali from_service=shop.cart",
    ] {
        assert_eq!(to(&set, says), baseline, "{says}");
    }
    assert_eq!(to(&set, "RPC_PERSIST_LANE=bob"), [5], "both tags");
    assert_eq!(to(&set, "RPC_PERSIST_LANE=bb"), [5]);
    assert_eq!(to(&set, "RPC_PERSIST_LANE=bobby"), baseline);
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_with_a_live_endpoint_wins_and_the_baseline_comes_last() {
    let table = "[[service.lane]]\nwhen={env='*'}\nuse={env='{env}'}\n\
                 [[service.lane]]\nwhen={to_cluster='*'}\nuse={cluster='{to_cluster}'}\n";
    let set = laned(table);
    let says = "env=bob to_cluster=blue";
    assert_eq!(to(&set, says), [4, 5]);
    let set = without(&set, &[4], table);
    assert_eq!(to(&set, says), [5]);
    let set = without(&set, &[5], table);
    assert_eq!(to(&set, says), [6]);
    let set = without(&set, &[6], table);
    assert_eq!(to(&set, says), [0, 1, 2]);
    set.all[5].endpoint.health.connected();
    let set = without(&set, &[], table);
    assert_eq!(to(&set, says), [5], "back in its lane");
}

#[tokio::test(start_paused = true)]
async fn a_rule_without_fallback_keeps_its_calls() {
    let table = "[[service.lane]]\nwhen={env='alice'}\nuse={env='alice'}\nfallback=false\n\
                 [[service.lane]]\nwhen={env='*'}\nuse={env='bob'}\n";
    let set = laned(table);
    let set = without(&set, &[3], table);
    let alice = Call::new("env=alice");
    let nothing = set.pick(&alice, &Tried::default(), 0, Instant::now());
    assert!(matches!(nothing, Pick::Nothing));
    assert_eq!(set.live(&alice), 0);
    assert_eq!(to(&set, "env=carol"), [4, 5]);

    let scope = set.scope(&alice);
    let only: Vec<u32> = scope.endpoints().map(|it| it.id).collect();
    assert_eq!(only, [set.all[3].endpoint.id], "nothing else is dialled");
    let why = scope.why("shop.item", &read(table)).unwrap();
    assert_eq!(
        why,
        "lane env=alice of shop.item has no live instance (1 registered: 127.0.0.1:1003 down), and fallback = false \
         (t:8)"
    );
    let why = set
        .scope(&alice)
        .why("shop.item", &read(&format!("\n\n{table}")));
    assert!(why.unwrap().ends_with("(t:10)"), "where it stands now");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_nobody_registered_is_named_as_the_call_says_it() {
    let table =
        "[[service.lane]]\nwhen={env='*'}\nuse={env='{env}',cluster='blue'}\nfallback=false\n";
    let set = laned(table);
    let call = Call::new("env=c\u{1b}[31mrol");
    let why = set.scope(&call).why("s", &read(table)).unwrap();
    let lane = "lane cluster=blue, env=c\\u{1b}[31mrol of s has no live instance (none registered)";
    assert!(why.starts_with(lane), "{why}");
}

#[tokio::test(start_paused = true)]
async fn without_a_baseline_the_answer_says_how_to_name_one() {
    let table = BY_ENV;
    let peers = Arc::default();
    let all = tagged(&["env=alice", "env=main", "env=main"], &peers);
    let set = EndpointSet::new(all, &read(table), peers);
    let call = Call::new("env=carol");
    assert!(to(&set, "env=carol").is_empty());
    let scope = set.scope(&call);
    assert_eq!(scope.registered(), 0);
    let why = scope.why("shop.item", &read(table)).unwrap();
    assert_eq!(
        why,
        "the call fits no lane of shop.item that has an instance, and there is no baseline: all 3 instances have a tag \
         that lanes name (env); a last [[service.lane]] without `when` can name one, such as use = { env = \"main\" }"
    );
    let named = format!("{table}[[service.lane]]\nuse={{env='main'}}\n");
    let set = EndpointSet::new(set.all.clone(), &read(&named), Arc::default());
    assert_eq!(to(&set, "env=carol"), [1, 2]);
    assert_eq!(to(&set, ""), [1, 2]);
    assert_eq!(to(&set, "env=alice"), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_lane_and_baseline_are_down_may_be_saved_by_either_and_no_other() {
    let set = laned(BY_ENV);
    let set = without(&set, &[0, 1, 2, 3, 6], BY_ENV);
    let call = Call::new("env=alice");
    assert_eq!(set.live(&call), 0);
    let ids = |call: &Call| -> Vec<u32> { set.scope(call).endpoints().map(|it| it.id).collect() };
    let of =
        |all: &[usize]| -> Vec<u32> { all.iter().map(|at| set.all[*at].endpoint.id).collect() };
    assert_eq!(ids(&call), of(&[3, 0, 1, 2, 6]));
    assert_eq!(ids(&Call::default()), of(&[0, 1, 2, 6]));
    assert_eq!(to(&set, "env=bob"), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_waits_in_a_line_of_its_own() {
    let set = laned(BY_ENV);
    let line = |says: &str| {
        let call = Call::new(says);
        let pick = set.pick(&call, &Tried::default(), 1, Instant::now());
        let Pick::Full(line) = pick else {
            panic!("not full");
        };
        assert_eq!(set.line(&call), Some(line));
        line
    };
    let _places: Vec<_> = (0..7)
        .map(|at| set.all[at].endpoint.place(1).unwrap())
        .collect();
    let (alice, bob, base) = (line("env=alice"), line("env=bob"), line(""));
    assert!(alice != bob && alice != base && bob != base);
    assert_eq!(base, 0);
    let again = laned(BY_ENV);
    assert_eq!(
        again.line(&Call::new("env=alice")),
        Some(alice),
        "over sets"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_stays_in_its_lane() {
    let set = laned(BY_ENV);
    let mut tried = Tried::default();
    tried.push(set.all[4].endpoint.id);
    let call = Call::new("env=bob");
    assert!(set.has_other(&call, &tried));
    for _ in 0..50 {
        let Pick::One(place) = set.pick(&call, &tried, 0, Instant::now()) else {
            panic!("no pick");
        };
        assert_eq!(at(&set, &place), 5);
    }
    tried.push(set.all[5].endpoint.id);
    assert!(!set.has_other(&call, &tried));
}

#[tokio::test(start_paused = true)]
async fn parts_tell_each_lane_the_baseline_and_what_nobody_calls() {
    let table = "[[service.lane]]\nwhen={env='alice'}\nuse={env='alice'}\n\
                 [[service.lane]]\nwhen={to_cluster='*'}\nuse={cluster='{to_cluster}'}\n\
                 [[service.lane]]\nwhen={env='dave'}\nuse={env='dave'}\n";
    let set = laned(table);
    let set = without(&set, &[0, 6], table);
    let parts: Vec<String> = set.parts().iter().map(ToString::to_string).collect();
    assert_eq!(
        parts,
        [
            "lane env=alice: 1 of 1 live",
            "lane cluster=blue: 0 of 1 live",
            "lane env=dave (t:14): 0 of 0 live",
            "baseline: 2 of 3 live",
            "no lane, no call: 2 of 2 live",
        ]
    );
    assert!(laned("").parts().is_empty());
}
