//! Probes of real frameworks' servers: what they let them see, and that they go on as if nothing had been.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use peers::grpc;
use peers::thrift::{Client, Framing, Server};
use tidegate::probe::{Called, Plan, Seen, Spoke, probe};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

/// What is seen once it is as it should be: on a busy machine an answer may come too late for one probe.
async fn eventually(at: SocketAddr, plan: &Plan, is_it: impl Fn(&Seen) -> bool) {
    let mut seen = probe(&at.into(), plan).await;
    for _ in 0..10 {
        if is_it(&seen) {
            break;
        }
        seen = probe(&at.into(), plan).await;
    }
    assert!(is_it(&seen), "{seen:?}");
}

fn calling() -> Plan {
    Plan {
        answer: Duration::from_secs(5),
        call: true,
        ..Plan::default()
    }
}

fn is_answered(seen: &Seen) -> bool {
    seen.works() && seen.spoke.is_none() && matches!(seen.call, Some(Called::Answered(..)))
}

#[tokio::test]
async fn volo_says_nothing_to_seven_bytes_and_answers_the_next_call() {
    let server = Server::start().unwrap();
    let client = Client::new("echo", server.address(), Framing::Framed, PATIENCE);
    for round in 0..5 {
        let seen = probe(&server.address().into(), &Plan::default()).await;
        assert!(seen.works() && seen.spoke.is_none(), "{seen:?}");
        assert_eq!(client.echo("hi").await.unwrap(), "hi", "{round}");
    }
    assert_eq!(server.calls(), 5, "no handler has seen a probe");
}

#[tokio::test]
async fn volo_answers_a_call_of_a_method_that_it_does_not_know() {
    let server = Server::start().unwrap();
    eventually(server.address(), &calling(), is_answered).await;
    let client = Client::new("echo", server.address(), Framing::Framed, PATIENCE);
    assert_eq!(client.echo("hi").await.unwrap(), "hi");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn volo_answers_it_where_it_multiplexes() {
    let server = Server::start_multiplexed().unwrap();
    eventually(server.address(), &calling(), is_answered).await;
    let client = Client::multiplexed("echo", server.address(), PATIENCE);
    assert_eq!(client.echo("hi").await.unwrap(), "hi");
}

#[tokio::test]
async fn tonic_is_http_2() {
    let server = grpc::Server::start().await.unwrap();
    let is_http2 = |seen: &Seen| seen.spoke == Some(Spoke::Http2);
    eventually(server.address(), &Plan::default(), is_http2).await;
    let mut client = grpc::Client::connect(server.address()).await.unwrap();
    assert_eq!(client.echo("hi").await.unwrap(), "hi");
}
