//! Calls whose caller left, or was answered at its deadline: the handler finishes, and its connection is used again.

use scripted::header::key::RPC_TIMEOUT;
use scripted::{Act, Call, Framing, Gate, Header, Options, Server};
use tokio::time::sleep;

use crate::limits::slow;
use crate::support::proxy::{Setup, eventually, ms};

/// Orphans that are waited for as long as a test needs, and connections that are kept.
pub(crate) const LONG: &str = "read_deadline = \"60s\"\nidle_timeout = \"60s\"";

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_handler_and_its_connection_is_used_again() {
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["or-f", "or-b", "or-t", "or-tf"])
    {
        let gate = Gate::closed();
        let server = Options::script(slow(&gate)).start().await.unwrap();
        let proxy = Setup::new(name, &[server.address()]).policy(LONG).start();
        let mut caller = proxy.caller(framing).await;
        caller.send("Slow", "x").await;
        eventually("in flight", || server.calls() == 1).await;
        drop(caller);
        proxy.counted("client_gone", 1).await;
        assert_eq!(
            proxy.endpoint(server.address())["calls_in_flight"],
            1,
            "it keeps its place"
        );
        gate.open();
        eventually("back in the pool", || proxy.pooled(server.address()) == 1).await;
        eventually("its place is free", || {
            proxy.endpoint(server.address())["calls_in_flight"] == 0
        })
        .await;
        let connections = server.seen().connections;
        proxy.still_serves().await;
        assert_eq!(
            server.seen().connections,
            connections,
            "{framing:?}: the same connection"
        );
        assert_eq!(server.seen().left, 0);
    }
}

#[tokio::test]
async fn a_caller_that_resets_its_connection_is_gone_as_well() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("or-reset", &[server.address()])
        .policy(LONG)
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    caller.0.reset().unwrap();
    proxy.counted("client_gone", 1).await;
    gate.open();
    eventually("back in the pool", || proxy.pooled(server.address()) == 1).await;
}

#[tokio::test]
async fn a_call_answered_at_its_callers_deadline_leaves_an_orphan_too() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("or-deadline", &[server.address()])
        .policy(LONG)
        .start();
    let header = Header::default().int(RPC_TIMEOUT, "500");
    let mut caller = proxy.caller_with(Framing::TtHeader, header).await;
    let answer = caller.call("Slow", "x").await.unwrap();
    assert!(
        matches!(answer, scripted::Answer::Exception(6, _)),
        "{answer:?}"
    );
    assert_eq!(proxy.pooled(server.address()), 0);
    gate.open();
    eventually("back in the pool", || proxy.pooled(server.address()) == 1).await;
    assert_eq!((server.seen().connections, server.seen().left), (1, 0));
}

#[tokio::test]
async fn an_orphan_that_is_never_answered_is_closed_at_its_read_deadline() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("or-silent", &[server.address()])
        .policy("read_deadline = \"250ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Echo", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    drop(caller);
    proxy.counted("client_gone", 1).await;
    eventually("closed", || server.seen().open == 0).await;
    let endpoint = proxy.endpoint(server.address());
    assert_eq!(
        (&endpoint["calls_in_flight"], &endpoint["idle_connections"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn an_endpoint_keeps_at_most_64_orphans() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("or-64", &[server.address()])
        .policy(LONG)
        .policy("max_idle = 128")
        .start();
    let mut callers = Vec::new();
    for _ in 0..80 {
        let mut caller = proxy.caller(Framing::Framed).await;
        caller.send("Slow", "x").await;
        callers.push(caller);
    }
    eventually("in flight", || server.calls() == 80).await;
    drop(callers);
    proxy.counted("client_gone", 80).await;
    eventually("the others are closed", || server.seen().open == 64).await;
    assert_eq!(proxy.endpoint(server.address())["calls_in_flight"], 64);
    gate.open();
    eventually("the 64 come back", || proxy.pooled(server.address()) == 64).await;
    assert_eq!(server.seen().left, 16);
}

#[tokio::test]
async fn an_orphans_large_reply_is_read_to_its_end() {
    let script = |call: &Call| match call.message.method.as_str() {
        "Large" => Act::Big(3 << 20),
        "Slow" => Act::Delay(ms(100)),
        _ => Act::Echo,
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("or-large", &[server.address()]).start();
    // The caller leaves as soon as it has sent the call: mostly before the reply began.
    for _ in 0..5 {
        let mut caller = proxy.caller(Framing::Framed).await;
        caller.send("Large", "x").await;
        drop(caller);
    }
    eventually("ended", || proxy.ended() == 5).await;
    sleep(ms(50)).await;
    proxy.still_serves().await;
    eventually("nothing in flight", || {
        proxy.endpoint(server.address())["calls_in_flight"] == 0
    })
    .await;
}
