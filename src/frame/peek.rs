//! The first eight bytes of a message say how it is laid out, in the order in which Kitex asks.

use super::u32_at;

/// What eight bytes announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    TtHeader,
    Mesh,
    Buffered,
    Framed,
    Protobuf,
    Other,
}

/// Reads the first eight bytes of a message (or of the payload behind a header).
#[inline]
pub(crate) fn shape(first: [u8; 8]) -> Shape {
    let [a, b, _, _, c, d, ..] = first;
    match ([a, b], [c, d]) {
        (_, [0x10, 0x00]) => Shape::TtHeader,
        ([0xff, 0xaf], _) => Shape::Mesh,
        ([0x80, 0x01], _) => Shape::Buffered,
        (_, [0x80, 0x01]) => Shape::Framed,
        (_, [0x90, 0x01]) => Shape::Protobuf,
        _ => Shape::Other,
    }
}

/// The longest method name that a guess still takes for one.
const PLAUSIBLE_NAME: usize = 256;

/// Whether these first bytes look like non-strict Thrift, with a frame's length in front or without.
pub(crate) fn looks_non_strict(first: &[u8]) -> bool {
    if non_strict_head(first) {
        return true;
    }
    let (Some(len), Some(name)) = (u32_at(first, 0), u32_at(first, 4)) else {
        return false;
    };
    // Length of the name, type, seqid and a stop byte have to fit the frame.
    u64::from(name) + 10 <= u64::from(len) && first.get(4..).is_some_and(non_strict_head)
}

/// An i32 name length, that name, a type from 1 to 4: as much of it as is there.
fn non_strict_head(head: &[u8]) -> bool {
    let Some(len) = u32_at(head, 0).map(|len| len as usize) else {
        return false;
    };
    let rest = &head[4..];
    let name = &rest[..len.min(rest.len())];
    let plausible = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:$-".contains(byte);
    (1..=PLAUSIBLE_NAME).contains(&len)
        && name.iter().all(plausible)
        && rest.get(len).is_none_or(|kind| (1..=4).contains(kind))
}

/// Whether these first bytes look like Thrift's compact protocol, with a frame's length in front or without.
pub(crate) fn looks_compact(first: &[u8]) -> bool {
    // Protocol id 0x82; then the type in the upper three bits and version 1 below.
    let head =
        |at: usize| matches!(first.get(at..at + 2), Some([0x82, second]) if second & 0x1f == 1);
    head(0) || head(4)
}
