//! What tidegate itself says to a caller: an application exception in the caller's own framing, laid out as a Kitex
//! server lays it out.

use bytes::{BufMut, Bytes, BytesMut};

use super::head::{Head, Kind, Payload, TtHead};
use super::info::{INTS, STRINGS, int_key, str_key};

/// The longest text of an exception, in bytes; what is longer is cut at a character's end.
pub const MAX_TEXT: usize = 4096;

/// An exception in answer to `call`, of which at least the head is there: in the same framing, with the method and
/// both sequence ids copied. A mesh header is not answered with one, as Kitex does. `closing` adds `crrst` where there
/// is a TTHeader: the caller is asked to close this connection.
///
/// ```text
/// TTHeader   length, 0x1000, flags 0, seqid, size │ protocol 0, transforms 0 │ [crrst=1] │ 22="3" │ padding
/// Thrift     [length] │ 0x80010003 │ name │ seqid │ 1: string text │ 2: i32 type │ stop
/// Protobuf   length │ 0x90010003 │ name │ seqid │ 1: varint type │ 2: bytes text
/// ```
pub fn exception(head: &Head, call: &[u8], type_id: i32, text: &str, closing: bool) -> Bytes {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    let name = head.name.of(call);
    let mut out = BytesMut::with_capacity(96 + name.len() + text.len());
    if let Some(tt) = &head.tt {
        put_tt(&mut out, tt, closing);
    }
    let payload = out.len();
    let protobuf = head.framing.payload == Payload::Protobuf;
    if head.framing.payload != Payload::Buffered {
        out.put_u32(0); // the length, set below
    }
    let version = if protobuf { 0x9001_0000 } else { 0x8001_0000 };
    out.put_u32(version | Kind::Exception as u32);
    out.put_u32(name.len() as u32);
    out.put_slice(name);
    out.put_i32(head.seqid);
    if protobuf {
        put_protobuf(&mut out, type_id, text);
    } else {
        put_thrift(&mut out, type_id, text);
    }
    if head.framing.payload != Payload::Buffered {
        set_length(&mut out, payload);
    }
    if head.tt.is_some() {
        set_length(&mut out, 0);
    }
    out.freeze()
}

/// A TTHeader with its length still to be set.
fn put_tt(out: &mut BytesMut, tt: &TtHead, closing: bool) {
    const CLOSING_LEN: u16 = 1 + 2 + 2 + str_key::CLOSING.len() as u16 + 2 + 1;
    let size = 2 + if closing { CLOSING_LEN } else { 0 } + 1 + 2 + 2 + 2 + 1;
    let words = size.div_ceil(4);
    out.put_u32(0);
    out.put_u32(0x1000_0000);
    out.put_i32(tt.seqid);
    out.put_u16(words);
    out.put_u16(0); // protocol 0, as Kitex writes for Protobuf too; no transforms
    if closing {
        out.put_slice(&[STRINGS, 0, 1, 0, str_key::CLOSING.len() as u8]);
        out.put_slice(str_key::CLOSING.as_bytes());
        out.put_slice(b"\x00\x011");
    }
    out.put_slice(&[INTS, 0, 1]);
    out.put_u16(int_key::MESSAGE_TYPE);
    out.put_slice(b"\x00\x013");
    out.put_bytes(0, usize::from(words * 4 - size));
}

fn put_thrift(out: &mut BytesMut, type_id: i32, text: &str) {
    out.put_slice(&[11, 0, 1]);
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
    out.put_slice(&[8, 0, 2]);
    out.put_i32(type_id);
    out.put_u8(0);
}

fn put_protobuf(out: &mut BytesMut, type_id: i32, text: &str) {
    out.put_u8(0x08);
    put_varint(out, i64::from(type_id).cast_unsigned());
    out.put_u8(0x12);
    put_varint(out, text.len() as u64);
    out.put_slice(text.as_bytes());
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Sets the u32 at `at` to the number of bytes after it.
fn set_length(out: &mut BytesMut, at: usize) {
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}
