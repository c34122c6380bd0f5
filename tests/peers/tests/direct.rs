//! The peers against each other, with nothing in between. What holds here must hold through the proxy; and where a
//! scripted peer agrees with the framework here, its word counts elsewhere.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use peers::grpc;
use peers::thrift::{Client, Failed, Framing, REFUSED, Server, UNWELL};
use scripted::header::key;
use scripted::{Act, Answer, Header, body};
use std::time::Duration;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

/// The same framing in the scripted peers' words.
fn scripted_framing(framing: Framing) -> scripted::Framing {
    match framing {
        Framing::Framed => scripted::Framing::Framed,
        Framing::Buffered => scripted::Framing::Buffered,
        Framing::TtHeader => scripted::Framing::TtHeader,
        Framing::TtHeaderFramed => scripted::Framing::TtHeaderFramed,
    }
}

#[tokio::test]
async fn volo_talks_to_volo_in_every_framing() {
    let server = Server::start().unwrap();
    for framing in Framing::ALL {
        let client = Client::new("echo", server.address(), framing, PATIENCE);
        assert_eq!(client.echo("hi").await.unwrap(), "hi");
        assert_eq!(client.echo("").await.unwrap(), "");
        assert_eq!(client.slow("late", 5).await.unwrap(), "late");
        client.ping().await.unwrap();
        assert_eq!(
            client.fail("why").await,
            Err(Failed::Refused(REFUSED, "why".into()))
        );
        assert_eq!(
            client.echo(UNWELL).await,
            Err(Failed::Exception(6, "the handler is unwell".into()))
        );
        assert_eq!(
            client.echo(&"x".repeat(300_000)).await.unwrap().len(),
            300_000
        );
        client.notify("psst").await.unwrap();
    }
    while server.oneways() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.calls(), 4 * 8);
}

#[tokio::test]
async fn volo_multiplexes() {
    let server = Server::start_multiplexed().unwrap();
    let client = Client::multiplexed("echo", server.address(), PATIENCE);
    let (slow, fast) = tokio::join!(client.slow("slow", 50), client.echo("fast"));
    assert_eq!(
        (slow.unwrap(), fast.unwrap()),
        ("slow".into(), "fast".into())
    );
}

#[tokio::test]
async fn a_scripted_client_is_understood_by_volo() {
    let server = Server::start().unwrap();
    for framing in Framing::ALL.map(scripted_framing) {
        let header = Header::default()
            .int(key::TO_SERVICE, "echo")
            .int(key::RPC_TIMEOUT, "5000");
        let mut client = scripted::Client::connect(server.address(), framing)
            .await
            .unwrap();
        if framing.has_header() {
            client = client.with_header(header);
        }
        assert_eq!(
            client.call("Echo", "hi").await.unwrap(),
            Answer::Text("hi".into()),
            "{framing:?}"
        );
        let slow = client
            .call_with("Slow", body::slow("late", 5))
            .await
            .unwrap();
        assert_eq!(slow, Answer::Text("late".into()));
        assert_eq!(
            client.call_with("Ping", body::empty()).await.unwrap(),
            Answer::Void
        );
        assert_eq!(
            client.call("Fail", "why").await.unwrap(),
            Answer::Declared(REFUSED, "why".into())
        );
        let unwell = client.call("Echo", UNWELL).await.unwrap();
        assert_eq!(unwell, Answer::Exception(6, "the handler is unwell".into()));
    }
}

#[tokio::test]
async fn a_scripted_multiplexing_client_is_understood_by_volo() {
    let server = Server::start_multiplexed().unwrap();
    let framing = scripted::Framing::TtHeaderFramed;
    let client = scripted::MuxClient::connect(server.address(), framing)
        .await
        .unwrap();
    let slow = client.call_with("Slow", body::slow("slow", 50));
    let (slow, fast) = tokio::join!(slow, client.call("Echo", "fast"));
    assert_eq!(slow.unwrap(), Answer::Text("slow".into()));
    assert_eq!(fast.unwrap(), Answer::Text("fast".into()));
}

#[tokio::test]
async fn a_scripted_server_is_understood_by_volo() {
    for framing in Framing::ALL {
        let acts = vec![
            Act::Echo,
            Act::Declared(9, "no".into()),
            Act::Exception(6, "broken".into()),
            Act::Big(100_000),
            Act::Drip(7, Duration::from_millis(1)),
        ];
        let server = scripted::Options::sequence(acts).start().await.unwrap();
        let client = Client::new("echo", server.address(), framing, PATIENCE);
        assert_eq!(client.echo("hi").await.unwrap(), "hi", "{framing:?}");
        assert_eq!(
            client.fail("why").await,
            Err(Failed::Refused(9, "no".into()))
        );
        assert_eq!(
            client.echo("hi").await,
            Err(Failed::Exception(6, "broken".into()))
        );
        assert_eq!(client.echo("hi").await.unwrap().len(), 100_000);
        assert_eq!(client.echo("drip").await.unwrap(), "drip");
        client.ping().await.unwrap();
        let seen = server.seen();
        assert_eq!(
            (
                seen.methods["Echo"],
                seen.methods["Fail"],
                seen.methods["Ping"]
            ),
            (4, 1, 1)
        );
        let first = &seen.messages[0];
        assert_eq!(first.framing, scripted_framing(framing));
        if first.framing.has_header() {
            assert_eq!(
                first.header.get_int(key::TO_SERVICE).as_deref(),
                Some("echo")
            );
            assert_eq!(
                first.header.get_int(key::RPC_TIMEOUT).as_deref(),
                Some("5000")
            );
        }
    }
}

#[tokio::test]
async fn a_scripted_server_is_understood_by_volo_when_it_multiplexes() {
    let server = scripted::Server::start(Act::Echo).await.unwrap();
    let client = Client::multiplexed("echo", server.address(), PATIENCE);
    let (one, two) = tokio::join!(client.echo("one"), client.echo("two"));
    assert_eq!((one.unwrap(), two.unwrap()), ("one".into(), "two".into()));
}

#[tokio::test]
async fn tonic_talks_to_tonic() {
    let server = grpc::Server::start().await.unwrap();
    let mut client = grpc::Client::connect(server.address()).await.unwrap();
    assert_eq!(client.echo("hi").await.unwrap(), "hi");
    assert_eq!(
        client.missing().await.unwrap_err().code(),
        tonic::Code::Unimplemented
    );
    let texts: Vec<_> = ["a", "b", "c"]
        .map(|t| grpc::Text {
            text: Bytes::from(t),
        })
        .into();
    assert_eq!(
        client
            .chat(tokio_stream::iter(texts.clone()))
            .await
            .unwrap(),
        texts
    );
}
