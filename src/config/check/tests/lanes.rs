use super::{load, refused, service};
use crate::config::{Balance, Config, Key, Lane, Preference, Share, Wanted};

fn lanes(table: &str) -> Vec<Lane> {
    let config = load(&service("", table)).unwrap_or_else(|errors| panic!("{errors}"));
    config.service("s").unwrap().policy.lanes.clone()
}

fn warned(more: &str) -> Vec<String> {
    let config = load(more).unwrap_or_else(|errors| panic!("{errors}"));
    config.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn a_lane_says_which_calls_go_to_which_tags() {
    let lanes = lanes(
        "[[service.lane]]\nwhen={env='alice', RPC_PERSIST_LANE='*'}\nuse={env='alice'}\nfallback=false\n\
         [[service.lane]]\nwhen={from_service='shop.*'}\nuse={env='{env}', cluster='x'}\n\
         [[service.lane]]\nuse={cluster='default'}\n",
    );
    let when = |lane: &Lane| -> Vec<(String, String)> {
        let parts = lane.when.iter();
        parts
            .map(|it| (it.key.to_string(), it.pattern.to_string()))
            .collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        when(&lanes[0]),
        [pair("RPC_PERSIST_LANE", "*"), pair("env", "alice")]
    );
    assert!(!lanes[0].fallback && lanes[1].fallback && lanes[2].fallback);
    assert_eq!(when(&lanes[2]), []);
    let env = Key::new("env").unwrap();
    assert_eq!(lanes[1].tags[0].1, Wanted::Text("x".into()));
    assert_eq!(lanes[1].tags[1], ("env".into(), Wanted::Of(env)));
    assert_eq!(&*lanes[0].at.0, "t:12", "where it is written");
}

#[test]
fn a_services_lanes_stand_in_the_place_of_those_of_the_defaults() {
    let defaults = "[[defaults.lane]]\nuse={env='a'}\n[[defaults.lane]]\nuse={env='b'}";
    let count = |table: &str| {
        let config = load(&service(defaults, table)).unwrap();
        let again = Config::from_str("printed", &config.to_toml()).unwrap();
        assert_eq!(again.services, config.services, "{}", config.to_toml());
        config.service("s").unwrap().policy.lanes.len()
    };
    assert_eq!(count(""), 2);
    assert_eq!(count("[[service.lane]]\nuse={env='c'}"), 1);
    assert_eq!(count("lane=[]"), 0);
}

#[test]
fn a_lane_only_written_elsewhere_is_the_same() {
    let here = lanes("[[service.lane]]\nuse={env='a'}");
    let there = lanes("\n\n\n[[service.lane]]\nuse={env='a'}");
    assert_eq!(here, there);
    assert_ne!(here[0].at.0, there[0].at.0);
}

#[test]
fn what_is_wrong_with_a_lane_is_said_at_its_place() {
    for (table, expected) in [
        (
            "when={env='a'}",
            "expected the key `use` in [[service.lane]]",
        ),
        ("use={}", "t:13:5: expected at least one tag in `use`"),
        ("use='a'", "expected a table such as"),
        ("use={env=1}", "t:13:10: expected a tag's value"),
        ("use={env=''}", "found an empty text"),
        (
            "use={env=\"a\\u0007b\"}",
            "without control characters, found \"a\\u{7}b\"",
        ),
        ("use={\"e\\nv\"='a'}", "found \"e\\nv\""),
        (
            "use={env='a-{env}'}",
            "one key of the call and nothing else",
        ),
        ("use={env='*'}", "patterns belong in `when`"),
        ("use={env='{envv}'}", "did you mean \"env\"?"),
        ("use={env='{}'}", "expected what a call says of itself"),
        (
            "use={env='a'}\nwhen={evn='a'}",
            "t:14:7: expected what a call says of itself",
        ),
        ("use={env='a'}\nwhen={env=''}", "found an empty text"),
        ("use={env='a'}\nwhen={env=[]}", "found an array"),
        ("use={env='a'}\nfallbak=false", "did you mean `fallback`?"),
        ("use={env='a'}\nfallback='no'", "expected true or false"),
    ] {
        refused(
            &service("", &format!("[[service.lane]]\n{table}")),
            expected,
        );
    }
    let many = "[[service.lane]]\nuse={env='a'}\n".repeat(65);
    refused(&service("", &many), "at most 64 lanes");
    let wide: Vec<String> = (0..17).map(|n| format!("t{n}='a'")).collect();
    let wide = format!("[[service.lane]]\nuse={{{}}}", wide.join(","));
    refused(&service("", &wide), "at most 16 keys");
}

#[test]
fn a_lane_that_no_call_can_reach_is_refused_and_names_the_one_before() {
    let all = "[[service.lane]]\nuse={env='a'}\nfallback=false\n";
    let after = format!("{all}[[service.lane]]\nwhen={{env='b'}}\nuse={{env='b'}}\n");
    refused(
        &service("", &after),
        "t:15:1: expected a lane that some call can reach",
    );
    refused(&service("", &after), "the one of t:12 before");
    let same = "[[service.lane]]\nwhen={env='a'}\nuse={env='{env}'}\nfallback=false\n";
    let narrower = "[[service.lane]]\nwhen={env='a',to_idc='x'}\nuse={env='a'}\n";
    refused(
        &service("", &format!("{same}{narrower}")),
        "some call can reach",
    );
    for reachable in [
        // A call that names no environment.
        "[[service.lane]]\nuse={env='{env}'}\nfallback=false\n[[service.lane]]\nuse={env='a'}",
        "[[service.lane]]\nuse={env='a'}\n[[service.lane]]\nuse={env='b'}",
        "[[service.lane]]\nwhen={env='a'}\nuse={env='a'}\nfallback=false\n[[service.lane]]\nwhen={env='*'}\nuse={env='b'}",
    ] {
        assert_eq!(lanes(reachable).len(), 2);
    }
}

#[test]
fn prefer_takes_this_host_and_tags() {
    let config = load(&service(
        "",
        "prefer=['this_host','env=a=b']\nmin_share=0.25",
    ))
    .unwrap();
    let policy = &config.service("s").unwrap().policy;
    let tag = Preference::Tag("env".into(), "a=b".into());
    assert_eq!(policy.prefer, [Preference::ThisHost, tag]);
    assert_eq!(policy.min_share, Share::millionths(250_000));
    for wrong in ["'here'", "'env='", "'=a'", "''", "1", "\"env=a\\u0000\""] {
        let expected = "t:12:9: expected \"this_host\" or a tag such as \"env=alice\"";
        refused(&service("", &format!("prefer=[{wrong}]")), expected);
    }
    refused(&service("", "prefer='this_host'"), "expected an array of");
    let too_much = "prefer=['this_host']\nmin_share=1.5";
    refused(&service("", too_much), "expected a number from 0 to 1");
    let idle = warned(&service("", "min_share=0.2"));
    assert!(idle[0].contains("without `prefer`"), "{idle:?}");
    let below = service("[defaults]\nmin_share=0.2", "prefer=['this_host']");
    assert!(warned(&below).is_empty());
}

#[test]
fn a_consistent_hash_needs_its_key_and_nothing_else_does() {
    let hashed = |keys: &str| {
        let table = format!("balance='consistent_hash'\nhash_key={keys}");
        let config = load(&service("", &table)).unwrap();
        let policy = &config.service("s").unwrap().policy;
        assert_eq!(policy.balance, Balance::ConsistentHash);
        let names = policy.hash_key.iter().map(ToString::to_string);
        names.collect::<Vec<_>>()
    };
    assert_eq!(hashed("'ring_hash_key'"), ["ring_hash_key"]);
    assert_eq!(
        hashed("['raw_ring_hash_key','RPC_PERSIST_USER','source']"),
        ["raw_ring_hash_key", "RPC_PERSIST_USER", "source"]
    );
    let none = "t:12:9: expected a `hash_key` beside";
    refused(&service("", "balance='consistent_hash'"), none);
    refused(
        &service("[defaults]\nbalance='consistent_hash'", ""),
        "beside",
    );
    refused(
        &service("", "balance='consistent_hash'\nhash_key=[]"),
        "t:13:10: expected a `hash_key`",
    );
    refused(
        &service("", "balance='consistent_hash'\nhash_key='evn'"),
        "\"env\"?",
    );
    let idle = warned(&service("", "hash_key='source'"));
    assert!(idle[0].contains("changes nothing"), "{idle:?}");
    let below = service("[defaults]\nhash_key='source'", "balance='consistent_hash'");
    assert!(warned(&below).is_empty());
}
