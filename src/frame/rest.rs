//! The rest of a frame that is forwarded while it still comes.

use super::decode::with_head;
use super::walk::Walk;
use super::{BadFrame, Head};

/// Knows where a streamed frame ends: by a count, or (buffered Thrift) by walking on.
#[derive(Debug)]
pub struct Rest(Left);

#[derive(Debug)]
enum Left {
    Count(u64),
    Walk(Box<(Walk, Head)>),
}

/// Whose bytes a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// All of them are the frame's, and more of it is to come.
    All,
    /// The frame ends after so many bytes of the chunk.
    Ends(usize),
}

impl Rest {
    pub(super) fn count(left: u64) -> Self {
        Self(Left::Count(left))
    }

    pub(super) fn walk(walk: Walk, head: Head) -> Self {
        Self(Left::Walk(Box::new((walk, head))))
    }

    /// Takes the bytes that follow. Not to be called again after `Ends`.
    ///
    /// # Errors
    /// The struct of a buffered message turns out to be none, or over the frame's limit.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Fed, BadFrame> {
        match &mut self.0 {
            Left::Count(left) if *left > chunk.len() as u64 => {
                *left -= chunk.len() as u64;
                Ok(Fed::All)
            }
            Left::Count(left) => Ok(Fed::Ends(std::mem::take(left) as usize)),
            Left::Walk(walk) => {
                let (walk, head) = walk.as_mut();
                Ok(walk
                    .feed(chunk)
                    .map_err(|bad| with_head(bad, *head))?
                    .map_or(Fed::All, Fed::Ends))
            }
        }
    }

    /// Bytes still to come, where a length says so.
    pub fn left(&self) -> Option<u64> {
        match self.0 {
            Left::Count(left) => Some(left),
            Left::Walk(_) => None,
        }
    }
}
