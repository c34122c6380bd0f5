//! Instances that swallow what they are sent: connects that are never answered, calls that are never read.

use std::net::SocketAddr;

use futures_util::future::join_all;
use scripted::{Act, Framing, OnAccept, Options, Server};
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

use crate::support::proxy::{Setup, eventually, ms};

/// A port whose queue of connections is full: further connects get no answer at all, as from a host that is gone.
pub(crate) struct BlackHole {
    pub(crate) at: SocketAddr,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let at = listener.local_addr().unwrap().as_socket().unwrap();
        let queued = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.connect(&at.into());
                socket
            })
            .collect();
        Self {
            at,
            _listener: listener,
            _queued: queued,
        }
    }
}

#[tokio::test]
async fn a_black_hole_among_three_costs_a_stagger_and_is_found_down() {
    let hole = BlackHole::new();
    let (a, b) = (
        Server::start(Act::Echo).await.unwrap(),
        Server::start(Act::Echo).await.unwrap(),
    );
    let proxy = Setup::new("hole", &[hole.at, a.address(), b.address()])
        .policy("connect_timeout = \"400ms\"\nconnect_stagger = \"60ms\"")
        .start();
    let is_down = || proxy.endpoint(hole.at)["state"] == "down";
    let mut calls = 0;
    // One in three tries it, until it is down.
    while calls < 20 || (!is_down() && calls < 500) {
        proxy.caller(Framing::Framed).await.echo("x").await;
        calls += 1;
    }
    eventually("down", is_down).await;
    proxy.counted("ok", calls).await;
    assert_eq!(proxy.ended(), calls);
    let outage = proxy.endpoint(hole.at)["state_why"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(outage.contains("connect_timeout"), "{outage}");
}

#[tokio::test]
async fn a_lone_black_hole_is_answered_at_connect_timeout_and_named() {
    let hole = BlackHole::new();
    let proxy = Setup::new("lone-hole", &[hole.at])
        .policy("connect_timeout = \"150ms\"\nconnect_stagger = \"50ms\"")
        .start();
    let said = proxy.caller(Framing::TtHeader).await.fails("x").await;
    let expected = format!(
        "tidegate: cannot connect to lone-hole: 1 of 1 endpoints down, last {} timed out (P02); see tidegate doctor \
         lone-hole; called Echo",
        hole.at
    );
    assert_eq!(said, expected);
    proxy.counted("connect_timeout", 1).await;
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_call_connects_is_gone() {
    let hole = BlackHole::new();
    let proxy = Setup::new("gone-connecting", &[hole.at])
        .policy("connect_timeout = \"20s\"\nconnect_stagger = \"10s\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Echo", "x").await;
    tokio::time::sleep(ms(50)).await;
    drop(caller);
    proxy.counted("client_gone", 1).await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_still_connects() {
    let hole = BlackHole::new();
    let proxy = Setup::new("late-connecting", &[hole.at])
        .policy("connect_timeout = \"20s\"\nconnect_stagger = \"10s\"\ndeadline = \"100ms\"")
        .start();
    let said = proxy.caller(Framing::Buffered).await.fails("x").await;
    let expected = "tidegate: no answer from late-connecting within deadline 100ms: still connecting, try 1 of 1, \
                    phase connect; called Echo";
    assert_eq!(said, expected);
    proxy.counted("deadline", 1).await;
}

/// Default policy, callers that hang up on their own: one of three instances takes connections and never answers.
#[tokio::test]
async fn an_instance_that_never_answers_gets_nearly_no_calls_though_every_caller_hangs_up() {
    let hole = Options::always(Act::Echo)
        .on_accept(OnAccept::Ignore)
        .start()
        .await
        .unwrap();
    let (a, b) = (
        Server::start(Act::Delay(ms(2))).await.unwrap(),
        Server::start(Act::Delay(ms(2))).await.unwrap(),
    );
    let proxy = Setup::new("mute", &[hole.address(), a.address(), b.address()]).start();
    let round = || async {
        let calls = (0..8).map(|_| async {
            for _ in 0..25 {
                let mut caller = proxy.caller(Framing::Framed).await;
                let _ = timeout(ms(250), caller.call("Echo", "x")).await;
            }
        });
        join_all(calls).await;
    };
    round().await;
    eventually("ended", || proxy.ended() == 200).await;
    let before = proxy.outcome("client_gone");
    round().await;
    eventually("ended", || proxy.ended() == 400).await;
    let later = proxy.outcome("client_gone") - before;
    assert!(
        later <= 10,
        "{before} of the first 200 calls, then {later} of 200, found no answer"
    );
}
