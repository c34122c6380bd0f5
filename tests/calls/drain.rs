//! The gentle end: every call that was taken in is answered, clients are told, connections end with a FIN.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use scripted::{Act, Answer, Call, Framing, Header, Options, Server, body};
use tokio::time::sleep;

use crate::support::proxy::{Caller, Proxy, Setup, eventually, ms, soon};

/// `Slow` takes its time.
fn slow(by: u64) -> impl Fn(&Call) -> Act + Send + Sync {
    move |call| match call.message.method.as_str() {
        "Slow" => Act::Delay(ms(by)),
        _ => Act::Echo,
    }
}

/// Drains in the background, from the next moment on.
fn drain(proxy: &Proxy) -> tokio::task::JoinHandle<usize> {
    let app = proxy.app.clone();
    tokio::spawn(async move { app.drain().await })
}

#[tokio::test]
async fn calls_in_flight_are_answered_and_told_and_their_connections_end() {
    let server = Options::script(slow(250)).start().await.unwrap();
    let proxy = Setup::new("drain", &[server.address()]).start();
    let mut callers = Vec::new();
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        caller.send("Slow", "x").await;
        callers.push((framing, caller));
    }
    let mut idle = proxy.caller(Framing::Framed).await;
    idle.echo("x").await;
    eventually("in flight", || server.calls() == 5).await;
    let drained = drain(&proxy);
    idle.ends().await;
    for (framing, mut caller) in callers {
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(Answer::of(&answer).unwrap(), Answer::Text("x".into()));
        let told = framing.has_header().then_some("1");
        assert_eq!(
            answer.header.get_string("crrst").as_deref(),
            told,
            "{framing:?}"
        );
        caller.ends().await;
    }
    assert_eq!(soon(drained).await.unwrap(), 0, "none was cut");
    assert!(
        tokio::net::TcpStream::connect(proxy.addr).await.is_err(),
        "nobody listens any more"
    );
    proxy.counted("ok", 5).await;
}

#[tokio::test]
async fn no_call_is_lost_that_was_taken_in_under_load() {
    let server = Server::start(Act::Delay(ms(3))).await.unwrap();
    let proxy = Setup::new("drain-load", &[server.address()]).start();
    let (sent, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..16usize)
        .map(|n| {
            let (addr, sent, answered) = (proxy.addr, sent.clone(), answered.clone());
            tokio::spawn(async move {
                let mut caller = Caller::connect(addr, Framing::ALL[n % 4]).await;
                loop {
                    sent.fetch_add(1, Relaxed);
                    match caller.call("Echo", "x").await {
                        Ok(answer) => assert_eq!(answer, Answer::Text("x".into())),
                        Err(_) => return,
                    }
                    answered.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    sleep(ms(150)).await;
    assert_eq!(soon(drain(&proxy)).await.unwrap(), 0);
    for caller in callers {
        soon(caller).await.unwrap();
    }
    // Each call that reached an instance was answered. A last one of each caller may have met the end of its connection.
    let (sent, answered) = (sent.load(Relaxed), answered.load(Relaxed));
    assert_eq!(answered, server.calls());
    assert_eq!(answered + 16, sent);
    proxy.counted("ok", answered).await;
    assert_eq!(proxy.ended(), answered);
}

#[tokio::test]
async fn pipelined_calls_that_were_read_are_all_answered() {
    let server = Options::script(slow(200)).start().await.unwrap();
    let proxy = Setup::new("drain-pipe", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    let mut bytes = Vec::new();
    for method in ["Slow", "Echo", "Echo", "Echo"] {
        bytes.extend_from_slice(&caller.0.next(method, body::text(1, "x")).encode());
    }
    caller.0.send_bytes(&bytes).await.unwrap();
    eventually("in flight", || server.calls() == 1).await;
    let drained = drain(&proxy);
    for n in 1..=4 {
        assert_eq!(caller.next().await.unwrap().unwrap().seqid, n);
    }
    caller.ends().await;
    assert_eq!(soon(drained).await.unwrap(), 0);
}

#[tokio::test]
async fn a_mux_callers_calls_are_answered_before_its_connection_ends() {
    let server = Options::script(slow(200)).start().await.unwrap();
    let proxy = Setup::new("drain-mux", &[server.address()])
        .listener("max_in_flight = 2")
        .start();
    let header = Header::default().out_of_order();
    let mut caller = proxy.caller_with(Framing::TtHeaderFramed, header).await;
    let mut bytes = Vec::new();
    for _ in 0..6 {
        bytes.extend_from_slice(&caller.0.next("Slow", body::text(1, "x")).encode());
    }
    caller.0.send_bytes(&bytes).await.unwrap();
    eventually("in flight", || server.calls() == 2).await;
    let drained = drain(&proxy);
    let mut seqids = Vec::new();
    while let Some(answer) = caller.next().await.unwrap() {
        assert_ne!(
            answer.id(),
            0,
            "a frame of seqid 0 makes a mux client crash"
        );
        seqids.push(answer.id());
    }
    seqids.sort_unstable();
    assert_eq!(seqids, [1, 2, 3, 4, 5, 6]);
    assert_eq!(soon(drained).await.unwrap(), 0);
}

#[tokio::test]
async fn a_call_whose_first_byte_was_read_is_waited_for() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("drain-half", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let bytes = caller.0.next("Echo", body::text(1, "x")).encode();
    caller.0.send_bytes(&bytes[..20]).await.unwrap();
    sleep(ms(50)).await;
    let drained = drain(&proxy);
    sleep(ms(50)).await;
    caller.0.send_bytes(&bytes[20..]).await.unwrap();
    assert_eq!(caller.next().await.unwrap().unwrap().seqid, 1);
    caller.ends().await;
    assert_eq!(soon(drained).await.unwrap(), 0);
}

#[tokio::test]
async fn listeners_stay_open_while_calls_come_until_drain_delay() {
    let server = Server::start(Act::Echo).await.unwrap();
    let mut setup = Setup::new("drain-delay", &[server.address()]);
    setup.runtime = "drain_delay = \"400ms\"".into();
    let proxy = setup.start();
    let done = Arc::new(AtomicBool::new(false));
    let finished = done.clone();
    let app = proxy.app.clone();
    let drained = tokio::spawn(async move {
        let cut = app.drain().await;
        finished.store(true, Relaxed);
        cut
    });
    sleep(ms(100)).await;
    assert!(proxy.app.is_draining() && !done.load(Relaxed));
    // An application that stops beside it still calls.
    proxy.still_serves().await;
    assert_eq!(soon(drained).await.unwrap(), 0);
}

#[tokio::test]
async fn what_does_not_end_within_drain_timeout_is_cut_and_counted() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("drain-cut", &[server.address()])
        .runtime("drain_timeout = \"150ms\"")
        .policy("read_deadline = \"60s\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Echo", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    assert_eq!(soon(drain(&proxy)).await.unwrap(), 1);
}
