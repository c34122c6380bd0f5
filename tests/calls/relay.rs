//! What is no Thrift: relayed as bytes where the listener has a service, else closed.

use std::net::SocketAddr;

use scripted::{Act, Framing, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::free;
use crate::support::proxy::{Proxy, Setup, eventually, metric, ms, soon};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HTTP1: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server that sends back what it gets, and says `bye` when its peer has finished.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buf = vec![0; 64 * 1024];
                while let Ok(n @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..n]).await.is_err() {
                        return;
                    }
                }
                let _ = stream.write_all(b"bye").await;
            });
        }
    });
    at
}

fn relayed(proxy: &Proxy, direction: &str) -> u64 {
    metric(
        "tidegate_relay_bytes_total",
        &[("listener", proxy.name), ("direction", direction)],
    )
}

fn spoke(proxy: &Proxy, protocol: &str) -> u64 {
    metric(
        "tidegate_protocol_total",
        &[("listener", proxy.name), ("protocol", protocol)],
    )
}

#[tokio::test]
async fn http_is_relayed_to_a_fixed_service_and_a_half_close_is_kept() {
    let at = echo().await;
    let proxy = Setup::new("relay", &[at]).start();
    for (first, protocol) in [(PREFACE, "http2"), (HTTP1, "http1")] {
        let mut raw = proxy.raw().await;
        raw.write(first).await;
        assert_eq!(raw.read(first.len()).await, first);
        raw.write(b"and more").await;
        assert_eq!(raw.read(8).await, b"and more");
        soon(raw.0.shutdown()).await.unwrap();
        assert_eq!(raw.read_to_end().await, b"bye");
        assert_eq!(spoke(&proxy, protocol), 1);
    }
    let up = (PREFACE.len() + HTTP1.len() + 16) as u64;
    eventually("counted", || relayed(&proxy, "down") == up + 6).await;
    assert_eq!(relayed(&proxy, "up"), up);
    eventually("ended", || proxy.closed("client") == 2).await;
    assert_eq!(proxy.endpoint(at)["calls_in_flight"], 0);
}

#[tokio::test]
async fn other_protocols_are_closed_where_no_service_is_fixed_or_thrift_alone_is_taken() {
    let server = Server::start(Act::Echo).await.unwrap();
    let thrift = Setup::new("thrift-only", &[server.address()])
        .listener("protocol = \"thrift\"")
        .start();
    let unnamed = Setup::new("no-relay", &[server.address()])
        .unnamed()
        .start();
    for proxy in [&thrift, &unnamed] {
        for first in [
            PREFACE,
            HTTP1,
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            b"*1\r\n$4\r\nPING\r\n",
        ] {
            let mut raw = proxy.raw().await;
            raw.write(first).await;
            assert!(raw.read_to_end().await.is_empty());
        }
        eventually("closed", || proxy.closed("protocol") == 4).await;
    }
    assert_eq!(server.seen().connections, 0);
    thrift.still_serves().await;
}

#[tokio::test]
async fn an_opaque_listener_relays_thrift_too_and_lets_the_server_speak_first() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("opaque", &[server.address()])
        .listener("protocol = \"opaque\"")
        .start();
    for framing in Framing::ALL {
        proxy.caller(framing).await.echo("x").await;
    }
    assert_eq!((proxy.ended(), spoke(&proxy, "opaque")), (0, 4));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = Setup::new("opaque-first", &[listener.local_addr().unwrap()])
        .listener("protocol = \"opaque\"")
        .start();
    let mut raw = first.raw().await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    stream.write_all(b"220 ready").await.unwrap();
    assert_eq!(raw.read(9).await, b"220 ready");
}

#[tokio::test]
async fn a_relay_connects_elsewhere_where_an_endpoint_refuses() {
    let at = echo().await;
    let dead = [free(), free()];
    let proxy = Setup::new("relay-failover", &[dead[0], dead[1], at]).start();
    for _ in 0..10 {
        let mut raw = proxy.raw().await;
        raw.write(HTTP1).await;
        assert_eq!(raw.read(HTTP1.len()).await, HTTP1);
    }
    let lost = Setup::new("relay-nowhere", &dead).start();
    let mut raw = lost.raw().await;
    raw.write(HTTP1).await;
    assert!(raw.read_to_end().await.is_empty());
    eventually("counted", || lost.closed("no_endpoint") == 1).await;
}

#[tokio::test]
async fn a_relay_ends_when_nothing_moved_for_client_idle_timeout() {
    let at = echo().await;
    let proxy = Setup::new("relay-idle", &[at])
        .listener("client_idle_timeout = \"1s\"")
        .start();
    let mut raw = proxy.raw().await;
    raw.write(HTTP1).await;
    assert_eq!(raw.read(HTTP1.len()).await, HTTP1);
    // It moves now and then, for longer than that.
    for _ in 0..12 {
        tokio::time::sleep(ms(100)).await;
        raw.write(b"x").await;
        assert_eq!(raw.read(1).await, b"x");
    }
    assert!(raw.read_to_end().await.is_empty());
    eventually("idle", || proxy.closed("idle") == 1).await;
}

#[tokio::test]
async fn a_relay_carries_megabytes_both_ways_at_once() {
    let at = echo().await;
    let proxy = Setup::new("relay-large", &[at]).start();
    let mut raw = proxy.raw().await;
    raw.write(HTTP1).await;
    raw.read(HTTP1.len()).await;
    let sent: Vec<u8> = (0..8_000_000u32).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = raw.0.split();
    let mut got = vec![0; sent.len()];
    soon(async { tokio::try_join!(write.write_all(&sent), read.read_exact(&mut got)) })
        .await
        .unwrap();
    assert!(got == sent);
}
