//! One call, as it is kept and shown. What it said or was answered is not among it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::timeline::{Mark, PastTry, Tries};
use crate::outcome::{Failed, Limit, Outcome};

/// Bytes of a method's name that are kept, and of a service's that a call names.
const NAME: usize = 64;
/// Bytes of an explanation that are kept.
const TEXT: usize = 300;

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When its first byte came in.
    pub when: SystemTime,
    /// When it ended, on the clock that ages go by.
    pub ended: Instant,
    /// From its first byte to its answer's last one.
    pub total: Duration,
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// Whom it came from; `None` over a unix socket.
    pub caller: Option<SocketAddr>,
    /// What of its head is kept; `None` where none was read.
    pub head: Option<Said>,
    /// How it ended.
    pub outcome: Outcome,
    /// What its caller was told; `None` where that was the instance's own reply.
    pub failed: Option<Failed>,
    /// The deadline that held for it.
    pub deadline: Option<Limit>,
    /// Bytes of its frame, and of its answer.
    pub bytes: (u64, u64),
    /// When its frame was complete.
    pub complete: Mark,
    /// Its tries.
    pub tries: Tries,
}

/// What is kept of a call's head.
#[derive(Clone, Debug)]
pub struct Said {
    /// The method.
    pub method: Arc<str>,
    /// The service that it named, where it has none; see [`short`].
    pub service: Option<Box<str>>,
    /// The message's sequence number.
    pub seqid: i32,
    /// [`Framing::label`](crate::frame::Framing::label).
    pub framing: &'static str,
}

impl Entry {
    /// Without what would make it too large to keep.
    pub(super) fn bounded(mut self) -> Self {
        let long = |it: &Failed| it.detail.as_ref().is_some_and(|said| said.len() > TEXT);
        if let Some(failed) = self.failed.take_if(|it| long(it)) {
            let said = failed.detail.as_deref().unwrap_or_default();
            let said: Box<str> = cut(said, TEXT).into();
            self.failed = Some(failed.because(said));
        }
        self
    }

    /// As JSON; `service` is whom its explanation speaks of, unless it named another one.
    pub fn show(&self, service: &str) -> Value {
        let since_epoch = self.when.duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = self.head.as_ref();
        let named = head.and_then(|it| it.service.as_deref());
        let method = head.map(|it| cut(&it.method, NAME));
        let text = self.failed.as_ref().map(|failed| {
            let other = named.filter(|_| failed.endpoint.is_none());
            let text = failed.explain(other.unwrap_or(service), method.unwrap_or("nothing"));
            cut(&text, TEXT).to_owned()
        });
        json!({
            "when": micros(since_epoch),
            "listener": &*self.listener,
            "caller": self.caller.map_or_else(|| "unix".to_owned(), |addr| addr.to_string()),
            "method": method,
            "named": named,
            "framing": head.map(|it| it.framing),
            "seqid": head.map(|it| it.seqid),
            "outcome": self.outcome.label(),
            "text": text,
            "deadline": self.deadline.and_then(deadline),
            "request_bytes": self.bytes.0,
            "reply_bytes": self.bytes.1,
            "queued": self.complete.seconds(),
            "total": micros(self.total),
            "tries": self.tries.kept.iter().map(PastTry::show).collect::<Vec<_>>(),
            "tries_left_out": self.tries.left_out,
        })
    }
}

impl PastTry {
    fn show(&self) -> Value {
        let marks = &self.marks;
        let (began, ended) = (marks.connect.0.seconds(), marks.connect.1.seconds());
        json!({
            "endpoint": self.endpoint.as_deref(),
            "connection": if began.is_some() { "fresh" } else { "pooled" },
            "outcome": self.outcome.label(),
            "picked": marks.picked.seconds(),
            "connect": began.map(|began| json!({ "began": began, "ended": ended })),
            "written": marks.written.seconds(),
            "first_byte": marks.first_byte.seconds(),
            "last_byte": marks.last_byte.seconds(),
            "ended": marks.ended.seconds(),
        })
    }
}

fn deadline(limit: Limit) -> Option<Value> {
    let Limit::Time(key, span) = limit else {
        return None;
    };
    let by = match key {
        "deadline" => "policy",
        _ => "caller",
    };
    Some(json!({ "seconds": micros(span), "by": by }))
}

/// Seconds, to the microsecond: what is finer is noise.
fn micros(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e6
}

/// A name that came with a call, as much of it as is kept.
pub fn short(name: &str) -> &str {
    cut(name, NAME)
}

/// The first bytes of it, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
