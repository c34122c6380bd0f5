//! Lanes: which instances a call may go to, by what it says of itself.

use std::time::Duration;

use scripted::instance::{Fault, Instance};
use scripted::load::{Load, Plan};
use scripted::{Act, Answer, Framing, Gate, Header, Server};

use crate::support::free;
use crate::support::proxy::{PATIENCE, Proxy, Setup, eventually, ms};

const ENV: u16 = 10;
const RING_HASH_KEY: u16 = 14;

/// Calls that say `env` go to the instances of that tag.
const BY_ENV: &str = "[[service.lane]]\nwhen = { env = \"*\" }\nuse = { env = \"{env}\" }\n";

fn env(name: &str) -> Header {
    Header::default().int(ENV, name)
}

/// A proxy before instances with tags, each written as `env = "alice"`.
pub(crate) fn proxy(
    name: &'static str,
    instances: &[(std::net::SocketAddr, &str)],
    policy: &str,
) -> Proxy {
    setup(name, instances, policy).start()
}

fn setup(name: &'static str, instances: &[(std::net::SocketAddr, &str)], policy: &str) -> Setup {
    let endpoints: Vec<String> = instances
        .iter()
        .map(|(at, tags)| format!("{{ address = \"{at}\", tags = {{ {tags} }} }}"))
        .collect();
    let endpoints = endpoints.join(", ");
    let service = format!("[[service]]\nname = \"{name}\"\nendpoints = [{endpoints}]\n{policy}");
    Setup::new(name, &[]).more(&service)
}

/// What `tidegate why` says of the service.
fn why(proxy: &Proxy) -> String {
    proxy.app.why(Some(proxy.name), None).unwrap()
}

async fn instance() -> Instance {
    let started = Instance::start(free(), Duration::ZERO, Fault::None).await;
    started.unwrap()
}

/// So many calls with this header, each answered.
async fn calls(proxy: &Proxy, framing: Framing, header: &Header, n: u64) {
    let mut caller = proxy.caller_with(framing, header.clone()).await;
    for _ in 0..n {
        caller.echo("x").await;
    }
}

#[tokio::test]
async fn marked_calls_go_to_their_lane_and_unmarked_ones_never_do() {
    let (alice, bob, base) = (instance().await, instance().await, instance().await);
    let all = [
        (alice.address(), "env = \"alice\""),
        (bob.address(), "env = \"bob\""),
        (base.address(), ""),
    ];
    let lane = "[[service.lane]]\nwhen = { RPC_PERSIST_LANE = \"*\" }\nuse = { env = \"{RPC_PERSIST_LANE}\" }\n";
    let proxy = proxy("lanes", &all, &format!("{BY_ENV}{lane}"));
    for framing in [Framing::TtHeader, Framing::TtHeaderFramed] {
        calls(&proxy, framing, &env("alice"), 10).await;
        let bobs = Header::default().string("RPC_PERSIST_LANE", "bob");
        calls(&proxy, framing, &bobs, 5).await;
        calls(&proxy, framing, &env("carol"), 3).await;
        calls(&proxy, framing, &Header::default(), 3).await;
    }
    // A framing that can say nothing of itself.
    calls(&proxy, Framing::Framed, &Header::default(), 4).await;
    assert_eq!((alice.calls(), bob.calls(), base.calls()), (20, 10, 16));

    let said = why(&proxy);
    for line in [
        "  lane env=alice: 1 of 1 live\n",
        "  lane env=bob: 1 of 1 live\n",
        "  baseline: 1 of 1 live\n",
        &format!("  endpoint {} [env=alice]: up", alice.address()),
        &format!("  endpoint {}: up", base.address()),
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let services = proxy.app.services();
    let all = services["services"].as_array().unwrap();
    let lanes = &all.iter().find(|s| s["name"] == "lanes").unwrap()["lanes"];
    assert_eq!(lanes[0]["name"], "lane env=alice");
    assert_eq!(lanes[2]["live"], 1);
}

#[tokio::test]
async fn mux_callers_are_in_lanes_too() {
    let (alice, base) = (instance().await, instance().await);
    let all = [(alice.address(), "env = \"alice\""), (base.address(), "")];
    let proxy = proxy("lanes-mux", &all, BY_ENV);
    calls(&proxy, Framing::TtHeader, &env("alice").out_of_order(), 10).await;
    assert_eq!((alice.calls(), base.calls()), (10, 0));
}

#[tokio::test]
async fn a_lane_falls_back_when_its_instance_stops_and_is_used_again_when_it_returns() {
    let (alice, base) = (instance().await, instance().await);
    let all = [(alice.address(), "env = \"alice\""), (base.address(), "")];
    let policy = format!("idempotent = true\n{BY_ENV}");
    let proxy = proxy("lanes-back", &all, &policy);
    let load = Load::start(Plan {
        framing: Framing::TtHeader,
        header: env("alice"),
        ..Plan::new(proxy.addr, 200)
    });
    let goes_to = async |instance: &Instance| {
        let before = instance.calls();
        eventually("calls go there", || instance.calls() > before + 20).await;
    };
    goes_to(&alice).await;
    assert_eq!(base.calls(), 0);
    alice.set(Fault::Down).await;
    goes_to(&base).await;
    alice.set(Fault::None).await;
    goes_to(&alice).await;
    let mut before = base.calls();
    loop {
        goes_to(&alice).await;
        let settled = base.calls();
        // None to the baseline any more.
        if std::mem::replace(&mut before, settled) == settled {
            break;
        }
    }
    let log = load.end(PATIENCE).await;
    assert_eq!(log.failed(), 0, "{:?}", log.texts);
}

#[tokio::test]
async fn without_fallback_the_answer_names_the_lane_and_the_baseline_gets_nothing() {
    let base = instance().await;
    let gone = free();
    let all = [(gone, "env = \"alice\""), (base.address(), "")];
    let policy = format!("{BY_ENV}fallback = false\n");
    let proxy = proxy("lanes-bound", &all, &policy);
    let mut caller = proxy.caller_with(Framing::TtHeader, env("alice")).await;
    for _ in 0..3 {
        let said = caller.fails("x").await;
        let lane = "lane env=alice of lanes-bound has no live instance";
        assert!(
            said.starts_with("tidegate: no usable endpoint for lanes-bound"),
            "{said}"
        );
        assert!(said.contains(lane), "{said}");
        assert!(
            said.contains(&format!("(1 registered: {gone} down)")),
            "{said}"
        );
        assert!(said.contains("and fallback = false (test.toml:"), "{said}");
    }
    caller.0 = caller.0.with_header(env("carol"));
    let said = caller.fails("x").await;
    assert!(
        said.contains("lane env=carol of lanes-bound has no live instance (none registered)"),
        "{said}"
    );
    assert_eq!(base.calls(), 0);
    caller.0 = caller.0.with_header(Header::default());
    caller.echo("x").await;
    proxy.counted("no_endpoints", 4).await;

    // It has come: a call in its lane finds it at once, whatever the background connect waits for.
    let alice = Instance::start(gone, Duration::ZERO, Fault::None)
        .await
        .unwrap();
    caller.0 = caller.0.with_header(env("alice"));
    caller.echo("x").await;
    assert_eq!(alice.calls(), 1);
}

#[tokio::test]
async fn with_every_instance_down_a_call_is_sent_to_no_other_lane() {
    let (alice, base) = (instance().await, instance().await);
    let all = [(alice.address(), "env = \"alice\""), (base.address(), "")];
    let proxy = proxy("lanes-down", &all, BY_ENV);
    alice.set(Fault::Down).await;
    base.set(Fault::Down).await;
    let mut unmarked = proxy.caller(Framing::TtHeader).await;
    let mut marked = proxy.caller_with(Framing::TtHeader, env("alice")).await;
    let said = unmarked.fails("x").await;
    assert!(said.contains("1 of 1 endpoints down"), "{said}");
    let said = marked.fails("x").await;
    assert!(said.contains("2 of 2 endpoints down"), "{said}");
    alice.set(Fault::None).await;
    let mut answered = false;
    while !answered {
        // Until it was its turn to be dialled.
        answered = matches!(marked.call("Echo", "x").await.unwrap(), Answer::Text(_));
    }
    for _ in 0..5 {
        let said = unmarked.fails("x").await;
        assert!(!said.contains(&alice.address().to_string()), "{said}");
    }
    assert_eq!(alice.calls(), 1);
}

#[tokio::test]
async fn a_full_lane_neither_holds_up_the_baseline_nor_is_held_up_by_it() {
    let gate = Gate::closed();
    let slow = Server::start(Act::Gate(gate.clone())).await.unwrap();
    let (base, more) = (
        Server::start(Act::Delay(ms(5))).await.unwrap(),
        instance().await,
    );
    let all = [
        (slow.address(), "env = \"alice\""),
        (base.address(), ""),
        (more.address(), "env = \"bob\""),
    ];
    let policy = format!("max_endpoint_calls = 1\nmax_waiting = 4\n{BY_ENV}");
    let proxy = proxy("lanes-full", &all, &policy);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut caller = proxy.caller_with(Framing::TtHeader, env("alice")).await;
        waiting.push(tokio::spawn(async move { caller.echo("slow").await }));
    }
    proxy.waiting(4).await;
    // One more of the same lane is one too many; other lanes are served, waiting or not.
    let mut caller = proxy.caller_with(Framing::TtHeader, env("alice")).await;
    let said = caller.fails("x").await;
    assert!(said.contains("max_waiting"), "{said}");
    let others: Vec<_> = (0..4)
        .map(|_| {
            let addr = proxy.addr;
            tokio::spawn(async move {
                let mut caller =
                    crate::support::proxy::Caller::connect(addr, Framing::Framed).await;
                for _ in 0..10 {
                    caller.echo("quick").await;
                }
            })
        })
        .collect();
    calls(&proxy, Framing::TtHeader, &env("bob"), 10).await;
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(slow.calls(), 1, "the lane is still full");
    gate.open();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert_eq!((base.calls(), more.calls(), slow.calls()), (40, 10, 5));
}

#[tokio::test]
async fn a_key_stays_at_its_instance_over_connections_and_framings() {
    let servers = [instance().await, instance().await, instance().await];
    let all: Vec<_> = servers.iter().map(|it| (it.address(), "")).collect();
    let policy = "balance = \"consistent_hash\"\nhash_key = [\"ring_hash_key\", \"source\"]\n";
    let proxy = proxy("ring", &all, policy);
    let counts = || -> Vec<u64> { servers.iter().map(Instance::calls).collect() };
    for key in ["a", "b", "c", "d"] {
        let before = counts();
        let header = Header::default().int(RING_HASH_KEY, key);
        for framing in [
            Framing::TtHeader,
            Framing::TtHeaderFramed,
            Framing::TtHeader,
        ] {
            calls(&proxy, framing, &header, 5).await;
        }
        let more: Vec<u64> = counts().iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(
            more.iter().filter(|n| **n == 15).count(),
            1,
            "{key}: {more:?}"
        );
    }
    // All of these come from one address.
    let before = counts();
    for _ in 0..10 {
        calls(&proxy, Framing::Framed, &Header::default(), 2).await;
    }
    let more: Vec<u64> = counts().iter().zip(before).map(|(a, b)| a - b).collect();
    assert!(more.contains(&20), "{more:?}");
}

#[tokio::test]
async fn a_relayed_connection_has_a_lane_by_where_it_comes_from() {
    let (mine, base) = (instance().await, instance().await);
    let all = [(mine.address(), "env = \"me\""), (base.address(), "")];
    let policy = "[[service.lane]]\nwhen = { source = \"127.0.0.*\" }\nuse = { env = \"me\" }\n\
                  [[service.lane]]\nwhen = { env = \"*\" }\nuse = { env = \"{env}\" }\n";
    let setup = setup("lanes-relay", &all, policy).listener("protocol = \"opaque\"");
    let proxy = setup.start();
    for _ in 0..5 {
        calls(&proxy, Framing::TtHeader, &env("them"), 1).await;
    }
    assert_eq!((mine.calls(), base.calls()), (5, 0));
}

#[tokio::test]
async fn without_a_baseline_an_unmarked_call_is_told_how_to_name_one() {
    let (alice, bob) = (instance().await, instance().await);
    let all = [
        (alice.address(), "env = \"alice\""),
        (bob.address(), "env = \"bob\""),
    ];
    let proxy = proxy("lanes-bare", &all, BY_ENV);
    let mut caller = proxy.caller(Framing::TtHeader).await;
    let said = caller.fails("x").await;
    assert!(
        said.contains("there is no baseline: all 2 instances have a tag that lanes name (env)"),
        "{said}"
    );
    assert_eq!((alice.calls(), bob.calls()), (0, 0));
}
