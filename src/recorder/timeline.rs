//! When what happened to a call, in marks that cost a store each; tries that failed are kept on the rare path only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::outcome::{Outcome, Told};

/// Tries kept of one call: the first half of them, and the newest.
const TRIES: usize = 16;

/// An instant of a call, in microseconds after its first byte; at most 71 minutes. Or none, where it was not reached.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark(u32);

impl Mark {
    /// Not reached.
    pub const NONE: Self = Self(0);

    /// So long after the call's first byte.
    #[inline]
    pub fn at(since: Duration) -> Self {
        // One more, so that 0 is free for none.
        let micros = since.as_secs() * 1_000_000 + u64::from(since.subsec_micros());
        Self((micros + 1).min(u64::from(u32::MAX)) as u32)
    }

    /// Seconds after the call's first byte.
    pub fn seconds(self) -> Option<f64> {
        let micros = self.0.checked_sub(1)?;
        Some(f64::from(micros) / 1e6)
    }

    /// This one, or where it was not reached the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::NONE { other } else { self }
    }
}

/// The instants of one try.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The endpoint was picked: the try began.
    pub picked: Mark,
    /// The connect began and ended, where the connection was made for this call.
    pub connect: (Mark, Mark),
    /// The call was written. Only a write that had to wait is timed; any other is done as it begins.
    pub written: Mark,
    /// The reply's first byte was there. Where the reply came in one read, that is its last one, too.
    pub first_byte: Mark,
    /// The reply's last byte was there.
    pub last_byte: Mark,
    /// The try ended.
    pub ended: Mark,
}

/// A try of a call, as it is kept.
#[derive(Clone, Debug)]
pub struct PastTry {
    /// The endpoint's address; `None` if it was removed before anybody asked.
    pub endpoint: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// When what happened.
    pub marks: Marks,
}

/// The tries of a call.
#[derive(Clone, Default, Debug)]
pub struct Tries {
    /// In their order.
    pub kept: SmallVec<[PastTry; 1]>,
    /// How many were left out, after the eighth.
    pub left_out: u32,
    /// Those among both that reached an endpoint and ended.
    ended: u32,
}

impl Tries {
    /// Of a call that expects no reply: what ended well was no reply.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        for one in &mut self.kept {
            one.marks.first_byte = Mark::NONE;
            one.marks.last_byte = Mark::NONE;
        }
        self
    }

    fn push(&mut self, one: PastTry) {
        if self.kept.len() >= TRIES {
            self.kept.remove(TRIES / 2);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.kept.push(one);
    }
}

/// The marks of a call while it runs. They are those of the try under way; a try that fails takes its own along.
#[derive(Default)]
pub struct Timeline {
    received: AtomicU32,
    picked: AtomicU32,
    connect: (AtomicU32, AtomicU32),
    written: AtomicU32,
    first_byte: AtomicU32,
    ended: AtomicU32,
    /// The outcome of the try that ended last.
    outcome: AtomicU8,
    /// The address of the endpoint that answered, where somebody will ask for it.
    answerer: Mutex<Option<Arc<str>>>,
    /// What failed before.
    tries: Mutex<Option<Box<Tries>>>,
}

impl Timeline {
    /// The call's frame was complete.
    #[inline]
    pub fn received(&self, since: Duration) {
        self.received.store(Mark::at(since).0, Relaxed);
    }

    /// A try begins.
    #[inline]
    pub fn begin(&self, since: Duration) {
        self.picked.store(Mark::at(since).0, Relaxed);
        self.ended.store(0, Relaxed);
    }

    /// A connection was made for the try that begins next.
    pub fn connected(&self, began: Duration, ended: Duration) {
        self.connect.0.store(Mark::at(began).0, Relaxed);
        self.connect.1.store(Mark::at(ended).0, Relaxed);
    }

    /// The write of the call has had to wait, and moved on.
    pub fn wrote(&self, since: Duration) {
        self.written.store(Mark::at(since).0, Relaxed);
    }

    /// The first byte of a reply is there, and not the last one.
    pub fn first_byte(&self, since: Duration) {
        self.first_byte.store(Mark::at(since).0, Relaxed);
    }

    /// The try ended with a reply that is passed on.
    #[inline]
    pub fn answered(&self, outcome: Outcome, since: Duration) {
        self.ended.store(Mark::at(since).0, Relaxed);
        self.outcome.store(outcome as u8, Relaxed);
    }

    /// This endpoint has answered, and will be asked for: the call is slow, or the endpoint's number says nothing from
    /// now on, since it is removed.
    #[cold]
    pub fn answered_by(&self, endpoint: &Arc<str>) {
        *self.answerer.lock() = Some(endpoint.clone());
    }

    /// The try at this endpoint failed. `sent` says that the call was fully written.
    #[cold]
    pub fn failed(&self, endpoint: &Arc<str>, outcome: Outcome, since: Duration, sent: bool) {
        let one = PastTry {
            endpoint: Some(endpoint.clone()),
            outcome,
            marks: self.marks(outcome, Mark::at(since), sent),
        };
        self.forget();
        let mut tries = self.tries.lock();
        let tries = tries.get_or_insert_default();
        tries.push(one);
        tries.ended += 1;
    }

    /// A connect to this endpoint failed, or was given up.
    #[cold]
    pub fn unconnected(
        &self,
        endpoint: &Arc<str>,
        outcome: Outcome,
        began: Duration,
        ended: Duration,
    ) {
        let began = Mark::at(began);
        let marks = Marks {
            picked: began,
            connect: (began, Mark::NONE),
            ended: Mark::at(ended),
            ..Marks::default()
        };
        let one = PastTry {
            endpoint: Some(endpoint.clone()),
            outcome,
            marks,
        };
        self.tries.lock().get_or_insert_default().push(one);
    }

    /// Whether a connect or a try has failed that is among it.
    pub fn has_tries(&self) -> bool {
        self.tries.lock().is_some()
    }

    /// When the call's frame was complete.
    pub fn complete(&self) -> Mark {
        load(&self.received)
    }

    /// The tries of a call that ended with `outcome` at `total` after its first byte. `begun` is how many were begun,
    /// `sent` whether the last one was fully written, `name` looks its endpoint up.
    pub fn tries(
        &self,
        outcome: Outcome,
        total: Duration,
        begun: u32,
        sent: bool,
        name: impl FnOnce() -> Option<Arc<str>>,
    ) -> Tries {
        let tries = self.tries.lock().take().map(|it| *it);
        let mut tries = tries.unwrap_or_default();
        if begun > tries.ended {
            let ended = load(&self.ended);
            let answered = Outcome::ALL.get(usize::from(self.outcome.load(Relaxed)));
            let outcome = answered
                .filter(|_| ended != Mark::NONE)
                .map_or(outcome, |it| *it);
            tries.push(PastTry {
                endpoint: self.answerer.lock().take().or_else(name),
                outcome,
                marks: self.marks(outcome, ended.or(Mark::at(total)), sent),
            });
        }
        tries
    }

    fn marks(&self, outcome: Outcome, ended: Mark, sent: bool) -> Marks {
        let replied = outcome.row().told == Told::Reply;
        let only = |is: bool, mark: Mark| if is { mark } else { Mark::NONE };
        let connect = (load(&self.connect.0), load(&self.connect.1));
        let began = connect.1.or(load(&self.picked));
        // An orphan's late reply comes after the call has ended.
        let first = load(&self.first_byte);
        let first = only(first <= ended, first);
        Marks {
            picked: connect.0.or(load(&self.picked)),
            connect,
            written: only(sent, load(&self.written).or(began)),
            first_byte: first.or(only(replied, ended)),
            last_byte: only(replied, ended),
            ended,
        }
    }

    /// The next try has marks of its own.
    fn forget(&self) {
        for mark in [
            &self.connect.0,
            &self.connect.1,
            &self.written,
            &self.first_byte,
        ] {
            mark.store(0, Relaxed);
        }
    }
}

fn load(mark: &AtomicU32) -> Mark {
    Mark(mark.load(Relaxed))
}
