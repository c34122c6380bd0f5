//! Connections that their server closed while they were idle, and calls that meet one all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use scripted::{Act, Answer, Call, Framing, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::support::proxy::{Caller, Setup, eventually, ms, soon};

#[tokio::test]
async fn a_server_that_closes_idle_connections_costs_no_call() {
    let server = Options::always(Act::Echo)
        .close_idle_after(ms(40))
        .start()
        .await
        .unwrap();
    let proxy = Setup::new("stale-idle", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..15 {
        caller.echo("x").await;
        eventually("closed", || server.seen().open == 0).await;
    }
    proxy.counted("ok", 15).await;
    assert_eq!((proxy.ended(), server.calls()), (15, 15));
    let found = proxy.of("tidegate_stale_connections_total", "found", "before_use");
    assert!(found >= 10, "found {found} before use");
}

#[tokio::test]
async fn idle_timeout_closes_pooled_connections_before_the_server_does() {
    let server = Options::always(Act::Echo)
        .close_idle_after(ms(2_000))
        .start()
        .await
        .unwrap();
    let proxy = Setup::new("idle-timeout", &[server.address()])
        .policy("idle_timeout = \"100ms\"")
        .start();
    proxy.caller(Framing::Framed).await.echo("x").await;
    eventually("closed by us", || server.seen().open == 0).await;
    assert_eq!(proxy.pooled(server.address()), 0);
    proxy.still_serves().await;
}

/// A server that answers one call on each connection and then, once the next call is on its way, closes without having
/// read it.
///
/// `acknowledged`: it takes so long that this host has acknowledged the call (at once, or with the delayed ACK's 40 ms).
async fn closes_under_the_call(acknowledged: Duration) -> (std::net::SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let answered = Arc::new(AtomicU64::new(0));
    let count = answered.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut buf = vec![0; 4096];
                let n = stream.read(&mut buf).await.unwrap_or(0);
                let Ok((call, _)) = scripted::Message::decode(&buf[..n]) else {
                    return;
                };
                let body = scripted::body::echo(&call.body).unwrap();
                let reply = call.answer(scripted::wire::kind::REPLY, body).encode();
                stream.write_all(&reply).await.unwrap();
                count.fetch_add(1, Relaxed);
                // The next call is in this host's buffer, acknowledged and unread, when the connection is closed.
                let _ = stream.peek(&mut [0]).await;
                sleep(acknowledged).await;
            });
        }
    });
    (at, answered)
}

#[tokio::test]
async fn a_call_that_the_peers_host_acknowledged_is_never_sent_again() {
    let (at, answered) = closes_under_the_call(ms(150)).await;
    let proxy = Setup::new("stale-acked", &[at])
        .policy("resend_unacknowledged = true")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.echo("first").await;
    let said = caller.fails("second").await;
    assert!(
        said.contains("closed the connection without an answer"),
        "{said}"
    );
    assert_eq!(answered.load(Relaxed), 1);
    proxy.counted("stale_connection", 1).await;
    assert_eq!(
        proxy.of("tidegate_stale_connections_total", "found", "in_use"),
        1
    );
    proxy.still_serves().await;
}

#[tokio::test]
async fn an_idempotent_call_that_meets_a_dead_connection_is_sent_again_on_a_fresh_one() {
    let (at, answered) = closes_under_the_call(ms(0)).await;
    let proxy = Setup::new("stale-idem", &[at])
        .policy("idempotent = true")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..10 {
        caller.echo("x").await;
    }
    assert_eq!(answered.load(Relaxed), 10);
    proxy.counted("ok", 10).await;
    assert_eq!(proxy.ended(), 10);
    assert_eq!(
        proxy.tries("stale_connection"),
        proxy.of("tidegate_stale_connections_total", "found", "in_use")
    );
}

/// Callers in step with the close: each calls just when the server closes its idle connection.
#[tokio::test]
async fn callers_in_step_with_the_close_lose_no_call_that_was_not_acknowledged() {
    let idle = ms(30);
    let server = Options::script(|_: &Call| Act::Echo)
        .close_idle_after(idle)
        .start()
        .await
        .unwrap();
    let proxy = Setup::new("in-step", &[server.address()])
        .policy("resend_unacknowledged = true")
        .start();
    let calls = 12 * 25;
    let callers: Vec<_> = (0..12u64)
        .map(|n| {
            let addr = proxy.addr;
            tokio::spawn(async move {
                let mut caller = Caller::connect(addr, Framing::Framed).await;
                let mut lost = 0;
                for i in 0..25u64 {
                    match caller.call("Echo", "x").await.unwrap() {
                        Answer::Text(text) => assert_eq!(text, "x"),
                        Answer::Exception(6, said) => {
                            assert!(said.contains("without an answer"), "{said}");
                            lost += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                    // Around the close: from 1.5 ms before it to 1.5 ms after it.
                    let off = (n * 25 + i) % 31;
                    sleep(idle - ms(2) + Duration::from_micros(off * 100)).await;
                }
                lost
            })
        })
        .collect();
    let mut lost = 0;
    for caller in callers {
        lost += soon(caller).await.unwrap();
    }
    // What was lost had been acknowledged: each is a stale connection that the policy may not send again.
    eventually("all ended", || proxy.ended() == calls).await;
    assert_eq!(proxy.outcome("stale_connection"), lost);
    assert_eq!(proxy.outcome("ok"), calls - lost);
    assert!(lost <= calls / 20, "{lost} of {calls}");
}

#[tokio::test]
async fn a_pool_full_of_dead_connections_costs_no_call_and_no_try() {
    let script = |call: &Call| match call.message.method.as_str() {
        "Slow" => Act::Delay(ms(150)),
        _ => Act::Echo,
    };
    let at = crate::support::free();
    let first = Options::script(script).listen(at).start().await.unwrap();
    let proxy = Setup::new("dead-pool", &[at]).start();
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut caller = proxy.caller(Framing::Framed).await;
        caller.send("Slow", "x").await;
        callers.push(caller);
    }
    for caller in &mut callers {
        caller.next().await.unwrap().unwrap();
    }
    eventually("pooled", || proxy.pooled(at) == 20).await;
    drop(first);
    let _second = soon(async {
        loop {
            match Options::script(script).listen(at).start().await {
                Ok(server) => return server,
                Err(_) => sleep(ms(2)).await,
            }
        }
    })
    .await;
    sleep(ms(20)).await;
    for caller in &mut callers {
        caller.echo("x").await;
    }
    proxy.counted("ok", 40).await;
    assert_eq!(proxy.ended(), 40);
}
