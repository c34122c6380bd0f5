//! The frame codec: bytes in, frames out. Pure: no I/O, no clock, no runtime.
//!
//! A frame is one call or one reply as Kitex and Thrift put it on the wire: framed or buffered strict Thrift, Kitex
//! Protobuf, each alone, behind a mesh header or inside TTHeader. [`Decoder`] finds a frame at the front of a buffer
//! that grows and says where its parts lie ([`Head`]); the body is carried as bytes and never decoded. What tidegate
//! itself says to a caller is written by [`exception`], and the few things it may change in a forwarded frame by
//! [`with_timeout`], [`with_string`] and [`with_seqid`]. [`verdict`] reads how a reply turned out.

mod answer;
mod ask;
mod bad;
mod decode;
mod edit;
mod head;
mod info;
mod outer;
mod parse;
mod peek;
mod rest;
mod verdict;
mod walk;

pub use answer::{MAX_TEXT, exception};
pub use ask::{empty_call, in_ttheader};
pub use bad::BadFrame;
pub use decode::{Decoder, Progress};
pub use edit::{Digits, with_seqid, with_string, with_timeout};
pub use head::{Framing, Head, Kind, Payload, Span, Timeout, TtHead};
pub use info::{Info, Infos, int_key, str_key};
pub(crate) use peek::{Shape, looks_compact, looks_non_strict, shape};
pub use rest::{Fed, Rest};
pub use verdict::{Verdict, is_control, verdict};

/// What a frame may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole frame on the wire, its own length field included. Values over 2 GiB count as 2 GiB.
    pub max_frame: usize,
    /// Bytes of a TTHeader's own part; the format itself allows 262,140.
    pub max_header: usize,
    /// Bytes of a method's name.
    pub max_name: usize,
    /// Structs, lists and maps inside each other in buffered Thrift, the outermost struct included.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 16 << 20,
            max_header: 262_140,
            max_name: 16 << 10,
            depth: 64,
        }
    }
}

impl Limits {
    /// How far a frame that is too large is read on for the sake of its head, which an answer needs.
    fn head_room(&self) -> usize {
        self.max_header.saturating_add(64 << 10).min(self.max_frame)
    }
}

/// Which way the frames of a connection go: it decides which kinds of message are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From a caller: calls and oneways.
    Calls,
    /// From an instance: replies and exceptions.
    Replies,
}

/// The big-endian u32 at `at`, if `buf` reaches that far.
#[inline]
fn u32_at(buf: &[u8], at: usize) -> Option<u32> {
    buf.get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// The big-endian u16 at `at`, if `buf` reaches that far.
#[inline]
fn u16_at(buf: &[u8], at: usize) -> Option<u16> {
    buf.get(at..)?
        .first_chunk()
        .map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
