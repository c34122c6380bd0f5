//! What real Kitex clients and servers sent, replayed through the proxy: each side gets the other's bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate::frame::{Decoder, Head, Limits, Progress, Side, is_control};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::captures::{Capture, captures};
use crate::support::proxy::{Setup, eventually};

/// A server that records bytes, and answers with what it was told once it has as many as it was told.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    got: Vec<u8>,
    want: usize,
    reply: Vec<u8>,
}

impl Recorder {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (recorder, addr) = (Self::default(), listener.local_addr().unwrap());
        let served = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(stream));
            }
        });
        (recorder, addr)
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buf = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut buf).await {
            let reply = {
                let mut recording = self.0.lock();
                recording.got.extend_from_slice(&buf[..n]);
                let whole = recording.got.len() >= recording.want;
                whole.then(|| std::mem::take(&mut recording.reply))
            };
            if let Some(reply) = reply {
                stream.write_all(&reply).await.unwrap();
            }
        }
    }

    fn expect(&self, want: usize, reply: &[u8]) {
        *self.0.lock() = Recording {
            got: Vec::new(),
            want,
            reply: reply.to_vec(),
        };
    }

    fn got(&self) -> Vec<u8> {
        self.0.lock().got.clone()
    }
}

/// The frames of a capture.
fn frames(capture: &Capture) -> Vec<(Head, Vec<u8>)> {
    let mut decoder = Decoder::new(Limits::default(), capture.side);
    let (mut at, mut frames) = (0, Vec::new());
    while at < capture.bytes.len() {
        let Ok(Progress::Whole { head, len }) = decoder.decode(&capture.bytes[at..]) else {
            panic!("{} is not whole", capture.name)
        };
        frames.push((head, capture.bytes[at..at + len].to_vec()));
        at += len;
    }
    frames
}

/// Without the digits of the caller's deadline: they are the one thing that changes.
fn timeless(head: &Head, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(timeout) = head.tt.and_then(|tt| tt.timeout) {
        frame[timeout.span.at()..timeout.span.end()].fill(b'#');
    }
    frame
}

/// A capture's name, its calls and its replies.
type Pair = (&'static str, Vec<(Head, Vec<u8>)>, Vec<(Head, Vec<u8>)>);

/// Calls and their replies, of every pair of captures that has both.
fn pairs() -> Vec<Pair> {
    let carried = |side| {
        captures()
            .iter()
            .filter(move |c| c.carried() && c.side == side)
    };
    carried(Side::Calls)
        .filter_map(|calls| {
            let name = calls.name.strip_suffix(".req").unwrap();
            let replies = carried(Side::Replies).find(|c| c.name == format!("{name}.rep"))?;
            Some((name, frames(calls), frames(replies)))
        })
        .collect()
}

#[tokio::test]
async fn captured_calls_and_replies_pass_byte_for_byte() {
    let (recorder, addr) = Recorder::start().await;
    let proxy = Setup::new("replay", &[addr]).start();
    let mut exchanged = 0;
    for (name, calls, replies) in pairs() {
        let mut raw = proxy.raw().await;
        for (head, frame) in &calls {
            let answers = |(h, f): &&(Head, Vec<u8>)| h.seqid == head.seqid && !is_control(h, f);
            let Some((_, reply)) = replies.iter().find(answers) else {
                continue;
            };
            recorder.expect(frame.len(), reply);
            raw.write(frame).await;
            assert_eq!(raw.read(reply.len()).await, *reply, "{name}: the reply");
            let got = timeless(head, &recorder.got());
            assert_eq!(got, timeless(head, frame), "{name}: the call");
            exchanged += 1;
        }
    }
    assert!(exchanged > 90, "only {exchanged} exchanges");
    eventually("each has an outcome", || proxy.ended() == exchanged).await;
}

#[tokio::test]
async fn captured_oneway_calls_pass_byte_for_byte() {
    let (recorder, addr) = Recorder::start().await;
    let proxy = Setup::new("replay-oneway", &[addr]).start();
    let mut delivered = 0;
    for capture in captures().iter().filter(|c| c.name.ends_with("oneway.req")) {
        for (head, frame) in frames(capture) {
            recorder.expect(frame.len(), &[]);
            let mut raw = proxy.raw().await;
            raw.write(&frame).await;
            drop(raw);
            eventually("delivered", || recorder.got().len() == frame.len()).await;
            assert_eq!(
                timeless(&head, &recorder.got()),
                timeless(&head, &frame),
                "{}",
                capture.name
            );
            delivered += 1;
        }
    }
    assert!(delivered >= 9, "only {delivered} oneway calls");
    proxy.counted("ok", delivered).await;
}
