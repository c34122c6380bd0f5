//! The scripted peers against each other; the `peers` package holds them against a real framework.

use crate::wire::{Message, kind};
use crate::{
    Act, Answer, Call, Client, Framing, Header, MuxClient, OnAccept, Options, Server, body,
};
use bytes::Bytes;
use std::io::ErrorKind;
use std::time::Duration;

#[test]
fn a_message_survives_its_own_encoding_in_every_framing() {
    for framing in Framing::ALL {
        let mut call = Message::call(framing, "Echo", 7, body::text(1, "hello"));
        if framing.has_header() {
            call.header = Header::default()
                .int(12, "150")
                .string("isn", "EchoService")
                .out_of_order();
            call.header.seqid = Some(9);
        }
        let bytes = call.encode();
        assert_eq!(Message::decode(&bytes).unwrap(), (call, bytes.len()));
        for cut in 0..bytes.len() {
            let error = Message::decode(&bytes[..cut]).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::UnexpectedEof,
                "{framing:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_struct_of_every_type_is_walked() {
    let everything: &[u8] = &[
        &[2, 0, 1, 1][..],                                            // bool
        &[3, 0, 2, 9],                                                // byte
        &[6, 0, 3, 0, 9],                                             // i16
        &[8, 0, 4, 0, 0, 0, 9],                                       // i32
        &[10, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9],                          // i64
        &[4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],                           // double
        &[11, 0, 7, 0, 0, 0, 1, b'x'],                                // string
        &[12, 0, 8, 11, 0, 1, 0, 0, 0, 0, 0],                         // struct
        &[13, 0, 9, 11, 8, 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 1], // map
        &[14, 0, 10, 8, 0, 0, 0, 1, 0, 0, 0, 1],                      // set
        &[15, 0, 11, 3, 0, 0, 0, 2, 1, 2],                            // list
        &[0],
    ]
    .concat();
    assert_eq!(body::struct_len(everything).unwrap(), everything.len());
    assert_eq!(
        body::field(everything, 7)
            .unwrap()
            .unwrap()
            .as_text()
            .as_deref(),
        Some("x")
    );
    assert_eq!(body::field(everything, 12).unwrap(), None);
}

#[tokio::test]
async fn each_act_shows_at_the_client() {
    let acts = vec![
        Act::Echo,
        Act::Exception(6, "no".into()),
        Act::Declared(3, "not here".into()),
        Act::Big(100_000),
        Act::Drip(5, Duration::from_millis(1)),
        Act::Delay(Duration::from_millis(5)),
    ];
    let server = Options::sequence(acts).start().await.unwrap();
    let mut client = Client::connect(server.address(), Framing::Framed)
        .await
        .unwrap();
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(client.call("Echo", "hi").await.unwrap());
    }
    let hi = Answer::Text("hi".into());
    let big = Answer::Text("b".repeat(100_000));
    let exception = Answer::Exception(6, "no".into());
    let declared = Answer::Declared(3, "not here".into());
    assert_eq!(
        answers,
        [hi.clone(), exception, declared, big, hi.clone(), hi]
    );
    let seen = server.seen();
    assert_eq!(
        (seen.connections, seen.calls, seen.methods["Echo"]),
        (1, 6, 6)
    );
}

async fn outcome(act: Act) -> Result<Answer, ErrorKind> {
    let server = Server::start(act).await.unwrap();
    let mut client = Client::connect(server.address(), Framing::TtHeader)
        .await
        .unwrap();
    client.call("Echo", "hi").await.map_err(|e| e.kind())
}

#[tokio::test]
async fn each_failure_shows_at_the_client() {
    assert_eq!(outcome(Act::Close).await, Err(ErrorKind::UnexpectedEof));
    assert_eq!(outcome(Act::Half).await, Err(ErrorKind::UnexpectedEof));
    assert_eq!(outcome(Act::Reset).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(outcome(Act::WrongSeqid).await, Err(ErrorKind::InvalidData));
    assert_eq!(
        outcome(Act::Garbage(Bytes::from_static(&[b'?'; 64]))).await,
        Err(ErrorKind::InvalidData)
    );
    assert_eq!(outcome(Act::ControlEcho).await, Err(ErrorKind::InvalidData));
    assert_eq!(
        outcome(Act::EchoControl).await,
        Ok(Answer::Text("hi".into()))
    );
    assert_eq!(outcome(Act::EchoClose).await, Ok(Answer::Text("hi".into())));
}

#[tokio::test]
async fn a_silent_server_counts_who_left() {
    for act in [
        Act::Silence,
        Act::HalfSilence,
        Act::Delay(Duration::from_secs(60)),
    ] {
        let server = Server::start(act).await.unwrap();
        let mut client = Client::connect(server.address(), Framing::Framed)
            .await
            .unwrap();
        let patience = Duration::from_millis(50);
        let answer = tokio::time::timeout(patience, client.call("Echo", "hi")).await;
        assert!(answer.is_err(), "answered: {answer:?}");
        drop(client);
        while server.seen().left == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_told() {
    let options = Options::always(Act::Echo).close_idle_after(Duration::from_millis(20));
    let server = options.start().await.unwrap();
    let mut client = Client::connect(server.address(), Framing::Buffered)
        .await
        .unwrap();
    assert_eq!(
        client.call("Echo", "hi").await.unwrap(),
        Answer::Text("hi".into())
    );
    assert_eq!(client.receive_or_end().await.unwrap(), None);
}

#[tokio::test]
async fn a_connection_can_be_refused_service() {
    for what in [OnAccept::Close, OnAccept::Reset] {
        let server = Options::always(Act::Echo)
            .on_accept(what)
            .start()
            .await
            .unwrap();
        let mut client = Client::connect(server.address(), Framing::Framed)
            .await
            .unwrap();
        assert!(client.call("Echo", "hi").await.is_err());
        assert_eq!(server.calls(), 0);
    }
}

#[tokio::test]
async fn multiplexed_calls_are_answered_as_they_end() {
    let script = |call: &Call| match call.nth {
        0 => Act::Delay(Duration::from_millis(50)),
        _ => Act::ControlEcho,
    };
    let server = Options::script(script).start().await.unwrap();
    let client = MuxClient::connect(server.address(), Framing::TtHeaderFramed)
        .await
        .unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let call = async |text: &str| {
        let answer = client.call("Echo", text).await.unwrap();
        order.lock().unwrap().push(answer);
    };
    tokio::join!(call("slow"), call("fast"));
    let [fast, slow] = ["fast", "slow"].map(|t| Answer::Text(t.into()));
    assert_eq!(*order.lock().unwrap(), [fast, slow]);
    drop(server);
    let error = client.call("Echo", "late").await.unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
}

#[tokio::test]
async fn a_oneway_call_is_counted_and_not_answered() {
    let server = Server::start(Act::Echo).await.unwrap();
    let mut client = Client::connect(server.address(), Framing::Framed)
        .await
        .unwrap();
    client.oneway("Notify", "psst").await.unwrap();
    assert_eq!(
        client.call("Echo", "hi").await.unwrap(),
        Answer::Text("hi".into())
    );
    let seen = server.seen();
    assert_eq!(
        (seen.messages[0].kind, seen.methods["Notify"]),
        (kind::ONEWAY, 1)
    );
}

#[tokio::test]
async fn a_stopped_server_can_start_again_on_its_port() {
    let server = Server::start(Act::Echo).await.unwrap();
    let address = server.address();
    let mut client = Client::connect(address, Framing::Framed).await.unwrap();
    client.call("Echo", "hi").await.unwrap();
    drop(server);
    assert_eq!(client.receive_or_end().await.unwrap(), None);
    let again = Options::always(Act::Echo)
        .listen(address)
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(again.address(), Framing::Framed)
        .await
        .unwrap();
    client.call("Echo", "hi").await.unwrap();
}
