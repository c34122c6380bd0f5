//! The callers: a few connections through the proxy, each with a call every [`EVERY`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::tally::Tally;
use super::wire::{Frames, Speech, call, text};
use crate::frame::{Kind, Side};

/// Connections.
pub(super) const CALLERS: u32 = 8;
/// Between two calls of one connection: 200 calls a second of all of them.
const EVERY: Duration = Duration::from_millis(40);
/// How long a caller waits for its answer: far longer than the proxy lets it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The method that is called.
pub(super) const METHOD: &str = "Where";

/// One caller.
pub(super) struct Caller {
    /// Where the proxy listens.
    pub(super) proxy: SocketAddr,
    pub(super) speech: Speech,
    pub(super) service: &'static str,
    /// The registered addresses: a failure's text names one of them.
    pub(super) known: Vec<SocketAddr>,
    pub(super) tally: Arc<Mutex<Tally>>,
}

impl Caller {
    /// Calls until dropped. `turn` spreads the callers over the interval.
    pub(super) async fn run(self, turn: u32) {
        let mut ticks = interval_at(Instant::now() + EVERY * turn / CALLERS, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut seqid = 0;
        let mut open = None;
        loop {
            ticks.tick().await;
            seqid += 1;
            self.tally.lock().sent += 1;
            let began = Instant::now();
            let answer = timeout(PATIENCE, self.ask(&mut open, seqid)).await;
            let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            self.count(answer, began.elapsed());
        }
    }

    /// One call, on the connection there is, or on a new one. A connection that failed is not used again.
    async fn ask(&self, open: &mut Option<Line>, seqid: i32) -> io::Result<Answer> {
        let mut line = match open.take() {
            Some(line) => line,
            None => Line::open(self.proxy).await?,
        };
        let wait = PATIENCE.as_millis() as u32;
        let call = call(
            self.speech,
            self.service,
            METHOD,
            seqid,
            wait,
            "who answers?",
        );
        line.stream.write_all(&call).await?;
        let reply = line.frames.next(&mut line.stream).await?;
        let (head, frame) = reply.ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.seqid != seqid {
            return Err(io::Error::other("the answer to another call"));
        }
        *open = Some(line);
        let text = text(&head, &frame);
        Ok(match head.kind {
            Kind::Reply => Answer::Reply(text),
            _ => Answer::Exception(text),
        })
    }

    fn count(&self, answer: io::Result<Answer>, took: Duration) {
        let mut tally = self.tally.lock();
        let text = match answer {
            Ok(Answer::Reply(text)) => match text.parse() {
                Ok(by) => return tally.answered(by, took),
                Err(_) => format!("a reply that names no instance: {text:?}"),
            },
            Ok(Answer::Exception(text)) => text,
            Err(error) => format!("the proxy did not answer: {error}"),
        };
        let at = self.known.iter().find(|addr| names(&text, **addr));
        tally.failed(at.copied(), text);
    }
}

/// Whether a text names this address, and not one whose port only begins alike.
fn names(text: &str, addr: SocketAddr) -> bool {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .any(|word| word.trim_end_matches(':') == addr.to_string())
}

/// What a call came to.
enum Answer {
    Reply(String),
    Exception(String),
}

/// A connection to the proxy.
struct Line {
    stream: TcpStream,
    frames: Frames,
}

impl Line {
    async fn open(proxy: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let frames = Frames::new(Side::Replies);
        Ok(Self { stream, frames })
    }
}
