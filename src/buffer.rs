//! Read buffers, and the account of all bytes that are held.
//!
//! A connection holds a buffer only while there is something in it: an idle one gives it back to its thread's pile, so
//! that ten thousand idle callers cost no buffers. [`Held`] counts what is kept of frames, process-wide, against
//! `max_buffered`.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::BytesMut;

#[cfg(test)]
mod tests;

/// Bytes of a fresh buffer: a frame below this needs no other.
pub const SIZE: usize = 32 * 1024;
/// Buffers that a thread keeps for reuse.
const PILE: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// A buffer from the thread's pile; goes back there when dropped.
pub struct Buf(BytesMut);

impl Buf {
    /// An empty buffer with room for [`SIZE`] bytes.
    #[inline]
    pub fn take() -> Self {
        let kept = FREE.with(|free| free.borrow_mut().pop());
        Self(kept.unwrap_or_else(|| BytesMut::with_capacity(SIZE)))
    }

    /// The frame of `len` bytes at the front. One that fills the buffer takes it along: the memory is not shared then,
    /// and goes back to the pile with the frame. `slot` keeps what comes after it.
    #[inline]
    pub fn split_frame(slot: &mut Option<Self>, len: usize) -> Self {
        match slot {
            Some(buf) if buf.len() > len => Self(buf.split_to(len)),
            slot => slot.take().unwrap_or_default(),
        }
    }

    /// Makes room for the rest of a frame of `len` bytes, and one byte more: a read that exactly fills its buffer
    /// would have to ask the system once more whether that was all.
    #[inline]
    pub fn reserve_frame(&mut self, len: usize) {
        let room = (len + 1).saturating_sub(self.0.len());
        if self.0.capacity() - self.0.len() < room {
            self.0.reserve(room);
        }
    }
}

impl Default for Buf {
    /// Nothing, and no memory.
    fn default() -> Self {
        Self(BytesMut::new())
    }
}

impl Deref for Buf {
    type Target = BytesMut;
    fn deref(&self) -> &BytesMut {
        &self.0
    }
}

impl From<BytesMut> for Buf {
    fn from(bytes: BytesMut) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Buf {
    fn from(bytes: &[u8]) -> Self {
        Self(BytesMut::from(bytes))
    }
}

impl std::fmt::Debug for Buf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.0
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        let mut buf = std::mem::take(&mut self.0);
        buf.clear();
        // A frame that is still held elsewhere, or one that outgrew the pile, takes its memory with it.
        if buf.try_reclaim(SIZE) && buf.capacity() <= 2 * SIZE {
            // The thread may be ending: then the buffer just goes.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < PILE {
                    free.push(buf);
                }
            });
        }
    }
}

static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(256 << 20);

/// Sets `max_buffered`, in bytes.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// Bytes held now, all together.
pub fn used() -> usize {
    USED.load(Relaxed)
}

/// `max_buffered`, in bytes.
pub fn limit() -> usize {
    LIMIT.load(Relaxed)
}

/// What one frame holds of the account; given back when dropped.
#[derive(Default, Debug)]
pub struct Held(usize);

impl Held {
    /// Holds `bytes` in all. False if that would go over the limit: nothing changes then.
    #[inline]
    pub fn set(&mut self, bytes: usize) -> bool {
        if bytes > self.0 {
            let more = bytes - self.0;
            if USED.fetch_add(more, Relaxed) + more > LIMIT.load(Relaxed) {
                USED.fetch_sub(more, Relaxed);
                return false;
            }
        } else {
            USED.fetch_sub(self.0 - bytes, Relaxed);
        }
        self.0 = bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0 > 0 {
            USED.fetch_sub(self.0, Relaxed);
        }
    }
}
