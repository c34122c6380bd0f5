use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use scripted::{Act, Options, Server};
use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn servers_that_speak_first_are_heard() {
    let greetings: [(&'static [u8], Spoke); 4] = [
        (
            b"SSH-2.0-OpenSSH_9.6p1\r\n",
            Spoke::Ssh("SSH-2.0-OpenSSH_9.6p1".into()),
        ),
        (
            b"I\0\0\0\n8.0.36\0\x0b\0\0\0\x1f\x05\x18}*\x1a\x12l\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0",
            Spoke::MySql,
        ),
        (b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", Spoke::Http2),
        (
            b"220 mail.example.com ESMTP\r\n",
            Spoke::Other("220 mail.example.com ESMTP".into()),
        ),
    ];
    for (greeting, expected) in greetings {
        let peer = Peer::greeting(greeting).await;
        let said = |seen: &Seen| seen.spoke.as_ref() == Some(&expected);
        let seen = eventually(&peer.at.into(), &calling(), said).await;
        assert!(seen.works() && seen.call.is_none(), "{seen:?}");
    }
}

#[tokio::test]
async fn servers_that_wait_are_heard_when_they_are_sent_seven_bytes() {
    let answers: [(&'static [u8], Spoke); 3] = [
        (
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            Spoke::Http("HTTP/1.1 400 Bad Request".into()),
        ),
        (b"\x15\x03\x03\0\x02\x02\x16", Spoke::Tls),
        (b"-NOAUTH Authentication required.\r\n", Spoke::Redis),
    ];
    for (answer, expected) in answers {
        let peer = Peer::answering(answer).await;
        let said = |seen: &Seen| seen.spoke.as_ref() == Some(&expected);
        eventually(&peer.at.into(), &Plan::default(), said).await;
    }
}

#[tokio::test]
async fn a_greeting_in_pieces_is_put_together() {
    let peer = Peer::start(async |mut stream| {
        for byte in b"SSH-2.0-x\r\n" {
            let _ = stream.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let said = |seen: &Seen| seen.spoke == Some(Spoke::Ssh("SSH-2.0-x".into()));
    eventually(&peer.at.into(), &Plan::default(), said).await;
}

#[tokio::test]
async fn a_server_that_never_ends_its_speech_ends_no_probe_late() {
    let peer = Peer::start(
        async |mut stream| {
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        },
    )
    .await;
    let plan = Plan {
        idle: Some(Duration::from_secs(3600)),
        ..calling()
    };
    let seen = peer.seen(&plan).await;
    assert_eq!(seen.spoke, Some(Spoke::Other("x".repeat(80))));
    assert_eq!(seen.idle, None);
}

#[tokio::test]
async fn a_thrift_server_says_nothing_and_answers_the_call() {
    let server = Server::start(Act::Exception(1, "no such\nmethod".into()))
        .await
        .unwrap();
    let seen = probe(&server.address().into(), &Plan::default()).await;
    assert!(seen.works(), "{seen:?}");
    assert_eq!((&seen.spoke, &seen.call), (&None, &None));
    assert_eq!(server.calls(), 0, "without `call` none is sent");

    let seen = probe(&server.address().into(), &calling()).await;
    assert_eq!(seen.spoke, None);
    assert!(
        matches!(&seen.call, Some(Called::Answered(_, text)) if text == "no such\\nmethod"),
        "{seen:?}"
    );
    assert_eq!(server.seen().methods[NO_SUCH_METHOD], 1);
}

#[tokio::test]
async fn a_reply_is_an_answer_too() {
    let server = Server::start(Act::Big(100_000)).await.unwrap();
    let seen = probe(&server.address().into(), &calling()).await;
    assert!(
        matches!(&seen.call, Some(Called::Answered(_, text)) if text == NO_EXCEPTION),
        "{seen:?}"
    );
}

#[tokio::test]
async fn framings_are_tried_until_one_is_answered() {
    for (answered, calls) in [
        (scripted::Framing::Framed, 1),
        (scripted::Framing::TtHeaderFramed, 2),
        (scripted::Framing::Buffered, 3),
    ] {
        let script = move |call: &scripted::Call| match call.message.framing == answered {
            true => Act::Exception(1, "unknown".into()),
            false => Act::Close,
        };
        let server = Options::script(script).start().await.unwrap();
        let seen = probe(&server.address().into(), &calling()).await;
        assert!(
            matches!(&seen.call, Some(Called::Answered(_, text)) if text == "unknown"),
            "{answered:?}: {seen:?}"
        );
        assert_eq!(server.calls(), calls, "{answered:?}");
    }
}

#[tokio::test]
async fn silence_and_closing_are_told_apart() {
    let answer = Duration::from_millis(100);
    let plan = Plan {
        answer,
        ..calling()
    };
    let silent = Server::start(Act::Silence).await.unwrap();
    let seen = probe(&silent.address().into(), &plan).await;
    assert_eq!(seen.call, Some(Called::Silent(answer)));
    assert_eq!(silent.calls(), 3, "every framing is tried");

    for act in [Act::Close, Act::Reset] {
        let server = Server::start(act).await.unwrap();
        let seen = probe(&server.address().into(), &calling()).await;
        assert_eq!(seen.call, Some(Called::Closed));
    }
}

#[tokio::test]
async fn who_answers_a_call_with_something_else_speaks_something_else() {
    // PostgreSQL closes on the seven bytes and answers a framed call.
    let peer = Peer::start(async |mut stream| {
        let mut first = [0; 64];
        if stream.read(&mut first).await.is_ok_and(|n| n > 8) {
            let said = b"E\0\0\0\x8dSFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol";
            let _ = stream.write_all(said).await;
        }
    })
    .await;
    let seen = peer.seen(&calling()).await;
    assert!(
        matches!(&seen.spoke, Some(Spoke::Other(text)) if text.contains("SFATAL")),
        "{seen:?}"
    );
    assert_eq!(seen.call, None);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closes_is_timed() {
    let idle = Duration::from_millis(400);
    let options = Options::always(Act::Echo).close_idle_after(idle);
    let server = options.start().await.unwrap();
    let plan = Plan {
        idle: Some(Duration::from_secs(60)),
        ..Plan::default()
    };
    let seen = probe(&server.address().into(), &plan).await;
    assert!(seen.works(), "{seen:?}");
    assert!(
        matches!(seen.idle, Some(Idle::Closed(after)) if after >= idle / 2),
        "{seen:?}"
    );
}

#[tokio::test]
async fn one_that_stays_is_held_for_as_long_as_the_plan_says() {
    let server = Server::start(Act::Echo).await.unwrap();
    let hold = Duration::from_millis(300);
    let plan = Plan {
        idle: Some(hold),
        ..Plan::default()
    };
    let since = Instant::now();
    let seen = probe(&server.address().into(), &plan).await;
    assert_eq!(seen.idle, Some(Idle::Open(hold)));
    assert!(since.elapsed() >= hold);
}

#[tokio::test]
async fn no_more_than_two_connections_are_open_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let most = Arc::new(AtomicUsize::new(0));
    let total = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let (seen_most, seen_total, stop) = (most.clone(), total.clone(), done.clone());
    let accepting = std::thread::spawn(move || {
        let mut open: Vec<std::net::TcpStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            if stop.load(Relaxed) {
                return;
            }
            stream.set_nonblocking(true).unwrap();
            open.push(stream);
            // The end of one that was closed is there before the next one is.
            open.retain_mut(is_open);
            seen_most.fetch_max(open.len(), Relaxed);
            seen_total.fetch_add(1, Relaxed);
        }
    });
    let plan = Plan {
        answer: Duration::from_millis(100),
        idle: Some(Duration::from_millis(500)),
        ..calling()
    };
    let seen = probe(&at.into(), &plan).await;
    done.store(true, Relaxed);
    drop(std::net::TcpStream::connect(at));
    accepting.join().unwrap();
    assert_eq!(seen.call, Some(Called::Silent(plan.answer)));
    assert!(total.load(Relaxed) >= 5, "{total:?}");
    assert!(most.load(Relaxed) <= 2, "{most:?}");
}

fn is_open(stream: &mut std::net::TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 512]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
