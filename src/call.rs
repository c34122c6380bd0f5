//! What travels down the stack: a call with its [`Target`], its [`Course`], and, once an endpoint is picked, a [`Try`].
//!
//! The stack is generic over the call by the small traits here, so that another protocol can use it later. A layer
//! writes what it decided on the course; the facts that several parties watch while a call runs are its [`Status`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tower::Service;

use crate::cluster::{Cluster, Method};
use crate::config::{CallPolicy, Policy};
use crate::endpoint::{Endpoint, Place};
use crate::metrics::CallCounters;
use crate::outcome::{End, Failed, Outcome, Reach};
use crate::rate::Rates;
use crate::recorder::Timeline;
use crate::upstream::Conn;

mod attributes;

pub use attributes::{Attribute, Attributes};

/// Where a call goes and by which rules: resolved by `route`, shared by all calls of a connection to one method.
pub type Target = Arc<Aim>;

/// What a [`Target`] holds.
pub struct Aim {
    /// The service.
    pub cluster: Arc<Cluster>,
    /// The method's slot.
    pub method: Arc<Method>,
    /// The service's policy.
    pub service: Arc<Policy>,
    /// The method's policy.
    pub policy: CallPolicy,
    /// The limits that hold for its calls by the second.
    pub rates: Rates,
    /// Counters of calls by outcome, for the listener that the call came in by.
    pub counters: Arc<CallCounters>,
    /// The endpoint that the caller itself dialled, where that choice is kept while it works (`sticky_destination`).
    pub chosen: Option<Arc<Endpoint>>,
}

impl Aim {
    /// A place at the endpoint that the caller chose, while it is there, up, and was not tried for this call. A lane,
    /// which says where calls may go at all, goes before the caller's choice.
    #[inline]
    pub fn chosen(&self, tried: &Tried) -> Option<Place> {
        let chosen = self.chosen.as_ref()?;
        let works = chosen.health.is_plain()
            && !chosen.is_removed()
            && !tried.contains(chosen.id)
            && self.service.lanes.is_empty();
        works
            .then(|| chosen.place(self.service.max_endpoint_calls))
            .flatten()
    }
}

/// One call on its way down: cheap to clone, since each try takes a copy.
pub trait Call: Sized + Send + Sync + 'static {
    /// What a call ends in when it is answered.
    type Reply: Answer;
    /// What all tries of the call share.
    type Shared: Shared;

    /// What all tries of the call share.
    fn shared(&self) -> &Self::Shared;
    /// What the layers decided.
    fn course(&self) -> &Course;
    /// For the layers that decide.
    fn course_mut(&mut self) -> &mut Course;
}

/// The part of a call that its tries share.
pub trait Shared: Attributes + Clone + Send + Sync + 'static {
    /// Where it goes.
    fn target(&self) -> &Target;
    /// What is watched while it runs.
    fn status(&self) -> &Status;
    /// When its first byte came in.
    fn arrived(&self) -> Instant;
    /// The deadline that the caller states, counted from `arrived`.
    fn stated(&self) -> Option<Duration>;
    /// Whether an answer is expected.
    fn expects_reply(&self) -> bool;
    /// Whether it says of itself that it is a retry already (Kitex's chain stop).
    fn is_retry(&self) -> bool;
    /// Whether its bytes are still all here, so that it can be sent again.
    fn repeatable(&self) -> bool;
}

/// A reply. A large one is a head and a body that is still coming: the guards of the layers ride in the body then.
pub trait Answer: Send + 'static {
    /// How it ended, as far as is known.
    fn end(&self) -> End;
    /// Whether a body is still to come.
    fn open(&self) -> bool;
    /// Hands a guard to the body, to be settled at its end; dropped uncalled if nobody learns how it ended.
    fn ride(&mut self, rider: Rider);
}

/// A guard that rides in a reply's body.
pub type Rider = Box<dyn FnOnce(End) + Send>;

/// The one bound that every layer writes.
pub trait CallService<C: Call>:
    Service<C, Response = C::Reply, Error = Failed, Future: Send> + Clone + Send + 'static
{
}

impl<C: Call, S> CallService<C> for S where
    S: Service<C, Response = C::Reply, Error = Failed, Future: Send> + Clone + Send + 'static
{
}

/// What the layers decide about a call, or a try of it.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// The instant by which the caller must have its answer.
    pub until: Option<Instant>,
    /// When the step under way began: the clock is read once on the way down.
    pub now: Instant,
    /// The endpoints already tried.
    pub tried: Tried,
    /// Send it on a connection of its own, freshly dialled.
    pub fresh: bool,
    /// How the try before this one ended.
    pub cause: Option<Outcome>,
    /// Bytes of it were written before: mark it as a retry.
    pub resent: bool,
    /// Pauses made before further tries.
    pub pauses: u8,
}

impl Course {
    /// The course of a call whose frame was complete at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            until: None,
            now,
            tried: Tried::default(),
            fresh: false,
            cause: None,
            resent: false,
            pauses: 0,
        }
    }
}

/// The endpoints that a call was tried at, newest last; the oldest is forgotten when there are too many.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tried {
    ids: [u32; 5],
    /// Tries made so far.
    pub count: u32,
}

impl Tried {
    /// Adds one.
    pub fn push(&mut self, id: u32) {
        self.ids[self.count as usize % self.ids.len()] = id;
        self.count += 1;
    }

    /// Whether this endpoint is among the last ones tried.
    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.count > 0 && self.ids[..self.ids.len().min(self.count as usize)].contains(&id)
    }
}

/// A call at its endpoint.
pub struct Try<C> {
    /// The call.
    pub call: C,
    /// The endpoint picked.
    pub endpoint: Arc<Endpoint>,
    /// Its place among the endpoint's calls.
    pub place: Place,
    /// The connection to send it on.
    pub conn: Box<Conn>,
}

impl<C: Call> Call for Try<C> {
    type Reply = C::Reply;
    type Shared = C::Shared;

    fn shared(&self) -> &C::Shared {
        self.call.shared()
    }
    fn course(&self) -> &Course {
        self.call.course()
    }
    fn course_mut(&mut self) -> &mut Course {
        self.call.course_mut()
    }
}

/// What becomes of a connection whose try is ended from outside, by a clock or by the caller's leaving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fate {
    /// Close it.
    Close,
    /// Let the instance finish: wait for the late reply; the endpoint is not charged yet.
    Orphan,
    /// The same, and the endpoint was charged already: the call was overdue.
    ChargedOrphan,
}

/// What is watched while a call runs. All plain flags and counters: the call runs in one task.
#[derive(Default)]
pub struct Status {
    gone: AtomicBool,
    /// The try's request is fully written.
    sent: AtomicBool,
    fate: AtomicU8,
    reach: AtomicU8,
    tries: AtomicU32,
    /// The number of the endpoint touched last, from 1.
    endpoint: AtomicU32,
    /// It probes a breaker.
    probe: AtomicBool,
    /// Nanoseconds after arrival of the last progress, and of the time spent upstream.
    progress: AtomicU64,
    upstream: AtomicU64,
    /// What the flight recorder shows of it.
    timeline: Timeline,
}

impl Status {
    /// Of a call whose frame was complete at this time after arrival.
    pub fn new(complete: Duration) -> Self {
        let status = Self::default();
        status.timeline.received(complete);
        status
    }

    /// What the flight recorder shows of the call.
    #[inline]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The caller left: the try under way ends at its next poll.
    pub fn abandon(&self) {
        self.gone.store(true, Relaxed);
    }

    /// Whether the caller left.
    #[inline]
    pub fn is_abandoned(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Says what becomes of the connection when the try's future is dropped.
    pub fn doom(&self, fate: Fate) {
        self.fate.store(fate as u8, Relaxed);
    }

    /// What becomes of it: closing, unless it was said otherwise.
    pub fn fate(&self) -> Fate {
        match self.fate.load(Relaxed) {
            1 => Fate::Orphan,
            2 => Fate::ChargedOrphan,
            _ => Fate::Close,
        }
    }

    /// A try begins at `since` after arrival.
    #[inline]
    pub fn begin(&self, since: Duration) {
        self.reach.store(0, Relaxed);
        self.sent.store(false, Relaxed);
        self.fate.store(Fate::Close as u8, Relaxed);
        self.tries.fetch_add(1, Relaxed);
        self.progress(since);
        self.timeline.begin(since);
    }

    /// The call is at this endpoint, or was going to it.
    #[inline]
    pub fn touches(&self, endpoint: u32) {
        self.endpoint.store(endpoint, Relaxed);
    }

    /// The number of the endpoint that the call touched last; 0 where there was none.
    pub fn touched(&self) -> u32 {
        self.endpoint.load(Relaxed)
    }

    /// The call probes a breaker: it is not sent twice.
    pub fn probes(&self) {
        self.probe.store(true, Relaxed);
    }

    /// Whether the call probes a breaker.
    pub fn is_probe(&self) -> bool {
        self.probe.load(Relaxed)
    }

    /// The try's request is fully written: from now on the reply is waited for.
    #[inline]
    pub fn sent(&self) {
        self.sent.store(true, Relaxed);
    }

    /// Whether the try's request is fully written.
    pub fn is_sent(&self) -> bool {
        self.sent.load(Relaxed)
    }

    /// Tries begun so far.
    pub fn tries(&self) -> u32 {
        self.tries.load(Relaxed)
    }

    /// Bytes moved, at this time after arrival: the read deadline starts anew.
    #[inline]
    pub fn progress(&self, since: Duration) {
        self.progress.store(nanos(since), Relaxed);
    }

    /// Time after arrival of the last progress.
    #[inline]
    pub fn progressed(&self) -> Duration {
        Duration::from_nanos(self.progress.load(Relaxed))
    }

    /// How far the try's bytes got.
    #[inline]
    pub fn reached(&self, reach: Reach) {
        self.reach.store(reach as u8, Relaxed);
    }

    /// How far the try's bytes got.
    pub fn reach(&self) -> Reach {
        match self.reach.load(Relaxed) {
            0 => Reach::Unwritten,
            1 => Reach::Unacknowledged,
            2 => Reach::Written,
            _ => Reach::Replied,
        }
    }

    /// Adds time that passed upstream.
    #[inline]
    pub fn add_upstream(&self, spent: Duration) {
        self.upstream.fetch_add(nanos(spent), Relaxed);
    }

    /// Time that passed upstream, all tries together.
    #[inline]
    pub fn upstream(&self) -> Duration {
        Duration::from_nanos(self.upstream.load(Relaxed))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
