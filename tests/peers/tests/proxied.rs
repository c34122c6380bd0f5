//! Real frameworks through the real proxy: what holds between them directly (`direct.rs`) holds here.
#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "../../support/process.rs"]
mod process;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use peers::grpc;
use peers::thrift::{Client, Failed, Framing, REFUSED, Server, UNWELL};
use process::{Tidegate, eventually, free, listener, service};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// A proxy with a port for the service `echo` at this address, and a port where calls name their service.
struct Proxied {
    proxy: Tidegate,
    fixed: SocketAddr,
    named: SocketAddr,
}

fn proxied(to: SocketAddr) -> Proxied {
    let (fixed, named) = (free(), free());
    let many = format!("[[listener]]\nname = \"many\"\nlisten = \"{named}\"\n");
    let config = listener("echo", fixed, "echo") + &many + &service("echo", &[to], "");
    let proxy = Tidegate::start(&config);
    Proxied {
        proxy,
        fixed,
        named,
    }
}

impl Proxied {
    fn outcome(&self, outcome: &str) -> u64 {
        self.proxy
            .count("tidegate_calls_total", &[("outcome", outcome)])
    }
}

#[tokio::test]
async fn volo_talks_to_volo_in_every_framing() {
    let server = Server::start().unwrap();
    let through = proxied(server.address());
    for framing in Framing::ALL {
        let client = Client::new("echo", through.fixed, framing, PATIENCE);
        assert_eq!(client.echo("hi").await.unwrap(), "hi", "{framing:?}");
        assert_eq!(client.echo("").await.unwrap(), "");
        assert_eq!(client.slow("late", 20).await.unwrap(), "late");
        client.ping().await.unwrap();
        let refused = Failed::Refused(REFUSED, "why".into());
        assert_eq!(client.fail("why").await, Err(refused));
        let unwell = Failed::Exception(6, "the handler is unwell".into());
        assert_eq!(client.echo(UNWELL).await, Err(unwell));
        for size in [300_000, 3_000_000] {
            let large = "x".repeat(size);
            assert_eq!(client.echo(&large).await.unwrap(), large, "{framing:?}");
        }
        client.notify("psst").await.unwrap();
    }
    eventually("the oneway calls arrive", || server.oneways() == 4);
    assert_eq!(server.calls(), 4 * 9, "each call once");
    eventually("all are counted", || through.outcome("ok") == 4 * 7);
    assert_eq!(through.outcome("business_error"), 4);
    assert_eq!(through.outcome("exception"), 4);
}

#[tokio::test]
async fn many_volo_clients_at_once_get_each_its_own_answers() {
    let server = Server::start().unwrap();
    let through = proxied(server.address());
    let mut callers = tokio::task::JoinSet::new();
    for at in 0..32 {
        let client = Client::new("echo", through.fixed, Framing::ALL[at % 4], PATIENCE);
        callers.spawn(async move {
            for call in 0..20 {
                let text = format!("{at}/{call}");
                assert_eq!(client.echo(&text).await.unwrap(), text);
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.calls(), 32 * 20);
}

/// volo's multiplexing client does not set TTHeader's flag for answers in any order, so it gets them in order; Kitex's
/// sets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volo_multiplexes_through_it() {
    for server in [
        Server::start().unwrap(),
        Server::start_multiplexed().unwrap(),
    ] {
        let through = proxied(server.address());
        let client = Client::multiplexed("echo", through.fixed, PATIENCE);
        let mut callers = tokio::task::JoinSet::new();
        for at in 0..8 {
            let client = client.clone();
            callers.spawn(async move {
                for call in 0..20 {
                    let text = format!("{at}/{call}");
                    assert_eq!(client.slow(&text, call % 3).await.unwrap(), text);
                }
            });
        }
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        let unwell = Failed::Exception(6, "the handler is unwell".into());
        assert_eq!(client.echo(UNWELL).await, Err(unwell));
        assert_eq!(server.calls(), 8 * 20 + 1);
        let accepted = through
            .proxy
            .count("tidegate_client_connections_total", &[("listener", "echo")]);
        assert_eq!(accepted, 1, "all on one connection");
    }
}

#[tokio::test]
async fn a_volo_client_names_its_service_with_ttheader_and_is_told_where_it_does_not() {
    let server = Server::start().unwrap();
    let through = proxied(server.address());
    for framing in [Framing::TtHeader, Framing::TtHeaderFramed] {
        let client = Client::new("echo", through.named, framing, PATIENCE);
        assert_eq!(client.echo("hi").await.unwrap(), "hi", "{framing:?}");
    }
    let stranger = Client::new("nobody", through.named, Framing::TtHeader, PATIENCE);
    let told = stranger.echo("hi").await;
    assert!(
        matches!(&told, Err(Failed::Exception(_, said)) if said.contains("nobody")),
        "{told:?}"
    );
    for framing in [Framing::Framed, Framing::Buffered] {
        let client = Client::new("echo", through.named, framing, PATIENCE);
        let told = client.echo("hi").await;
        let why = "WithMetaHandler(transmeta.ClientTTHeaderHandler)";
        assert!(
            matches!(&told, Err(Failed::Exception(_, said)) if said.contains(why)),
            "{told:?}"
        );
    }
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn a_volo_client_with_a_timeout_is_answered_before_it() {
    let server = Server::start().unwrap();
    let through = proxied(server.address());
    let timeout = Some(Duration::from_millis(400));
    let client = Client::new("echo", through.fixed, Framing::TtHeaderFramed, timeout);
    client.ping().await.unwrap();
    let told = client.slow("late", 2_000).await;
    let named = |said: &str| {
        said.contains("the caller's deadline 400ms") && said.contains(&server.address().to_string())
    };
    assert!(
        matches!(&told, Err(Failed::Exception(6, said)) if named(said)),
        "{told:?}"
    );
    assert_eq!(
        client.echo("hi").await.unwrap(),
        "hi",
        "the connection goes on"
    );
    assert_eq!(through.outcome("deadline"), 1);
}

#[tokio::test]
async fn a_volo_client_is_told_that_nobody_is_there() {
    let nobody = free();
    let through = proxied(nobody);
    for framing in Framing::ALL {
        let client = Client::new("echo", through.fixed, framing, PATIENCE);
        let told = client.echo("hi").await;
        let named =
            |said: &str| said.contains("cannot connect to") && said.contains(&nobody.to_string());
        assert!(
            matches!(&told, Err(Failed::Exception(6, said)) if named(said)),
            "{framing:?}: {told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_relayed_unary_and_streaming() {
    let server = grpc::Server::start().await.unwrap();
    let through = proxied(server.address());
    let mut client = grpc::Client::connect(through.fixed).await.unwrap();
    for _ in 0..20 {
        assert_eq!(client.echo("hi").await.unwrap(), "hi");
    }
    assert_eq!(
        client.missing().await.unwrap_err().code(),
        tonic::Code::Unimplemented
    );
    let texts: Vec<_> = (0..50)
        .map(|at| grpc::Text {
            text: Bytes::from(vec![at; 20_000]),
        })
        .collect();
    let back = client
        .chat(tokio_stream::iter(texts.clone()))
        .await
        .unwrap();
    assert_eq!(back, texts);
    through.proxy.logged(&["WARN", "HTTP/2", "relayed"]);
    let bytes = |direction| {
        through
            .proxy
            .count("tidegate_relay_bytes_total", &[("direction", direction)])
    };
    eventually("bytes are counted both ways", || {
        bytes("up") > 1_000_000 && bytes("down") > 1_000_000
    });

    // Where each call names its own service, HTTP/2 has no way to: it is closed, and the log says why.
    if let Ok(mut lost) = grpc::Client::connect(through.named).await {
        assert!(lost.echo("hi").await.is_err());
    }
    through.proxy.logged(&["WARN", "HTTP/2", "is closed"]);
}
