//! A call of a method that cannot exist: whoever speaks Thrift answers it, with an exception.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::reach::once;
use super::recognise::{printable, recognise};
use super::{Called, Connect, NO_SUCH_METHOD, Spoke, Way};
use crate::frame::{Decoder, Head, Kind, Limits, Payload, Progress, Side, empty_call, in_ttheader};
use crate::platform::Stream;

const SEQID: i32 = 1;
/// So much of an answer is read: an exception's text stands in front.
const MOST: usize = 4096;

/// What is learned from the calls.
pub(super) enum Learned {
    /// What became of them.
    Called(Called),
    /// What came back was no Thrift.
    Foreign(Spoke),
    /// Nothing: this host could not send one.
    Nothing,
}

/// How one call ended.
enum End {
    Answered(Duration, String),
    Foreign(Spoke),
    Silent,
    Closed,
    Unsent,
}

/// Calls, in one framing after another until one is answered.
pub(super) async fn call(way: &Way<'_>) -> Learned {
    let framed = empty_call(NO_SUCH_METHOD, SEQID);
    let framings = [
        framed.clone(),
        in_ttheader(&framed, SEQID),
        framed.slice(size_of::<u32>()..),
    ];
    let mut was_silent = false;
    for call in framings {
        match one(way, &call).await {
            End::Answered(took, text) => return Learned::Called(Called::Answered(took, text)),
            End::Foreign(spoke) => return Learned::Foreign(spoke),
            End::Unsent => return Learned::Nothing,
            End::Silent => was_silent = true,
            End::Closed => {}
        }
    }
    Learned::Called(match was_silent {
        true => Called::Silent(way.plan.answer),
        false => Called::Closed,
    })
}

/// One call on a connection of its own.
async fn one(way: &Way<'_>, call: &Bytes) -> End {
    let mut reached = match once(way).await {
        Ok(reached) => reached,
        Err(Connect::Ours(_)) => return End::Unsent,
        // It was reached a moment ago: its queue of connections is full, since it accepts none.
        Err(Connect::TimedOut(_)) => return End::Silent,
        Err(_) => return End::Closed,
    };
    let since = Instant::now();
    let mut answer = BytesMut::new();
    let asked = timeout_at(
        since + way.plan.answer,
        ask(&mut reached.conn.stream, call, &mut answer),
    );
    let asked = asked.await;
    let took = since.elapsed();
    if !answer.is_empty() {
        return judge(&answer, took);
    }
    match asked {
        Ok(_) => End::Closed,
        Err(_) => End::Silent,
    }
}

/// Sends the call, and reads an answer: a whole one, or as much of it as comes or counts.
async fn ask(stream: &mut Stream, call: &[u8], answer: &mut BytesMut) -> io::Result<()> {
    stream.write_all(call).await?;
    let mut decoder = decoder();
    while answer.len() < MOST && stream.read_buf(answer).await? > 0 {
        if !matches!(decoder.decode(answer), Ok(Progress::More { .. })) {
            break;
        }
    }
    Ok(())
}

fn decoder() -> Decoder {
    // Its size is no fault here: what is read of it is bounded.
    let limits = Limits {
        max_frame: usize::MAX,
        ..Limits::default()
    };
    Decoder::new(limits, Side::Replies)
}

fn judge(answer: &[u8], took: Duration) -> End {
    if let Some(spoke) = recognise(answer) {
        return End::Foreign(spoke);
    }
    let head = match decoder().decode(answer) {
        Ok(Progress::Whole { head, .. }) => Some(head),
        Ok(Progress::More { head, .. }) => head,
        Err(_) => None,
    };
    End::Answered(took, words(head.as_ref(), answer))
}

/// What is said of an answer that is a reply, in the place of an exception's text.
pub const NO_EXCEPTION: &str = "a reply, and no exception";
/// What is said of an answer of which no more is known than whose protocol it is.
pub const ONLY_BYTES: &str = "bytes in one of Thrift's protocols";

/// What an answer says, in one line.
fn words(head: Option<&Head>, answer: &[u8]) -> String {
    match head {
        None => ONLY_BYTES.into(),
        Some(head) if head.kind != Kind::Exception => NO_EXCEPTION.into(),
        Some(head) => match text(head, answer) {
            Some(text) if !text.is_empty() => printable(text),
            _ => "an exception without a text".into(),
        },
    }
}

/// The text of a Thrift exception, where that comes first, as it does everywhere.
fn text<'a>(head: &Head, answer: &'a [u8]) -> Option<&'a [u8]> {
    if head.framing.payload == Payload::Protobuf {
        return None;
    }
    let rest = answer.get(head.body as usize..)?;
    let rest = rest.strip_prefix(&[11, 0, 1])?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    Some(&rest[..len.min(rest.len())])
}
