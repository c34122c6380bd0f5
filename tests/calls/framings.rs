//! Every framing, every kind of answer, and who shares a connection with whom.

use bytes::Bytes;
use scripted::wire::kind;
use scripted::{Act, Answer, Framing, Header, Options, Server, body};

use crate::support::proxy::{Caller, Setup, eventually, ms};

fn keys(keys: &[(&str, &str)]) -> Act {
    Act::Keys(
        keys.iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
    )
}

#[tokio::test]
async fn every_kind_of_answer_comes_back_in_every_framing() {
    let acts = vec![
        Act::Echo,
        Act::Declared(404, "not here".into()),
        Act::Exception(6, "handler failed".into()),
        Act::Exception(1, "unknown method".into()),
        Act::Echo,
    ];
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["fr-f", "fr-b", "fr-t", "fr-tf"])
    {
        let server = Options::sequence(acts.clone()).start().await.unwrap();
        let proxy = Setup::new(name, &[server.address()]).start();
        let mut caller = proxy.caller(framing).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(caller.call("Echo", "hello").await.unwrap());
        }
        let void = caller.0.call_with("Void", body::empty()).await.unwrap();
        answers.push(void);
        let expected = [
            Answer::Text("hello".into()),
            Answer::Declared(404, "not here".into()),
            Answer::Exception(6, "handler failed".into()),
            Answer::Exception(1, "unknown method".into()),
            Answer::Void,
        ];
        assert_eq!(answers, expected, "{framing:?}");
        for (outcome, calls) in [("ok", 2), ("business_error", 1), ("exception", 2)] {
            proxy.counted(outcome, calls).await;
        }
        assert_eq!(
            server.seen().connections,
            1,
            "{framing:?}: one pooled connection"
        );
        drop(caller);
    }
}

#[tokio::test]
async fn a_business_status_in_the_header_is_no_failure() {
    let act = keys(&[("biz-status", "404"), ("biz-message", "not here")]);
    let server = Server::start(act).await.unwrap();
    let proxy = Setup::new("fr-biz", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    let call = caller.send("Echo", "x").await;
    let reply = caller.next().await.unwrap().unwrap();
    assert_eq!(reply.seqid, call.seqid);
    assert_eq!(
        reply.header.get_string("biz-status").as_deref(),
        Some("404")
    );
    proxy.counted("business_error", 1).await;
}

#[tokio::test]
async fn a_oneway_call_is_delivered_though_its_caller_closes_at_once_and_never_pooled() {
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["ow-f", "ow-b", "ow-t", "ow-tf"])
    {
        let server = Server::start(Act::Echo).await.unwrap();
        let proxy = Setup::new(name, &[server.address()]).start();
        // A pooled connection is there, and stays untouched.
        proxy.caller(Framing::Framed).await.echo("first").await;
        for _ in 0..5 {
            let mut caller = proxy.caller(framing).await;
            caller.0.oneway("Notify", "psst").await.unwrap();
            drop(caller);
        }
        eventually("delivered", || {
            server.seen().methods.get("Notify") == Some(&5)
        })
        .await;
        proxy.counted("ok", 6).await;
        let seen = server.seen();
        assert_eq!(seen.connections, 6, "each on a connection of its own");
        assert_eq!(proxy.pooled(server.address()), 1, "{framing:?}");
        eventually("closed", || server.seen().open == 1).await;
    }
}

#[tokio::test]
async fn a_oneway_call_does_not_end_the_callers_connection() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("ow-keep", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.0.oneway("Notify", "psst").await.unwrap();
    caller.echo("after").await;
    assert_eq!(
        server
            .seen()
            .messages
            .iter()
            .filter(|m| m.kind == kind::ONEWAY)
            .count(),
        1
    );
}

#[tokio::test]
async fn a_control_frame_is_skipped_and_retires_its_connection() {
    for (act, name) in [
        (Act::ControlEcho, "ctl-before"),
        (Act::EchoControl, "ctl-after"),
    ] {
        let server = Server::start(act.clone()).await.unwrap();
        let proxy = Setup::new(name, &[server.address()]).start();
        let mut caller = proxy.caller(Framing::TtHeader).await;
        for n in 1..=3 {
            caller.echo("hi").await;
            assert_eq!(server.seen().connections, n, "{act:?}");
        }
        proxy.counted("ok", 3).await;
        eventually("closed", || server.seen().open <= 1).await;
    }
}

#[tokio::test]
async fn a_reply_that_asks_for_it_closes_its_connection() {
    let server = Server::start(keys(&[("crrst", "1")])).await.unwrap();
    let proxy = Setup::new("crrst", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::TtHeaderFramed).await;
    for n in 1..=3 {
        caller.echo("hi").await;
        assert_eq!(server.seen().connections, n);
    }
}

#[tokio::test]
async fn callers_that_count_from_0_are_answered_even_after_a_control_frame() {
    let server = Options::sequence(vec![Act::ControlEcho, Act::Echo, Act::ControlEcho])
        .start()
        .await
        .unwrap();
    let proxy = Setup::new("seq0", &[server.address()]).start();
    for _ in 0..2 {
        let caller = proxy.caller(Framing::TtHeader).await;
        let mut caller = Caller(caller.0.after_seqid(-1));
        caller.echo("zero").await;
        caller.echo("one").await;
    }
    for _ in 0..3 {
        let caller = proxy.caller(Framing::Framed).await;
        Caller(caller.0.after_seqid(-1)).echo("always 0").await;
    }
    proxy.counted("ok", 7).await;
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order_in_mixed_framings() {
    let script = |call: &scripted::Call| match call.nth % 3 {
        0 => Act::Delay(ms(20)),
        _ => Act::Echo,
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("pipelined", &[server.address()]).start();
    let mut raw = proxy.caller(Framing::Framed).await;
    let mut calls = Vec::new();
    let mut bytes = Vec::new();
    for n in 0..40 {
        let framing = Framing::ALL[n as usize % 4];
        let mut call = scripted::Message::call(framing, "Echo", n, body::text(1, &format!("{n}")));
        if framing.has_header() {
            call.header = Header::default().string("trace", "t");
        }
        bytes.extend_from_slice(&call.encode());
        calls.push(call);
    }
    raw.0.send_bytes(&bytes).await.unwrap();
    for call in calls {
        let answer = raw.next().await.unwrap().unwrap();
        assert_eq!((answer.seqid, answer.framing), (call.seqid, call.framing));
        let text = Answer::of(&answer).unwrap();
        assert_eq!(text, Answer::Text(call.seqid.to_string()));
    }
    assert_eq!(server.seen().connections, 1);
}

#[tokio::test]
async fn what_the_instance_gets_is_what_the_caller_sent() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("verbatim", &[server.address()]).start();
    let header = Header::default()
        .string("isn", "EchoService")
        .string("RPC_PERSIST_K", "v")
        .int(9, "Wrong")
        .int(6, "someone-else");
    let mut caller = proxy.caller_with(Framing::TtHeaderFramed, header).await;
    let call = caller.send("Echo", "x").await;
    assert!(caller.next().await.unwrap().is_some());
    let mut got = server.seen().messages[0].clone();
    got.header.seqid = call.header.seqid;
    assert_eq!(got, call);
}

#[tokio::test]
async fn a_call_split_into_single_bytes_is_one_call() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("bytewise", &[server.address()]).start();
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        let call = caller.0.next("Echo", body::text(1, "slowly"));
        let bytes: Bytes = call.encode();
        for (i, byte) in bytes.iter().enumerate() {
            caller.0.send_bytes(&[*byte]).await.unwrap();
            if i % 8 == 0 {
                tokio::time::sleep(ms(1)).await;
            }
        }
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(Answer::of(&answer).unwrap(), Answer::Text("slowly".into()));
    }
    assert_eq!(server.seen().broken, 0);
}
