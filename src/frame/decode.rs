//! Finds one frame after another at the front of a buffer that grows.

use super::parse::{Step, parse};
use super::walk::Walk;
use super::{BadFrame, Head, Limits, Rest, Side};

/// How far the frame at the front of the buffer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not whole.
    More {
        /// At least so many more bytes must come before anything changes; never 0, and never past `max_frame`.
        need: usize,
        /// The head, once that is whole.
        head: Option<Head>,
        /// Length of the whole frame, as soon as it is known (often before the head is); never for a buffered
        /// message outside of TTHeader.
        total: Option<usize>,
    },
    /// Whole: the first `len` bytes of the buffer.
    Whole {
        /// Its head.
        head: Head,
        /// Its length.
        len: usize,
    },
}

/// Finds one frame at the front of a growing buffer. It remembers how far it has looked, so a frame that comes byte
/// by byte costs no more than one that comes at once.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    side: Side,
    head: Option<Head>,
    total: Option<usize>,
    /// With fewer bytes than this in the buffer nothing can change.
    want: usize,
    /// Bytes of the buffer that the walk has taken; 0 before it began.
    walked: usize,
    walk: Walk,
}

impl Decoder {
    /// A decoder for one direction of a connection.
    pub fn new(mut limits: Limits, side: Side) -> Self {
        limits.max_frame = limits.max_frame.min(i32::MAX as usize);
        let walk = Walk::new(limits.depth, limits.max_frame);
        Self {
            limits,
            side,
            head: None,
            total: None,
            want: 8,
            walked: 0,
            walk,
        }
    }

    /// Looks at `buf`, which starts at the frame's first byte and between calls only ever grows, until a `Whole`, an
    /// error followed by [`reset`](Self::reset), or [`into_rest`](Self::into_rest). After a `Whole` the next call
    /// looks for the next frame: the caller has moved `buf` on by `len`.
    ///
    /// # Errors
    /// What makes the bytes no frame. Nothing that follows on this connection can be read as a frame either;
    /// [`head`](Self::head) still says whom to answer.
    #[inline]
    pub fn decode(&mut self, buf: &[u8]) -> Result<Progress, BadFrame> {
        if buf.len() < self.want {
            return Ok(self.more(buf.len()));
        }
        let head = match self.head {
            Some(head) => head,
            None => match parse(self.near(buf), &self.limits, self.side)? {
                Step::Head { head, total } => self.found(head, total)?,
                Step::Want { want, total } => return self.wait(want, total, buf.len()),
            },
        };
        match self.total {
            Some(total) if buf.len() >= total => Ok(self.whole(head, total)),
            Some(total) => {
                self.want = total;
                Ok(self.more(buf.len()))
            }
            None => self.walk(head, buf),
        }
    }

    /// The head of the frame that is being looked at, once it was read; also after an error.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Forgets the frame that is being looked at.
    #[inline]
    pub fn reset(&mut self) {
        (self.head, self.total, self.want, self.walked) = (None, None, 8, 0);
    }

    /// For a frame that is forwarded before it is whole: what knows where the frame ends in the bytes that follow.
    /// `taken`, all that the last [`decode`](Self::decode) saw, is taken out of the buffer; the decoder starts afresh.
    /// `None` if that look had not reached the frame's head yet.
    pub fn into_rest(&mut self, taken: &[u8]) -> Option<Rest> {
        let head = self.head?;
        let rest = match self.total {
            Some(total) => Rest::count(total.saturating_sub(taken.len()) as u64),
            None => {
                let fresh = Walk::new(self.limits.depth, self.limits.max_frame);
                let mut walk = std::mem::replace(&mut self.walk, fresh);
                // Bytes with which nothing could change were not walked yet: they neither end the frame nor spoil it.
                walk.feed(taken.get(self.walked..)?).ok()?;
                Rest::walk(walk, head)
            }
        };
        self.reset();
        Some(rest)
    }

    /// The bytes in which a head must lie.
    #[inline]
    fn near<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[..buf.len().min(self.limits.head_room())]
    }

    /// Keeps the head, unless the frame is too large.
    #[inline]
    fn found(&mut self, head: Head, total: Option<usize>) -> Result<Head, BadFrame> {
        (self.head, self.total) = (Some(head), total);
        match total {
            Some(total) if total > self.limits.max_frame => Err(self.too_large(total)),
            _ => Ok(head),
        }
    }

    /// Waits for the next part of the head, unless that lies too far.
    fn wait(
        &mut self,
        want: usize,
        total: Option<usize>,
        have: usize,
    ) -> Result<Progress, BadFrame> {
        if want > self.limits.head_room() {
            return Err(self.too_large(total.unwrap_or(want)));
        }
        (self.want, self.total) = (want, total);
        Ok(self.more(have))
    }

    fn too_large(&self, len: usize) -> BadFrame {
        BadFrame::TooLarge {
            len: len as u64,
            limit: self.limits.max_frame,
            head: self.head,
        }
    }

    #[inline]
    fn walk(&mut self, head: Head, buf: &[u8]) -> Result<Progress, BadFrame> {
        if self.walked == 0 {
            self.walked = head.body as usize;
            self.walk
                .begin(self.walked)
                .map_err(|bad| with_head(bad, head))?;
        }
        match self
            .walk
            .feed(&buf[self.walked..])
            .map_err(|bad| with_head(bad, head))?
        {
            Some(n) => Ok(self.whole(head, self.walked + n)),
            None => {
                self.walked = buf.len();
                self.want = buf.len() + self.walk.need();
                Ok(self.more(buf.len()))
            }
        }
    }

    #[inline]
    fn whole(&mut self, head: Head, len: usize) -> Progress {
        self.reset();
        Progress::Whole { head, len }
    }

    #[inline]
    fn more(&self, have: usize) -> Progress {
        Progress::More {
            need: self.want - have,
            head: self.head,
            total: self.total,
        }
    }
}

/// Adds the head that the walk does not know.
pub(super) fn with_head(bad: BadFrame, head: Head) -> BadFrame {
    match bad {
        BadFrame::TooLarge { len, limit, .. } => BadFrame::TooLarge {
            len,
            limit,
            head: Some(head),
        },
        bad => bad,
    }
}
