//! Why bytes are not a frame.

use super::{Head, Side};

/// Bytes that are no frame tidegate carries. What follows them on the connection cannot be told apart either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Larger than the limit. For an answer in the caller's own framing, the head is read first where it is near.
    #[error("a frame of at least {len} bytes, over the limit max_frame of {limit}")]
    TooLarge {
        /// Its length, or (buffered Thrift) what it has at least.
        len: u64,
        /// The limit.
        limit: usize,
        /// Its head, unless that lies too far behind its start.
        head: Option<Head>,
    },
    /// The old message head without a version, which Kitex's servers close on.
    #[error(
        "a non-strict Thrift message at offset {at} ({}): the sender must write strict heads",
        hex(first)
    )]
    NonStrict {
        /// Offset in the frame.
        at: usize,
        /// What is there.
        first: [u8; 8],
    },
    /// No layout that is known.
    #[error("neither Thrift nor Kitex Protobuf at offset {at}: {}", hex(first))]
    Unknown {
        /// Offset in the frame.
        at: usize,
        /// What is there.
        first: [u8; 8],
    },
    /// A TTHeader frame of a stream, in the middle of a connection that carries calls.
    #[error("a TTHeader streaming frame among calls (flags {flags:#06x})")]
    Stream {
        /// The header's flags.
        flags: u16,
    },
    /// A TTHeader or a mesh header that does not hold together.
    #[error("a broken header at offset {at}: {what}")]
    BadHeader {
        /// Offset in the frame.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A TTHeader protocol id that Kitex does not read either.
    #[error("TTHeader protocol id {id:#04x} is none that Kitex reads")]
    ProtocolId {
        /// The id.
        id: u8,
    },
    /// A type of message that does not go this way, or none at all.
    #[error("message type {kind} ({}) where only {} may come", kind_name(*kind), allowed(*side))]
    WrongKind {
        /// The type as sent.
        kind: u8,
        /// Which way it went.
        side: Side,
    },
    /// A method's name over the limit.
    #[error("a method name of {len} bytes, over the limit of {limit}")]
    Name {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A length below zero.
    #[error("a negative length ({len}) for the {what} at offset {at}")]
    Negative {
        /// Offset of the length in the frame.
        at: usize,
        /// Its value.
        len: i32,
        /// What it is the length of.
        what: &'static str,
    },
    /// A length that contradicts the one around it.
    #[error("the {what} at offset {at} claims {says} bytes where {room} are left")]
    Lies {
        /// Offset of the length in the frame.
        at: usize,
        /// What it claims.
        says: usize,
        /// What the length around it leaves.
        room: usize,
        /// What it is the length of.
        what: &'static str,
    },
    /// Structs, lists and maps too deep inside each other.
    #[error("values nested deeper than {limit} at offset {at}")]
    Depth {
        /// Offset in the frame.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// A Thrift type that does not exist.
    #[error("Thrift type {id} at offset {at} does not exist")]
    Type {
        /// Offset of the type, or of the collection that names it.
        at: usize,
        /// The type as sent.
        id: u8,
    },
}

fn kind_name(kind: u8) -> &'static str {
    ["none", "call", "reply", "exception", "oneway", "stream"]
        .get(usize::from(kind))
        .copied()
        .unwrap_or("unknown")
}

fn allowed(side: Side) -> &'static str {
    match side {
        Side::Calls => "calls and oneways",
        Side::Replies => "replies and exceptions",
    }
}

fn hex(bytes: &[u8; 8]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(" ")
}
