//! Bytes that are no call: an answer or a close, an outcome that is counted, and no harm done elsewhere.

use scripted::{Act, Answer, Call, Framing, Message, Options, Server, body};
use tokio::time::sleep;

use crate::support::proxy::{Proxy, Setup, eventually, ms};

/// A framed call's bytes with these in place of its struct, and the length made to fit.
fn framed(arguments: &[u8]) -> Vec<u8> {
    Message::call(
        Framing::Framed,
        "Echo",
        1,
        bytes::Bytes::copy_from_slice(arguments),
    )
    .encode()
    .to_vec()
}

/// The bytes must be answered by a close, with nothing sent on and nothing said but that they announce too much.
async fn closed_on(proxy: &Proxy, server: &Server, what: &str, bytes: &[u8]) {
    let (calls, broken) = (server.calls(), server.seen().broken);
    let mut raw = proxy.raw().await;
    raw.try_write(bytes).await;
    let said = raw.read_to_end().await;
    if !said.is_empty() {
        let (said, _) = Message::decode(&said).unwrap();
        let Answer::Exception(6, said) = Answer::of(&said).unwrap() else {
            panic!("{what}: {said:?}")
        };
        assert!(said.contains("too large"), "{what}: {said}");
    }
    assert_eq!(
        (server.calls(), server.seen().broken),
        (calls, broken),
        "{what}"
    );
    proxy.still_serves().await;
}

#[tokio::test]
async fn lengths_that_lie_end_the_connection_and_reach_nobody() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("lies", &[server.address()])
        .listener("frame_timeout = \"100ms\"")
        .start();
    let good = framed(b"\x0b\x00\x01\x00\x00\x00\x02hi\x00");
    let buffered = good[4..].to_vec();
    let header = |bytes: &[u8]| [&[0, 0, 0, 60, 0x10, 0, 0, 0, 0, 0, 0, 1][..], bytes].concat();
    let with = |bytes: &[u8], at: usize, new: [u8; 4]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 4].copy_from_slice(&new);
        bytes
    };
    let lies = [
        (
            "a framed length that is too long",
            with(&good, 0, [0, 0, 0, 200]),
        ),
        (
            "a negative framed length",
            with(&good, 0, [0xff, 0xff, 0xff, 0xff]),
        ),
        ("a name longer than the frame", with(&good, 8, [0, 0, 1, 0])),
        ("a negative name", with(&good, 8, [0xff, 0xff, 0xff, 0xfe])),
        (
            "a buffered string longer than any frame",
            with(&buffered, 19, [0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "a negative buffered string",
            with(&buffered, 19, [0x80, 0, 0, 0]),
        ),
        (
            "a header larger than its frame",
            header(&[0xff, 0xff, 0, 0, 0, 0]),
        ),
        ("a header of no words", header(&[0, 0, 0, 0, 0, 0])),
        (
            "a header with an unknown block",
            header(&[0, 2, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (
            "a header with more infos than it has",
            header(&[0, 2, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0]),
        ),
        (
            "half a frame and then silence",
            good[..good.len() - 3].to_vec(),
        ),
    ];
    for (what, bytes) in &lies {
        closed_on(&proxy, &server, what, bytes).await;
    }
    let bad = || proxy.unrouted("bad_frame") + proxy.unrouted("frame_too_large");
    eventually("each has an outcome", || bad() == lies.len() as u64).await;
}

#[tokio::test]
async fn nesting_without_end_is_refused() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("nested", &[server.address()])
        .listener("frame_timeout = \"100ms\"")
        .start();
    let head = &framed(b"\x00")[4..20];
    let structs = [head, &[12, 0, 1].repeat(20_000)].concat();
    let lists = [head, &[15, 0, 1][..], &[15, 0, 0, 0, 1].repeat(20_000)].concat();
    let maps = [head, &[13, 0, 1][..], &[13, 13, 0, 0, 0, 1].repeat(20_000)].concat();
    let many = [head, &[15, 0, 1, 12, 0x7f, 0xff, 0xff, 0xff][..]].concat();
    for (what, bytes) in [
        ("structs", structs),
        ("lists", lists),
        ("maps", maps),
        ("many", many),
    ] {
        closed_on(&proxy, &server, what, &bytes).await;
    }
}

#[tokio::test]
async fn random_bytes_end_in_a_close() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("random", &[server.address()])
        .listener("frame_timeout = \"60ms\"\ndetect_timeout = \"60ms\"\nprotocol = \"thrift\"")
        .start();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..60usize {
        let mut bytes: Vec<u8> = (0..random.usize(1..3000)).map(|_| random.u8(..)).collect();
        // Half of them begin like a call.
        let begin = match round % 6 {
            0 => framed(b"\x00")[..16].to_vec(),
            1 => framed(b"\x00")[4..20].to_vec(),
            2 => vec![0, 0, 2, 0, 0x10, 0, 0, 0, 0, 0, 0, 1, 0, 8],
            _ => Vec::new(),
        };
        bytes.splice(..0, begin);
        let mut raw = proxy.raw().await;
        raw.try_write(&bytes).await;
        raw.read_to_end().await;
    }
    proxy.still_serves().await;
    eventually("nobody is left", || {
        proxy.app.services()["listeners"][0]["connections"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_drip_is_cut_at_frame_timeout_and_reaches_nobody() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("drips", &[server.address()])
        .listener("frame_timeout = \"150ms\"")
        .start();
    for framing in Framing::ALL {
        let bytes = Message::call(framing, "Echo", 1, body::text(1, &"d".repeat(500))).encode();
        let mut raw = proxy.raw().await;
        for byte in &bytes[..60] {
            raw.try_write(&[*byte]).await;
            sleep(ms(5)).await;
        }
        assert!(raw.read_to_end().await.is_empty(), "{framing:?}");
    }
    eventually("counted", || proxy.unrouted("bad_frame") == 4).await;
    eventually("closed", || proxy.closed("frame_timeout") == 4).await;
    assert_eq!(server.seen().connections, 0);
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_drip_of_a_streamed_call_is_cut_too() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("drips-large", &[server.address()])
        .listener("frame_timeout = \"150ms\"")
        .start();
    let bytes = Message::call(
        Framing::Framed,
        "Echo",
        1,
        body::text(1, &"d".repeat(3 << 20)),
    )
    .encode();
    let mut raw = proxy.raw().await;
    raw.write(&bytes[..2 << 20]).await;
    let dripping = async {
        for byte in &bytes[2 << 20..] {
            raw.try_write(&[*byte]).await;
            if proxy.outcome("bad_frame") == 1 {
                return;
            }
            sleep(ms(10)).await;
        }
    };
    crate::support::proxy::soon(dripping).await;
    assert!(raw.read_to_end().await.is_empty());
    proxy.counted("bad_frame", 1).await;
    eventually("its upstream is closed", || server.seen().open == 0).await;
    assert_eq!(server.calls(), 0);
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_call_that_moves_however_slowly_is_not_cut() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("slow-call", &[server.address()])
        .listener("frame_timeout = \"1s\"")
        .start();
    let framings = [Framing::Framed, Framing::Buffered, Framing::TtHeaderFramed];
    let calls = framings.map(async |framing| {
        let mut caller = proxy.caller(framing).await;
        let call = caller.0.next("Echo", body::text(1, &"s".repeat(1_900_000)));
        // All of it takes longer than that.
        for piece in call.encode().chunks(80_000) {
            caller.0.send_bytes(piece).await.unwrap();
            sleep(ms(50)).await;
        }
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(answer.seqid, call.seqid, "{framing:?}");
    });
    futures_util::future::join_all(calls).await;
    proxy.counted("ok", 3).await;
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_midst_of_a_frame_is_counted_and_reaches_nobody() {
    let server = Options::script(|_: &Call| Act::Echo).start().await.unwrap();
    let proxy = Setup::new("half-gone", &[server.address()]).start();
    let bytes = framed(b"\x0b\x00\x01\x00\x00\x00\x02hi\x00");
    let mut raw = proxy.raw().await;
    raw.write(&bytes[..20]).await;
    sleep(ms(30)).await;
    drop(raw);
    eventually("counted", || proxy.unrouted("client_gone") == 1).await;
    // The same in a streamed call: there an outcome of the service.
    let bytes = Message::call(
        Framing::Framed,
        "Echo",
        1,
        body::text(1, &"d".repeat(3 << 20)),
    )
    .encode();
    let mut raw = proxy.raw().await;
    raw.write(&bytes[..2 << 20]).await;
    sleep(ms(30)).await;
    drop(raw);
    proxy.counted("client_gone", 1).await;
    assert_eq!(server.calls(), 0);
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_silent_connection_is_no_fault_until_client_idle_timeout() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("silent-warmed", &[server.address()])
        .listener("client_idle_timeout = \"1500ms\"\ndetect_timeout = \"50ms\"")
        .start();
    let mut warmed = proxy.caller(Framing::Framed).await;
    sleep(ms(150)).await;
    warmed.echo("still good").await;
    warmed.ends().await;
    eventually("idle", || proxy.closed("idle") == 1).await;
    let mut raw = proxy.raw().await;
    raw.write(b"\x00\x00").await;
    assert!(raw.read_to_end().await.is_empty());
    eventually("detect", || proxy.closed("detect_timeout") == 1).await;
}
