//! The flight recorder: which calls are kept, with which instants, and what of them is not.

use scripted::header::key::RPC_TIMEOUT;
use scripted::{Act, Framing, Header, Message, Options, Server, body};
use serde_json::Value;
use tidegate::config::Config;
use tidegate::recorder::{Kind, Wanted};

use crate::blackhole::BlackHole;
use crate::support::proxy::{Proxy, Setup, eventually, ms};

/// The calls kept of a service.
fn kept(proxy: &Proxy, service: &str, kind: Kind) -> Vec<Value> {
    let wanted = Wanted {
        service: Some(service.to_owned()),
        kind: Some(kind),
        limit: 100,
    };
    let shown = proxy.app.calls(&wanted).ok().unwrap().next().unwrap();
    let key = match kind {
        Kind::Failed => "failed",
        Kind::Slowest => "slowest",
    };
    shown[key].as_array().unwrap().clone()
}

/// The one failed call of the proxy's service.
async fn the_failed_one(proxy: &Proxy) -> Value {
    let failed = || kept(proxy, proxy.name, Kind::Failed);
    eventually("it is kept", || !failed().is_empty()).await;
    let mut all = failed();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn seconds(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("{of} is no time"))
}

/// The instants of a try that it has, which must be in this order.
fn assert_in_order(of: &Value) {
    let connect = &of["connect"];
    let marks = [&of["picked"], &connect["began"], &connect["ended"]];
    let marks = marks.into_iter().chain([&of["written"], &of["first_byte"]]);
    let marks = marks.chain([&of["last_byte"], &of["ended"]]);
    let times: Vec<f64> = marks.filter_map(Value::as_f64).collect();
    assert!(times.is_sorted(), "{of:#}");
}

#[tokio::test]
async fn a_call_that_times_out_shows_the_times_of_its_phases() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("rec-late", &[server.address()])
        .policy("read_deadline = \"120ms\"")
        .start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    let said = caller.fails("x").await;
    let call = the_failed_one(&proxy).await;
    assert_eq!(call["text"], said);
    assert_eq!(call["outcome"], "read_deadline");
    assert_eq!(
        (&call["method"], &call["listener"]),
        (&"Echo".into(), &"rec-late".into())
    );
    assert_eq!(
        (&call["framing"], &call["queued"]),
        (&"ttheader".into(), &0.0.into())
    );
    assert!(call["caller"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(call["deadline"].is_null(), "only the try had one");
    assert!(call["request_bytes"].as_u64() > Some(20) && call["reply_bytes"].as_u64() > Some(20));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs_f64() - seconds(&call["when"]);
    assert!((0.1..60.0).contains(&age), "{age}");
    assert!(seconds(&call["total"]) >= 0.12);

    let tries = call["tries"].as_array().unwrap();
    let [only] = &tries[..] else {
        panic!("{call:#}")
    };
    assert_eq!(only["endpoint"], server.address().to_string());
    assert_eq!(
        (&only["connection"], &only["outcome"]),
        (&"fresh".into(), &"read_deadline".into())
    );
    assert!(seconds(&only["written"]) < 0.12 && seconds(&only["ended"]) >= 0.12);
    assert!(only["first_byte"].is_null() && only["last_byte"].is_null());
    assert_in_order(only);
}

#[tokio::test]
async fn a_reply_that_stops_in_its_midst_has_a_first_byte_and_no_last_one() {
    let server = Server::start(Act::HalfSilence).await.unwrap();
    let proxy = Setup::new("rec-half", &[server.address()])
        .policy("read_deadline = \"80ms\"")
        .start();
    proxy
        .caller(Framing::Framed)
        .await
        .fails("half of this")
        .await;
    let call = the_failed_one(&proxy).await;
    let only = &call["tries"][0];
    assert!(seconds(&only["first_byte"]) <= seconds(&only["ended"]));
    assert!(only["last_byte"].is_null());
    assert_in_order(only);
}

#[tokio::test]
async fn a_call_that_was_sent_again_shows_both_tries_with_their_endpoints() {
    let bad = Server::start(Act::Reset).await.unwrap();
    let good = Server::start(Act::Delay(ms(30))).await.unwrap();
    let (at, then) = (bad.address(), good.address());
    let proxy = Setup::new("rec-again", &[at, then])
        .policy("balance = \"weighted_round_robin\"\nretry_on = [\"reset\"]")
        .start();
    let mut caller = proxy.caller(Framing::TtHeaderFramed).await;
    caller.echo("x").await;
    caller.echo("x").await;
    proxy.counted("ok", 2).await;
    assert!(kept(&proxy, "rec-again", Kind::Failed).is_empty());
    let slowest = || kept(&proxy, "rec-again", Kind::Slowest);
    eventually("both are kept", || slowest().len() == 2).await;
    let slowest = slowest();
    let again = slowest.iter().find(|call| call["tries"][1].is_object());
    let again = again.unwrap_or_else(|| panic!("{slowest:#?}"));
    let (first, second) = (&again["tries"][0], &again["tries"][1]);
    assert_eq!(
        (&first["endpoint"], &first["outcome"]),
        (&at.to_string().into(), &"reset".into())
    );
    assert_eq!(
        (&second["endpoint"], &second["outcome"]),
        (&then.to_string().into(), &"ok".into())
    );
    assert!(seconds(&second["picked"]) >= seconds(&first["ended"]));
    assert!(seconds(&second["last_byte"]) >= 0.03);
    assert_eq!(
        (&again["outcome"], &again["text"]),
        (&"ok".into(), &Value::Null)
    );
    assert_in_order(first);
    assert_in_order(second);
}

#[tokio::test]
async fn a_connect_that_failed_is_a_try_of_its_own() {
    let nobody = scripted::free();
    let proxy = Setup::new("rec-refused", &[nobody]).start();
    let said = proxy.caller(Framing::Buffered).await.fails("x").await;
    let call = the_failed_one(&proxy).await;
    assert_eq!(
        (&call["outcome"], &call["text"]),
        (&"connect_refused".into(), &said.into())
    );
    let first = &call["tries"][0];
    assert_eq!(first["endpoint"], nobody.to_string());
    assert_eq!(
        (&first["outcome"], &first["connection"]),
        (&"connect_refused".into(), &"fresh".into())
    );
    assert!(seconds(&first["connect"]["began"]) <= seconds(&first["ended"]));
    assert!(first["connect"]["ended"].is_null() && first["written"].is_null());
}

#[tokio::test]
async fn a_connect_under_way_when_the_callers_time_is_up_is_told() {
    let hole = BlackHole::new();
    let at = hole.at;
    let proxy = Setup::new("rec-syn", &[at]).start();
    let header = Header::default().int(RPC_TIMEOUT, "100");
    let mut caller = proxy.caller_with(Framing::TtHeader, header).await;
    caller.fails("x").await;
    let call = the_failed_one(&proxy).await;
    assert_eq!(
        (&call["deadline"]["by"], &call["deadline"]["seconds"]),
        (&"caller".into(), &0.1.into())
    );
    let only = &call["tries"][0];
    assert_eq!(
        (&only["endpoint"], &only["outcome"]),
        (&at.to_string().into(), &"deadline".into())
    );
    assert!(only["connect"]["ended"].is_null());
}

#[tokio::test]
async fn the_slowest_calls_come_first() {
    let acts = [20, 5, 60, 40].map(|n| Act::Delay(ms(n))).to_vec();
    let server = Options::sequence(acts).start().await.unwrap();
    let proxy = Setup::new("rec-slow", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..4 {
        caller.echo("x").await;
    }
    proxy.counted("ok", 4).await;
    let totals = || -> Vec<f64> {
        let calls = kept(&proxy, "rec-slow", Kind::Slowest);
        calls.iter().map(|call| seconds(&call["total"])).collect()
    };
    eventually("all are kept", || totals().len() == 4).await;
    let totals = totals();
    assert!(totals.iter().rev().is_sorted(), "{totals:?}");
    assert!(totals[0] >= 0.06 && totals[1] >= 0.04);
    assert!(kept(&proxy, "rec-slow", Kind::Failed).is_empty());
}

#[tokio::test]
async fn nothing_of_what_a_call_carries_is_kept() {
    const MARKER: &str = "s3cr3t-m4rk3r";
    let header = || {
        Header::default()
            .string("RPC_PERSIST_TOKEN", MARKER)
            .int(10, MARKER)
    };
    let acts = vec![
        Act::Echo,
        Act::Exception(6, MARKER.into()),
        Act::Declared(3, MARKER.into()),
        Act::WrongSeqid,
        Act::Garbage(MARKER.into()),
        Act::Half,
        Act::Close,
    ];
    let calls = acts.len();
    let server = Options::sequence(acts).start().await.unwrap();
    let proxy = Setup::new("rec-secret", &[server.address()])
        .policy("read_deadline = \"100ms\"\nejection.enabled = false\nbreaker.enabled = false")
        .start();
    let unnamed = Setup::new("rec-nobody", &[]).unnamed().start();
    for _ in 0..calls {
        let mut caller = proxy.caller_with(Framing::TtHeader, header()).await;
        let _ = caller.call("Echo", MARKER).await;
    }
    let mut caller = unnamed.caller_with(Framing::TtHeader, header()).await;
    caller.call("Echo", MARKER).await.unwrap();
    eventually("all ended", || proxy.ended() == calls as u64).await;
    for app in [&proxy.app, &unnamed.app] {
        let all = Wanted {
            service: None,
            kind: None,
            limit: 100,
        };
        let shown = Value::from_iter(app.calls(&all).ok().unwrap()).to_string();
        assert!(shown.contains("\"method\":\"Echo\""), "{shown}");
        assert!(!shown.contains(MARKER), "{shown}");
    }
}

#[tokio::test]
async fn a_call_without_a_service_is_kept_under_none() {
    let proxy = Setup::new("rec-none", &[]).unnamed().start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let answer = caller.call("Echo", "x").await.unwrap();
    let kept = || kept(&proxy, "none", Kind::Failed);
    eventually("it is kept", || kept().len() == 1).await;
    let call = kept().remove(0);
    assert_eq!(
        (&call["outcome"], &call["method"]),
        (&"unknown_service".into(), &"Echo".into())
    );
    let text = call["text"].as_str().unwrap();
    assert!(format!("{answer:?}").contains(text), "{answer:?}: {text}");
    assert_eq!(call["tries"].as_array().unwrap().len(), 0);

    // Bytes that are no frame have no head.
    let mut raw = proxy.raw().await;
    let good = Message::call(Framing::Framed, "Echo", 1, body::text(1, "x"));
    raw.write(&good.encode()).await;
    raw.write(&[0xff; 64]).await;
    eventually("all are kept", || kept().len() == 3).await;
    let call = kept().remove(0);
    assert_eq!(
        (&call["outcome"], &call["method"]),
        (&"bad_frame".into(), &Value::Null)
    );
}

#[tokio::test]
async fn an_unknown_service_is_told_which_there_are() {
    let proxy = Setup::new("rec-which", &[scripted::free()]).start();
    let wanted = Wanted {
        service: Some("rec-wich".into()),
        kind: None,
        limit: 1,
    };
    let why = proxy.app.calls(&wanted).err().unwrap();
    assert_eq!(why, "no service rec-wich: did you mean rec-which?");
}

#[tokio::test]
async fn a_caller_that_leaves_is_kept_and_told_apart_from_the_try() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("rec-gone", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Echo", "x").await;
    eventually("it is there", || server.calls() == 1).await;
    drop(caller);
    let call = the_failed_one(&proxy).await;
    assert_eq!(
        (&call["outcome"], &call["reply_bytes"]),
        (&"client_gone".into(), &0.into())
    );
    let only = &call["tries"][0];
    assert_eq!(only["endpoint"], server.address().to_string());
    assert_eq!(only["outcome"], "client_gone");
    assert_in_order(only);
}

#[tokio::test]
async fn calls_of_a_multiplexing_caller_and_streamed_replies_are_kept_once() {
    let server = Server::start(Act::Big(300_000)).await.unwrap();
    let proxy = Setup::new("rec-once", &[server.address()])
        .runtime("hold = \"64KiB\"")
        .start();
    let header = Header::default().out_of_order();
    let mut mux = proxy.caller_with(Framing::TtHeader, header).await;
    mux.call("Big", "x").await.unwrap();
    proxy
        .caller(Framing::Framed)
        .await
        .call("Big", "x")
        .await
        .unwrap();
    proxy.counted("ok", 2).await;
    let calls = || kept(&proxy, "rec-once", Kind::Slowest);
    eventually("both are kept", || calls().len() >= 2).await;
    let calls = calls();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert!(call["reply_bytes"].as_u64() > Some(300_000));
        let only = &call["tries"][0];
        assert!(
            seconds(&only["first_byte"]) < seconds(&only["last_byte"]),
            "{call:#}"
        );
        assert_in_order(only);
    }
}

#[tokio::test]
async fn a_oneway_call_has_no_reply_to_tell_of() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("rec-oneway", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.0.oneway("Notify", "x").await.unwrap();
    let calls = || kept(&proxy, "rec-oneway", Kind::Slowest);
    eventually("it is kept", || calls().len() == 1).await;
    let only = &calls()[0]["tries"][0];
    assert_eq!(only["connection"], "fresh");
    assert!(only["first_byte"].is_null() && only["last_byte"].is_null());
    assert!(seconds(&only["written"]) <= seconds(&only["ended"]));
}

#[tokio::test]
async fn a_slow_call_names_its_endpoint_though_that_is_removed_meanwhile() {
    let slow = Server::start(Act::Delay(ms(300))).await.unwrap();
    let other = Server::start(Act::Echo).await.unwrap();
    let setup = Setup::new("rec-removed", &[slow.address()]);
    let proxy = setup.start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let reload = async {
        eventually("it is there", || slow.calls() == 1).await;
        let text = setup.text();
        let text = text.replace(&slow.address().to_string(), &other.address().to_string());
        let config = Config::from_str("test.toml", &text).unwrap();
        proxy.app.reload(Ok(config)).await.unwrap();
    };
    tokio::join!(caller.echo("x"), reload);
    let calls = || kept(&proxy, "rec-removed", Kind::Slowest);
    eventually("it is kept", || calls().len() == 1).await;
    assert_eq!(
        calls()[0]["tries"][0]["endpoint"],
        slow.address().to_string()
    );
}
