//! Large calls and replies, streamed; frames over the limit; and who dies in their midst.

use scripted::wire::kind;
use scripted::{Act, Answer, Call, Framing, Header, Message, Options, Server, body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::support::proxy::{Proxy, Setup, eventually, metric, ms, soon};

const MIB: usize = 1 << 20;

/// A call whose encoded frame has exactly `len` bytes.
fn of_len(framing: Framing, len: usize) -> Message {
    let call = |text: usize| Message::call(framing, "Echo", 7, body::text(1, &"x".repeat(text)));
    let empty = call(0).encode().len();
    call(len - empty)
}

/// Sends a frame of this length and gets the same back.
async fn there_and_back(proxy: &Proxy, framing: Framing, len: usize) {
    let mut raw = proxy.raw().await;
    let call = of_len(framing, len);
    let bytes = call.encode();
    assert_eq!(bytes.len(), len);
    raw.write(&bytes).await;
    let mut expected = call.answer(kind::REPLY, body::echo(&call.body).unwrap());
    expected.header = call.header.clone();
    let expected = expected.encode();
    let got = raw.read(expected.len()).await;
    assert!(got == expected, "{framing:?} {len}: the reply differs");
}

#[tokio::test]
async fn frames_around_hold_and_far_above_it_pass_in_every_framing() {
    let server = Server::start(Act::Echo).await.unwrap();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["sz-f", "sz-b", "sz-t", "sz-tf"])
    {
        let proxy = Setup::new(name, &[server.address()]).start();
        let sizes = [MIB - 1, MIB, MIB + 1, 5 * MIB, 15 * MIB];
        let before = server.seen().connections;
        for len in sizes {
            there_and_back(&proxy, framing, len).await;
        }
        proxy.counted("ok", 5).await;
        assert_eq!(
            server.seen().connections,
            before + 1,
            "{framing:?}: its connection is used again"
        );
        let bytes = |direction| {
            let labels = [("service", name), ("direction", direction)];
            metric("tidegate_call_bytes_total", &labels)
        };
        let total = sizes.iter().sum::<usize>() as u64;
        assert_eq!(bytes("request"), total, "{framing:?}");
        assert_eq!(bytes("reply"), total, "{framing:?}");
    }
}

#[tokio::test]
async fn a_large_call_finds_another_endpoint_where_one_refuses() {
    let server = Server::start(Act::Echo).await.unwrap();
    let dead = crate::support::free();
    let proxy = Setup::new("sz-elsewhere", &[dead, server.address()]).start();
    for _ in 0..5 {
        there_and_back(&proxy, Framing::Framed, 3 * MIB).await;
    }
    proxy.counted("ok", 5).await;
}

#[tokio::test]
async fn calls_follow_each_other_on_a_connection_whatever_their_size() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("sz-mixed", &[server.address()]).start();
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        for len in [10, 2 * MIB, 20, 40_000, MIB, 3 * MIB, 0] {
            caller.echo(&"y".repeat(len)).await;
        }
    }
    // Pipelined behind a streamed one.
    let mut caller = proxy.caller(Framing::Buffered).await;
    let large = caller.0.next("Echo", body::text(1, &"z".repeat(2 * MIB)));
    let small = caller.0.next("Echo", body::text(1, "after"));
    let bytes = [large.encode(), small.encode()].concat();
    caller.0.send_bytes(&bytes).await.unwrap();
    for call in [large, small] {
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(
            (answer.seqid, answer.body.len()),
            (call.seqid, call.body.len())
        );
    }
}

#[tokio::test]
async fn a_frame_over_max_frame_is_answered_and_its_connection_closed() {
    let server = Server::start(Act::Echo).await.unwrap();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["mf-f", "mf-b", "mf-t", "mf-tf"])
    {
        let proxy = Setup::new(name, &[server.address()])
            .runtime("max_frame = \"64KiB\"")
            .start();
        there_and_back(&proxy, framing, 64 * 1024).await;
        let mut caller = proxy.caller(framing).await;
        caller
            .0
            .send_bytes(&of_len(framing, 64 * 1024 + 1).encode())
            .await
            .unwrap();
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(answer.seqid, 7);
        let Answer::Exception(6, said) = Answer::of(&answer).unwrap() else {
            panic!("{answer:?}")
        };
        assert!(
            said.starts_with("tidegate: the call is too large, limit max_frame 65536"),
            "{said}"
        );
        if framing.has_header() {
            assert_eq!(answer.header.get_string("crrst").as_deref(), Some("1"));
        }
        caller.ends().await;
        eventually("counted", || proxy.unrouted("frame_too_large") == 1).await;
        assert_eq!(server.seen().broken, 0);
        proxy.still_serves().await;
    }
}

#[tokio::test]
async fn a_buffered_call_that_grows_over_max_frame_while_it_streams_is_answered_too() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("mf-late", &[server.address()])
        .runtime("max_frame = \"64KiB\"\nhold = \"4KiB\"")
        .start();
    // Two strings: that the second is too much shows only when its length has come.
    let (first, second) = ("1".repeat(40_000), "2".repeat(40_000));
    let one = body::text(1, &first);
    let two = [&one[..one.len() - 1], &body::text(2, &second)].concat();
    let call = Message::call(Framing::Buffered, "Echo", 7, two.into()).encode();
    let mut caller = proxy.caller(Framing::Buffered).await;
    caller.0.send_bytes(&call[..30_000]).await.unwrap();
    eventually("it streams", || server.seen().open == 1).await;
    caller.0.send_bytes(&call[30_000..]).await.unwrap();
    let answer = Answer::of(&caller.next().await.unwrap().unwrap()).unwrap();
    let Answer::Exception(6, said) = answer else {
        panic!("{answer:?}")
    };
    assert!(said.contains("too large"), "{said}");
    caller.ends().await;
    proxy.counted("frame_too_large", 1).await;
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_reply_over_max_frame_is_a_bad_reply() {
    let server = Server::start(Act::Big(100_000)).await.unwrap();
    let proxy = Setup::new("mf-reply", &[server.address()])
        .runtime("max_frame = \"64KiB\"")
        .start();
    for framing in [Framing::Framed, Framing::TtHeader, Framing::TtHeaderFramed] {
        let said = proxy.caller(framing).await.fails("x").await;
        assert!(said.contains("sent no proper reply"), "{said}");
    }
    proxy.counted("bad_reply", 3).await;
}

#[tokio::test]
async fn an_upstream_that_dies_in_a_large_reply_closes_its_caller_with_nothing_appended() {
    let server = Server::start(Act::Half).await.unwrap();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["rc-f", "rc-b", "rc-t", "rc-tf"])
    {
        let proxy = Setup::new(name, &[server.address()]).start();
        let mut raw = proxy.raw().await;
        let call = of_len(framing, 4 * MIB);
        raw.write(&call.encode()).await;
        let reply = call.answer(kind::REPLY, body::echo(&call.body).unwrap());
        let mut reply = reply;
        reply.header = Header::default();
        let expected = reply.encode();
        let got = raw.read_to_end().await;
        assert!(
            got.len() >= MIB && got.len() < expected.len(),
            "{framing:?}: {} bytes",
            got.len()
        );
        assert!(
            got == expected[..got.len()],
            "{framing:?}: it is a part of the reply and nothing else"
        );
        proxy.counted("reply_cut", 1).await;
        assert_eq!((proxy.ended(), proxy.tries("reply_cut")), (1, 1));
        eventually("closed", || proxy.closed("reply_cut") == 1).await;
    }
}

#[tokio::test]
async fn an_upstream_that_dies_in_a_large_call_is_answered() {
    for (act, name) in [
        (scripted::OnAccept::Close, "up-close"),
        (scripted::OnAccept::Reset, "up-reset"),
    ] {
        let server = Options::always(Act::Echo)
            .on_accept(act)
            .start()
            .await
            .unwrap();
        let proxy = Setup::new(name, &[server.address()]).start();
        let call = of_len(Framing::TtHeaderFramed, 8 * MIB).encode();
        let (mut read, mut write) = proxy.raw().await.0.into_split();
        let mut answer = Vec::new();
        let _ = soon(async { tokio::join!(read.read_to_end(&mut answer), write.write_all(&call)) })
            .await;
        let (answer, _) = Message::decode(&answer).unwrap();
        let Answer::Exception(6, said) = Answer::of(&answer).unwrap() else {
            panic!("{answer:?}")
        };
        // A reset may already meet the connect.
        let told = [
            "closed the connection without an answer",
            "cannot connect to",
        ];
        assert!(told.iter().any(|told| said.contains(told)), "{said}");
        eventually("it has an outcome", || proxy.ended() == 1).await;
        let outcomes = ["closed_early", "reset", "unreachable"].map(|o| proxy.outcome(o));
        assert_eq!(outcomes.iter().sum::<u64>(), 1, "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_closed_after_client_write_timeout() {
    let server = Options::script(|call: &Call| match call.message.method.as_str() {
        "Large" => Act::Big(14 * MIB),
        _ => Act::Echo,
    })
    .start()
    .await
    .unwrap();
    let proxy = Setup::new("unread", &[server.address()])
        .listener("client_write_timeout = \"150ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.send("Large", "x").await;
    proxy.counted("client_gone", 1).await;
    eventually("closed", || proxy.closed("write_timeout") == 1).await;
    assert_eq!(proxy.endpoint(server.address())["calls_in_flight"], 0);
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_slow_reader_is_neither_cut_nor_held_against_the_endpoint() {
    let server = Server::start(Act::Big(12 * MIB)).await.unwrap();
    let proxy = Setup::new("slow-reader", &[server.address()])
        .policy("read_deadline = \"800ms\"")
        .start();
    let mut raw = proxy.raw().await;
    let call = of_len(Framing::Framed, 100);
    raw.write(&call.encode()).await;
    let expected = call
        .answer(kind::REPLY, body::text(0, &"b".repeat(12 * MIB)))
        .encode();
    let (mut got, mut n) = (0, 0);
    while got < expected.len() {
        // Longer than the deadline, which must stand still meanwhile.
        if n == 8 || n == 24 {
            sleep(ms(1_000)).await;
        }
        n += 1;
        let step = (256 * 1024).min(expected.len() - got);
        assert!(raw.read(step).await == expected[got..got + step]);
        got += step;
    }
    proxy.counted("ok", 1).await;
    assert_eq!(proxy.tries("read_deadline"), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_midst_of_a_large_reply_is_gone() {
    let server = Server::start(Act::Big(12 * MIB)).await.unwrap();
    let proxy = Setup::new("leaves-reply", &[server.address()]).start();
    let mut raw = proxy.raw().await;
    raw.write(&of_len(Framing::Framed, 100).encode()).await;
    raw.read(MIB).await;
    drop(raw);
    proxy.counted("client_gone", 1).await;
    assert_eq!(proxy.endpoint(server.address())["calls_in_flight"], 0);
    eventually("closed", || server.seen().open == 0).await;
}
