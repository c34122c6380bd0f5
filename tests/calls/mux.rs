//! Callers with several calls in flight on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use scripted::wire::kind;
use scripted::{
    Act, Answer, Call, Framing, Gate, Header, Message, MuxClient, Options, Server, body,
};
use tokio::time::sleep;

use crate::orphans::LONG;
use crate::support::proxy::{Caller, Proxy, Setup, eventually, ms, soon};

const FRAMINGS: [Framing; 2] = [Framing::TtHeader, Framing::TtHeaderFramed];

async fn mux(proxy: &Proxy, framing: Framing) -> Arc<MuxClient> {
    Arc::new(soon(MuxClient::connect(proxy.addr, framing)).await.unwrap())
}

/// A caller that writes mux calls by hand.
async fn by_hand(proxy: &Proxy) -> Caller {
    let header = Header::default().out_of_order();
    proxy.caller_with(Framing::TtHeaderFramed, header).await
}

/// Delays each call by the milliseconds that its text says.
fn as_told(call: &Call) -> Act {
    let text = body::field(&call.message.body, 1).unwrap().unwrap();
    Act::Delay(ms(text.as_text().unwrap().parse().unwrap_or(0)))
}

#[tokio::test]
async fn many_calls_in_flight_each_get_their_own_answer() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("mux-many", &[server.address()]).start();
    for framing in FRAMINGS {
        let client = mux(&proxy, framing).await;
        let calls: Vec<_> = (0..100)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move { (n, client.call("Echo", &n.to_string()).await) })
            })
            .collect();
        for call in calls {
            let (n, answer) = soon(call).await.unwrap();
            assert_eq!(answer.unwrap(), Answer::Text(n.to_string()));
        }
    }
    proxy.counted("ok", 200).await;
}

#[tokio::test]
async fn answers_go_out_in_the_order_in_which_they_come() {
    let server = Options::script(as_told).start().await.unwrap();
    let proxy = Setup::new("mux-order", &[server.address()]).start();
    let mut caller = by_hand(&proxy).await;
    let mut sent = Vec::new();
    for delay in ["300", "150", "0"] {
        sent.push(caller.send("Echo", delay).await.seqid);
    }
    let mut answered = Vec::new();
    for _ in 0..3 {
        answered.push(caller.next().await.unwrap().unwrap().id());
    }
    sent.reverse();
    assert_eq!(answered, sent);
}

#[tokio::test]
async fn no_more_than_max_in_flight_run_at_once() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    // Its own count of calls that are seen and not answered yet: each is answered 30 ms after it is seen.
    let script = |_: &Call| {
        let now = RUNNING.fetch_add(1, SeqCst) + 1;
        MOST.fetch_max(now, SeqCst);
        tokio::spawn(async {
            sleep(ms(20)).await;
            RUNNING.fetch_sub(1, SeqCst);
        });
        Act::Delay(ms(30))
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("mux-bound", &[server.address()])
        .listener("max_in_flight = 4")
        .start();
    let client = mux(&proxy, Framing::TtHeader).await;
    let calls = (0..40).map(|_| client.call("Echo", "x"));
    for answer in soon(futures_util::future::join_all(calls)).await {
        assert_eq!(answer.unwrap(), Answer::Text("x".into()));
    }
    assert_eq!(MOST.load(SeqCst), 4, "as many as allowed, and no more");
    assert_eq!(server.seen().connections, 4);
}

#[tokio::test]
async fn a_caller_that_leaves_with_calls_in_flight_gets_one_outcome_for_each() {
    let gate = Gate::closed();
    let server = Server::start(Act::Gate(gate.clone())).await.unwrap();
    let proxy = Setup::new("mux-leaves", &[server.address()])
        .policy(LONG)
        .start();
    let mut caller = by_hand(&proxy).await;
    for _ in 0..7 {
        caller.send("Echo", "x").await;
    }
    eventually("in flight", || server.calls() == 7).await;
    drop(caller);
    proxy.counted("client_gone", 7).await;
    gate.open();
    assert_eq!(proxy.ended(), 7);
    // Handlers that nobody waits for finish; their connections are used again.
    eventually("pooled", || proxy.pooled(server.address()) == 7).await;
    assert_eq!(server.seen().left, 0);
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_calls_wait_for_an_endpoint_gets_an_outcome_for_each() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("mux-queue", &[server.address()])
        .policy("max_endpoint_calls = 1")
        .start();
    let mut caller = by_hand(&proxy).await;
    for _ in 0..5 {
        caller.send("Echo", "x").await;
    }
    eventually("one in flight", || server.calls() == 1).await;
    drop(caller);
    proxy.counted("client_gone", 5).await;
    assert_eq!(server.calls(), 1, "those that waited were never sent");
}

#[tokio::test]
async fn a_oneway_call_of_a_mux_caller_is_delivered_and_not_answered() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("mux-oneway", &[server.address()]).start();
    let mut caller = by_hand(&proxy).await;
    caller.0.oneway("Notify", "psst").await.unwrap();
    let call = caller.send("Echo", "x").await;
    assert_eq!(caller.next().await.unwrap().unwrap().id(), call.seqid);
    eventually("delivered", || server.calls() == 2).await;
    proxy.counted("ok", 2).await;
}

#[tokio::test]
async fn a_reply_under_another_header_seqid_becomes_an_exception_under_the_right_one() {
    let server = Server::start(Act::WrongHeaderSeqid).await.unwrap();
    let proxy = Setup::new("mux-seqid", &[server.address()]).start();
    let mut caller = by_hand(&proxy).await;
    let call = caller.send("Echo", "x").await;
    let answer = caller.next().await.unwrap().unwrap();
    assert_eq!((answer.id(), answer.seqid), (call.seqid, call.seqid));
    let Answer::Exception(6, text) = Answer::of(&answer).unwrap() else {
        panic!("{answer:?}")
    };
    assert!(text.contains("sent no proper reply"), "{text}");
    proxy.counted("bad_reply", 1).await;
}

#[tokio::test]
async fn one_call_that_fails_leaves_the_others_alone() {
    let script = |call: &Call| match call.message.method.as_str() {
        "Die" => Act::Close,
        _ => Act::Delay(ms(100)),
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("mux-fails", &[server.address()]).start();
    let client = mux(&proxy, Framing::TtHeaderFramed).await;
    let calls = (0..20).map(|n| {
        let client = client.clone();
        async move {
            let method = if n % 4 == 0 { "Die" } else { "Echo" };
            (n, client.call(method, "x").await.unwrap())
        }
    });
    for (n, answer) in soon(futures_util::future::join_all(calls)).await {
        match answer {
            Answer::Exception(6, text) => assert!(n % 4 == 0, "call {n}: {text}"),
            answer => assert_eq!((n % 4 != 0, answer), (true, Answer::Text("x".into()))),
        }
    }
}

#[tokio::test]
async fn a_large_call_in_the_midst_of_others_is_carried_whole() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("mux-large", &[server.address()]).start();
    let client = mux(&proxy, Framing::TtHeaderFramed).await;
    let large = "l".repeat(3 << 20);
    let small = (0..10).map(|n| {
        let client = client.clone();
        async move { client.call("Echo", &n.to_string()).await.unwrap() }
    });
    let (answer, small) = soon(async {
        tokio::join!(
            client.call("Echo", &large),
            futures_util::future::join_all(small)
        )
    })
    .await;
    assert!(answer.unwrap() == Answer::Text(large));
    for (n, answer) in small.into_iter().enumerate() {
        assert_eq!(answer, Answer::Text(n.to_string()));
    }
}

#[tokio::test]
async fn a_large_call_that_fails_is_answered_and_the_connection_ends_after_the_others_answers() {
    let slow = Server::start(Act::Delay(ms(200))).await.unwrap();
    let proxy = Setup::new("mux-cut", &[slow.address()])
        .listener("frame_timeout = \"100ms\"")
        .start();
    let mut caller = by_hand(&proxy).await;
    let small = caller.send("Echo", "x").await;
    eventually("in flight", || slow.calls() == 1).await;
    let large = caller.0.next("Echo", body::text(1, &"l".repeat(3 << 20)));
    let bytes = large.encode();
    caller.0.send_bytes(&bytes[..2 << 20]).await.unwrap();
    let mut answered: Vec<Message> = Vec::new();
    while let Some(answer) = caller.next().await.unwrap() {
        assert!(matches!(answer.kind, kind::REPLY | kind::EXCEPTION));
        answered.push(answer);
    }
    assert_eq!(answered.len(), 1, "the small one's: {answered:?}");
    assert_eq!(answered[0].id(), small.seqid);
    proxy.counted("ok", 1).await;
    proxy.counted("bad_frame", 1).await;
    proxy.still_serves().await;
}
