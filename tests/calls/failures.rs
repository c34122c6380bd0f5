//! Instances that refuse, close, reset, stop and talk nonsense: an answer each, the right outcome, others untouched.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::join_all;
use scripted::{Act, Answer, Framing, Header, OnAccept, Options, Server};

use crate::retry::deadline;
use crate::support::free;
use crate::support::proxy::{Setup, eventually, ms};

#[tokio::test]
async fn a_refused_endpoint_is_down_and_no_caller_sees_it() {
    let server = Server::start(Act::Echo).await.unwrap();
    let dead = free();
    let proxy = Setup::new("refused", &[dead, server.address()]).start();
    for framing in Framing::ALL {
        for _ in 0..20 {
            proxy.caller(framing).await.echo("x").await;
        }
    }
    proxy.counted("ok", 80).await;
    assert_eq!(proxy.ended(), 80);
    assert_eq!(proxy.endpoint(dead)["state"], "down");
    assert_eq!(proxy.endpoint(server.address())["state"], "up");
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_calls_again_on_long_lived_connections_too() {
    let (first, at) = (Server::start(Act::Echo).await.unwrap(), free());
    let proxy = Setup::new("back", &[first.address(), at]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..20 {
        caller.echo("x").await;
    }
    assert_eq!(proxy.endpoint(at)["state"], "down");
    let second = Options::always(Act::Echo).listen(at).start().await.unwrap();
    eventually("up again", || proxy.endpoint(at)["state"] == "up").await;
    for _ in 0..40 {
        caller.echo("x").await;
    }
    assert!(second.calls() > 0);
}

#[tokio::test]
async fn when_all_are_down_the_answer_names_how_many_and_the_last() {
    let dead = [free(), free(), free()];
    let proxy = Setup::new("all-down", &dead).start();
    for framing in Framing::ALL {
        let said = proxy.caller(framing).await.fails("x").await;
        let start = "tidegate: cannot connect to all-down: 3 of 3 endpoints down, last 127.0.0.1:";
        assert!(said.starts_with(start), "{said}");
        let (_, last) = said.split_once("last ").unwrap();
        let (last, why) = last.split_once(' ').unwrap();
        assert!(dead.contains(&last.parse().unwrap()), "{said}");
        assert!(
            why.starts_with("refused (P01)") && why.ends_with("; called Echo"),
            "{said}"
        );
    }
    proxy.counted("connect_refused", 4).await;
}

#[tokio::test]
async fn while_all_are_down_a_call_dials_once_and_the_first_connect_brings_the_service_back() {
    let at = free();
    let proxy = Setup::new("rescue", &[at]).start();
    let refused = || proxy.of("tidegate_connects_total", "result", "refused");
    for calls in 1..=10 {
        proxy.caller(Framing::Framed).await.fails("x").await;
        assert_eq!(refused(), calls, "one dial for each call");
    }
    let _server = Options::always(Act::Echo).listen(at).start().await.unwrap();
    proxy.caller(Framing::Framed).await.echo("at once").await;
    assert_eq!(proxy.endpoint(at)["state"], "up");
}

/// What an instance does, the outcome, a part of the text.
fn misdeeds() -> Vec<(Act, &'static str, &'static str)> {
    let closed = "closed the connection without an answer";
    vec![
        (Act::Close, "closed_early", closed),
        (Act::Reset, "reset", closed),
        (Act::Half, "reply_cut", "stopped inside its reply"),
        (Act::WrongSeqid, "bad_reply", "sent no proper reply"),
        (
            Act::Garbage(Bytes::from_static(&[b'?'; 64])),
            "bad_reply",
            "sent no proper reply",
        ),
        (
            Act::Garbage(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
            "bad_reply",
            "",
        ),
        (Act::Garbage(Bytes::from_static(&[0; 64])), "bad_reply", ""),
        (Act::HalfSilence, "read_deadline", "phase read"),
        (Act::Silence, "read_deadline", "phase first_byte"),
    ]
}

#[tokio::test]
async fn each_misdeed_has_its_outcome_its_answer_and_no_second_try() {
    const NAMES: [&str; 9] = [
        "bad-close",
        "bad-reset",
        "bad-half",
        "bad-seq",
        "bad-junk",
        "bad-http",
        "bad-zero",
        "bad-hs",
        "bad-s",
    ];
    for ((act, outcome, part), name) in misdeeds().into_iter().zip(NAMES) {
        let bad = Server::start(act.clone()).await.unwrap();
        let other = Server::start(Act::Echo).await.unwrap();
        let (bad_at, other_at) = (bad.address(), other.address());
        let proxy = Setup::new(name, &[bad_at, other_at])
            .policy(deadline(&act))
            .policy("balance = \"weighted_round_robin\"")
            .start();
        let callers = Framing::ALL.map(async |framing| {
            let mut caller = proxy.caller(framing).await;
            let mut failed = 0;
            for _ in 0..4 {
                match caller.call("Echo", "x").await.unwrap() {
                    Answer::Exception(6, said) => {
                        assert!(said.contains(&bad_at.to_string()), "{act:?}: {said}");
                        assert!(said.contains(part), "{act:?}: {said}");
                        assert!(said.ends_with("; called Echo"), "{act:?}: {said}");
                        failed += 1;
                    }
                    answer => assert_eq!(answer, Answer::Text("x".into())),
                }
            }
            failed
        });
        let failed = join_all(callers).await.into_iter().sum::<u64>();
        assert!(failed > 0 && failed < 16, "{act:?}: {failed}");
        proxy.counted(outcome, failed).await;
        proxy.counted("ok", 16 - failed).await;
        assert_eq!(proxy.tries(outcome), failed, "{act:?}");
        assert_eq!(
            (bad.calls(), other.calls()),
            (failed, 16 - failed),
            "{act:?}"
        );
        eventually("its connections are closed", || bad.seen().open == 0).await;
    }
}

#[tokio::test]
async fn an_instance_that_accepts_and_closes_is_answered_as_closed_early() {
    for (what, name) in [
        (OnAccept::Close, "acc-close"),
        (OnAccept::Reset, "acc-reset"),
    ] {
        let bad = Options::always(Act::Echo)
            .on_accept(what)
            .start()
            .await
            .unwrap();
        let proxy = Setup::new(name, &[bad.address()]).start();
        let said = proxy.caller(Framing::Framed).await.fails("x").await;
        // A reset may already meet the connect.
        let told = [
            "closed the connection without an answer",
            "cannot connect to",
        ];
        assert!(told.iter().any(|told| said.contains(told)), "{said}");
        eventually("counted", || proxy.ended() == 1).await;
        let outcomes = ["closed_early", "reset", "unreachable"].map(|o| proxy.outcome(o));
        assert_eq!(outcomes.iter().sum::<u64>(), 1, "{what:?}: {outcomes:?}");
    }
}

/// Two endpoints; the first does `act`.
async fn pair(act: Act) -> (Server, Server, [SocketAddr; 2]) {
    let bad = Server::start(act).await.unwrap();
    let good = Server::start(Act::Echo).await.unwrap();
    let at = [bad.address(), good.address()];
    (bad, good, at)
}

const RETRIED: &str = "RPC_PERSIST_RetryReq";

#[tokio::test]
async fn an_idempotent_call_is_tried_at_another_endpoint_and_marked_only_then() {
    for (act, name) in [
        (Act::Close, "idem-close"),
        (Act::Reset, "idem-reset"),
        (Act::Silence, "idem-s"),
    ] {
        let deadline = deadline(&act);
        let (bad, good, at) = pair(act).await;
        let proxy = Setup::new(name, &at)
            .policy(deadline)
            .policy("balance = \"weighted_round_robin\"\nidempotent = true")
            .start();
        let callers = Framing::ALL.map(async |framing| {
            let mut caller = proxy.caller(framing).await;
            for _ in 0..4 {
                caller.echo("x").await;
            }
        });
        join_all(callers).await;
        proxy.counted("ok", 16).await;
        assert_eq!(good.calls(), 16, "{name}: each ended there");
        let marks = |server: &Server| {
            let all = server.seen().messages;
            all.iter()
                .filter(|m| m.header.get_string(RETRIED).is_some())
                .count() as u64
        };
        let again = good
            .seen()
            .messages
            .iter()
            .filter(|m| m.framing.has_header())
            .count() as u64;
        assert_eq!(marks(&bad), 0, "{name}: a first try is not marked");
        assert!(bad.calls() > 0 && marks(&good) <= again, "{name}");
        let resent_with_header = bad
            .seen()
            .messages
            .iter()
            .filter(|m| m.framing.has_header())
            .count();
        assert_eq!(
            marks(&good),
            resent_with_header as u64,
            "{name}: exactly those sent again"
        );
        let retried = proxy.of("tidegate_retries_total", "result", "ok");
        assert_eq!(retried, bad.calls(), "{name}: each retry is counted");
    }
}

#[tokio::test]
async fn a_call_that_is_a_retry_already_is_not_sent_twice() {
    let (bad, good, at) = pair(Act::Close).await;
    let proxy = Setup::new("chain-stop", &at)
        .policy("balance = \"weighted_round_robin\"\nidempotent = true")
        .start();
    let header = Header::default().string(RETRIED, "1");
    let mut caller = proxy.caller_with(Framing::TtHeaderFramed, header).await;
    for _ in 0..10 {
        caller.call("Echo", "x").await.unwrap();
    }
    assert_eq!(bad.calls() + good.calls(), 10);
    assert!(bad.calls() > 0);
    proxy.counted("closed_early", bad.calls()).await;
}

#[tokio::test]
async fn tries_bounds_how_often_an_idempotent_call_is_sent() {
    let bad: Vec<Server> = {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(Server::start(Act::Close).await.unwrap());
        }
        all
    };
    let at: Vec<SocketAddr> = bad.iter().map(Server::address).collect();
    let proxy = Setup::new("tries", &at)
        .policy("tries = 4\nidempotent = true")
        .start();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(said.contains("try 4 of 4"), "{said}");
    let sent: Vec<u64> = bad.iter().map(Server::calls).collect();
    assert_eq!(sent.iter().sum::<u64>(), 4, "{sent:?}");
    assert!(sent.iter().all(|n| *n <= 1), "each elsewhere: {sent:?}");
}

#[tokio::test]
async fn a_oneway_call_is_never_sent_twice() {
    let (bad, good, at) = pair(Act::Reset).await;
    let proxy = Setup::new("oneway-once", &at)
        .policy("idempotent = true")
        .start();
    for _ in 0..20 {
        let mut caller = proxy.caller(Framing::TtHeader).await;
        caller.0.oneway("Notify", "x").await.unwrap();
    }
    eventually("all ended", || proxy.ended() == 20).await;
    tokio::time::sleep(ms(100)).await;
    assert_eq!(bad.calls() + good.calls(), 20);
}

#[tokio::test]
async fn a_oneway_call_finds_another_endpoint_where_one_refuses() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("oneway-elsewhere", &[free(), free(), server.address()]).start();
    for _ in 0..10 {
        let mut caller = proxy.caller(Framing::Framed).await;
        caller.0.oneway("Notify", "x").await.unwrap();
    }
    eventually("delivered", || server.calls() == 10).await;
    proxy.counted("ok", 10).await;
}
