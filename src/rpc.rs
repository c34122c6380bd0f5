//! The Thrift family's call and reply, as the stack sees them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::buffer::{Buf, Held};
use crate::call::{Answer, Attribute, Attributes, Call, Course, Rider, Shared, Status, Target};
use crate::config::Key;
use crate::frame::{Head, Kind};
use crate::outcome::{End, Failed};
use crate::session::upload::Upload;

/// A call's frame, whole or its first part, and what is watched while it runs.
pub struct Request {
    /// Where it goes.
    pub target: Target,
    /// What its head says.
    pub head: Head,
    /// The frame, or its first part.
    pub frame: Buf,
    /// The rest of a frame over `hold`, still to be read from the caller.
    pub upload: Option<Upload>,
    /// The reply must be whole: it goes to a connection with several calls in flight.
    pub whole_reply: bool,
    /// When its first byte came in.
    pub arrived: Instant,
    /// Whom it comes from, where clients have addresses.
    pub source: Option<SocketAddr>,
    /// Flags and counters while it runs.
    pub status: Status,
    /// Its share of the bytes held.
    pub held: Held,
    /// `hold` and `max_frame`, for its reply.
    pub limits: (usize, usize),
}

/// A call on its way down: two words and its course.
#[derive(Clone)]
pub struct RpcCall {
    /// What all tries share.
    pub request: Arc<Request>,
    /// What the layers decided.
    pub course: Course,
}

impl Call for RpcCall {
    type Reply = Reply;
    type Shared = Arc<Request>;

    #[inline]
    fn shared(&self) -> &Arc<Request> {
        &self.request
    }
    #[inline]
    fn course(&self) -> &Course {
        &self.course
    }
    #[inline]
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
}

impl Attributes for Arc<Request> {
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>> {
        match key {
            Key::Source => self.source.map(|it| Attribute::of_source(it.ip())),
            key => Attribute::of_frame(&self.head, &self.frame, key),
        }
    }
}

impl Shared for Arc<Request> {
    #[inline]
    fn target(&self) -> &Target {
        &self.target
    }
    #[inline]
    fn status(&self) -> &Status {
        &self.status
    }
    #[inline]
    fn arrived(&self) -> Instant {
        self.arrived
    }
    #[inline]
    fn stated(&self) -> Option<Duration> {
        let timeout = self.head.tt.as_ref()?.timeout.as_ref()?;
        Some(Duration::from_millis(u64::from(timeout.ms)))
    }
    #[inline]
    fn expects_reply(&self) -> bool {
        self.head.kind == Kind::Call
    }
    #[inline]
    fn is_retry(&self) -> bool {
        self.head.tt.as_ref().is_some_and(|tt| tt.retried)
    }
    fn repeatable(&self) -> bool {
        self.upload
            .as_ref()
            .is_none_or(|upload| !upload.was_taken())
    }
}

/// A reply: its frame, whole or the first part of a large one.
pub struct Reply {
    /// What its head says; `None` for a call that expects none.
    pub head: Option<Head>,
    /// The frame, or its first part.
    pub frame: Buf,
    /// The rest, if it is still to come.
    pub body: Option<Box<dyn ReplyBody>>,
    /// How the call ended, as far as is known.
    pub end: End,
    /// Its share of the bytes held.
    pub held: Held,
}

/// The rest of a large reply.
pub trait ReplyBody: Send {
    /// The next bytes; `None` at the end of the frame.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failed>>>;
    /// A guard that is settled when the body has ended.
    fn ride(&mut self, rider: Rider);
    /// The caller takes no more of it: settles the guards.
    fn abandon(&mut self, end: End);
}

impl Answer for Reply {
    #[inline]
    fn end(&self) -> End {
        self.end
    }
    #[inline]
    fn open(&self) -> bool {
        self.body.is_some()
    }
    fn ride(&mut self, rider: Rider) {
        if let Some(body) = &mut self.body {
            body.ride(rider);
        }
    }
}
