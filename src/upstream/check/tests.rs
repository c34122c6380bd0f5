#![allow(clippy::unwrap_used)]
use std::time::Duration;

use bytes::Bytes;
use scripted::{Act, OnAccept, Options, Server};

use super::*;

fn rules(kind: CheckKind) -> HealthCheck {
    HealthCheck {
        kind,
        method: "Ping".to_owned(),
        timeout: Duration::from_secs(20),
        ..HealthCheck::default()
    }
}

async fn called(act: Act) -> Result<(), Missed> {
    let server = Server::start(act).await.unwrap();
    check(&server.address().into(), &rules(CheckKind::Call)).await
}

#[test]
fn the_call_is_a_framed_one_without_arguments() {
    let call = frame::empty_call("Ping", 7);
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    let Ok(Progress::Whole { head, len }) = decoder.decode(&call) else {
        panic!("{call:?}");
    };
    assert_eq!((len, head.seqid), (call.len(), 7));
    assert_eq!(head.name.of(&call), b"Ping");
    assert_eq!(head.framing.label(), "framed");
    assert_eq!(call[head.body as usize..], [0]);
}

#[tokio::test]
async fn any_reply_with_the_calls_seqid_is_a_pass() {
    for act in [
        Act::Big(10),
        Act::Big(1 << 20),
        Act::Exception(1, "unknown method Ping".into()),
        Act::Declared(7, "no".into()),
        Act::Drip(3, Duration::from_millis(1)),
        Act::EchoClose,
    ] {
        assert_eq!(called(act.clone()).await, Ok(()), "{act:?}");
    }
}

#[tokio::test]
async fn whatever_else_happens_is_a_failure_that_says_what() {
    let http = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    for (act, outcome, said) in [
        (Act::Close, Outcome::ClosedEarly, "closed without an answer"),
        (Act::Half, Outcome::ReplyCut, "closed inside its answer"),
        (Act::Reset, Outcome::Reset, "no answer: "),
        (
            Act::WrongSeqid,
            Outcome::BadReply,
            "no proper answer: seqid ",
        ),
        (Act::Garbage(http), Outcome::BadReply, "no proper answer: "),
    ] {
        let missed = called(act.clone()).await.unwrap_err();
        assert_eq!(missed.outcome, outcome, "{act:?}: {missed:?}");
        assert!(missed.detail.starts_with(said), "{missed:?}");
    }
}

#[tokio::test]
async fn who_takes_the_connection_and_never_answers_passes_a_connect_and_fails_a_call() {
    let hung = Options::always(Act::Silence)
        .on_accept(OnAccept::Ignore)
        .start()
        .await
        .unwrap();
    let mut rules = rules(CheckKind::Connect);
    rules.timeout = Duration::from_millis(200);
    assert_eq!(check(&hung.address().into(), &rules).await, Ok(()));
    rules.kind = CheckKind::Call;
    let missed = check(&hung.address().into(), &rules).await.unwrap_err();
    assert_eq!(missed.outcome, Outcome::ReadDeadline);
    assert_eq!(&*missed.detail, "no answer within 200ms");
}

#[tokio::test]
async fn where_nobody_listens_both_kinds_fail_as_a_connect_does() {
    for kind in [CheckKind::Connect, CheckKind::Call] {
        let missed = check(&scripted::free().into(), &rules(kind))
            .await
            .unwrap_err();
        assert_eq!(missed.outcome, Outcome::ConnectRefused);
    }
}
