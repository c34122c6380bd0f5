//! One health check of an instance: a connection of its own, and for `kind = "call"` one call on it.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::connect::connect;
use crate::config::{CheckKind, HealthCheck};
use crate::frame::{self, Decoder, Limits, Progress, Side};
use crate::health::Missed;
use crate::outcome::{Outcome, human};
use crate::platform::Stream;
use crate::registry::DialAddr;

#[cfg(test)]
mod tests;

/// Of a reply no more is read: who has sent so much of one speaks.
const ENOUGH: usize = 64 * 1024;

/// Checks the instance at `addr`, within `rules.timeout`.
///
/// # Errors
///
/// Why it did not pass. `overloaded` is this host's own doing, and says nothing of the instance.
pub async fn check(addr: &DialAddr, rules: &HealthCheck) -> Result<(), Missed> {
    let until = Instant::now() + rules.timeout;
    let mut conn = connect(addr, rules.timeout).await.map_err(|error| Missed {
        outcome: error.outcome,
        detail: error.detail,
    })?;
    if rules.kind != CheckKind::Call {
        return Ok(());
    }
    match timeout_at(until, ask(&mut conn.stream, &rules.method)).await {
        Ok(answered) => answered,
        Err(_) => Err(missed(
            Outcome::ReadDeadline,
            format!("no answer within {}", human(rules.timeout)),
        )),
    }
}

/// Calls the method. Any reply will do, an exception too: an instance that does not know the method speaks (P10).
async fn ask(stream: &mut Stream, method: &str) -> Result<(), Missed> {
    let seqid = fastrand::i32(1..);
    let call = frame::empty_call(method, seqid);
    stream
        .write_all(&call)
        .await
        .map_err(|error| lost(&error, 0))?;
    // Its size is no fault here: what is read of it is bounded.
    let limits = Limits {
        max_frame: usize::MAX,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits, Side::Replies);
    let mut buf = BytesMut::new();
    loop {
        match stream.read_buf(&mut buf).await {
            Ok(0) => return Err(lost(&io::ErrorKind::UnexpectedEof.into(), buf.len())),
            Ok(_) => {}
            Err(error) => return Err(lost(&error, buf.len())),
        }
        let head = match decoder.decode(&buf).map_err(bad)? {
            Progress::Whole { head, .. } => head,
            Progress::More { .. } if buf.len() < ENOUGH => continue,
            Progress::More {
                head: Some(head), ..
            } => head,
            Progress::More { .. } => return Err(bad("64 KiB without a reply's head")),
        };
        if head.seqid == seqid {
            return Ok(());
        }
        return Err(bad(format!("seqid {} in answer to {seqid}", head.seqid)));
    }
}

/// The connection ended, after so many bytes of an answer.
fn lost(error: &io::Error, read: usize) -> Missed {
    let closed = error.kind() == io::ErrorKind::UnexpectedEof;
    match (closed, read) {
        (true, 0) => missed(Outcome::ClosedEarly, "closed without an answer"),
        (true, _) => missed(Outcome::ReplyCut, "closed inside its answer"),
        (false, 0) => missed(Outcome::Reset, format!("no answer: {error}")),
        (false, _) => missed(Outcome::ReplyCut, format!("inside its answer: {error}")),
    }
}

fn bad(what: impl std::fmt::Display) -> Missed {
    missed(Outcome::BadReply, format!("no proper answer: {what}"))
}

fn missed(outcome: Outcome, detail: impl Into<Box<str>>) -> Missed {
    Missed {
        outcome,
        detail: detail.into(),
    }
}
