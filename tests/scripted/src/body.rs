//! Thrift's binary protocol, as far as echo calls need it: write string fields, read them, walk any struct.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;

/// Thrift's type codes that are written here.
const STOP: u8 = 0;
const I32: u8 = 8;
const STRING: u8 = 11;
const STRUCT: u8 = 12;

/// Structs nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// A struct whose field `id` is the string `text`: the arguments (field 1) or the result (field 0) of an echo call.
pub fn text(id: i16, text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 8);
    put_string(&mut out, id, text);
    out.put_u8(STOP);
    out.freeze()
}

/// A struct without fields: the arguments of a call that takes none, the result of a void one.
pub fn empty() -> Bytes {
    Bytes::from_static(&[STOP])
}

/// The body of a Thrift application exception: field 1 message, field 2 type.
pub fn exception(kind: i32, message: &str) -> Bytes {
    let mut out = BytesMut::new();
    put_string(&mut out, 1, message);
    put_i32(&mut out, 2, kind);
    out.put_u8(STOP);
    out.freeze()
}

/// A result whose field 1 is a declared exception of two fields, a code and a reason.
pub fn declared(code: i32, reason: &str) -> Bytes {
    let mut out = BytesMut::new();
    put_field(&mut out, STRUCT, 1);
    put_i32(&mut out, 1, code);
    put_string(&mut out, 2, reason);
    out.put_u8(STOP);
    out.put_u8(STOP);
    out.freeze()
}

/// The arguments of a slow call: a text and how many milliseconds the answer shall take.
pub fn slow(message: &str, delay_ms: i32) -> Bytes {
    let mut out = BytesMut::new();
    put_string(&mut out, 1, message);
    put_i32(&mut out, 2, delay_ms);
    out.put_u8(STOP);
    out.freeze()
}

/// The result that echoes `arguments`: their field 1 becomes field 0, whatever its type; none makes a void result.
pub fn echo(arguments: &[u8]) -> io::Result<Bytes> {
    let Some(first) = field(arguments, 1)? else {
        return Ok(empty());
    };
    let mut out = BytesMut::with_capacity(first.value.len() + 4);
    put_field(&mut out, first.kind, 0);
    out.put_slice(first.value);
    out.put_u8(STOP);
    Ok(out.freeze())
}

/// One field of a struct: its type code and its value's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Thrift's type code.
    pub kind: u8,
    /// The value, encoded.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// The text of a string field.
    pub fn as_text(&self) -> Option<String> {
        let bytes = (self.kind == STRING)
            .then(|| self.value.get(4..))
            .flatten()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The number of an i32 field.
    pub fn as_i32(&self) -> Option<i32> {
        let bytes = (self.kind == I32).then_some(self.value)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// The first field `id` of an encoded struct, if it has one.
pub fn field(encoded: &[u8], id: i16) -> io::Result<Option<Field<'_>>> {
    let mut at = 0;
    loop {
        let kind = *encoded.get(at).ok_or_else(short)?;
        if kind == STOP {
            return Ok(None);
        }
        let found = encoded.get(at + 1..at + 3).ok_or_else(short)?.get_i16();
        let end = skip(encoded, at + 3, kind, MAX_DEPTH)?;
        if found == id {
            let value = &encoded[at + 3..end];
            return Ok(Some(Field { kind, value }));
        }
        at = end;
    }
}

/// How many bytes the struct at the start of `encoded` takes; an `UnexpectedEof` if it is not whole yet.
pub fn struct_len(encoded: &[u8]) -> io::Result<usize> {
    skip(encoded, 0, STRUCT, MAX_DEPTH)
}

/// Where the value of type `kind` that starts at `at` ends.
fn skip(encoded: &[u8], at: usize, kind: u8, depth: usize) -> io::Result<usize> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| bad("nested too deeply"))?;
    let end = match kind {
        2 | 3 => at + 1,
        6 => at + 2,
        8 => at + 4,
        4 | 10 => at + 8,
        STRING => at + 4 + length(encoded, at)?,
        STRUCT => return skip_struct(encoded, at, depth),
        13 => return skip_map(encoded, at, depth),
        14 | 15 => return skip_list(encoded, at, depth),
        _ => return Err(bad("unknown type code")),
    };
    if end > encoded.len() {
        Err(short())
    } else {
        Ok(end)
    }
}

fn skip_struct(encoded: &[u8], mut at: usize, depth: usize) -> io::Result<usize> {
    loop {
        let kind = *encoded.get(at).ok_or_else(short)?;
        if kind == STOP {
            return Ok(at + 1);
        }
        at = skip(encoded, at + 3, kind, depth)?;
    }
}

fn skip_map(encoded: &[u8], at: usize, depth: usize) -> io::Result<usize> {
    let kinds = encoded.get(at..at + 2).ok_or_else(short)?;
    let (key, value) = (kinds[0], kinds[1]);
    let count = length(encoded, at + 2)?;
    let mut at = at + 6;
    for _ in 0..count {
        at = skip(encoded, at, key, depth)?;
        at = skip(encoded, at, value, depth)?;
    }
    Ok(at)
}

fn skip_list(encoded: &[u8], at: usize, depth: usize) -> io::Result<usize> {
    let kind = *encoded.get(at).ok_or_else(short)?;
    let count = length(encoded, at + 1)?;
    let mut at = at + 5;
    for _ in 0..count {
        at = skip(encoded, at, kind, depth)?;
    }
    Ok(at)
}

/// The length or count, never negative, that stands at `at`.
fn length(encoded: &[u8], at: usize) -> io::Result<usize> {
    let n = encoded.get(at..at + 4).ok_or_else(short)?.get_i32();
    usize::try_from(n).map_err(|_| bad("negative length"))
}

fn put_field(out: &mut BytesMut, kind: u8, id: i16) {
    out.put_u8(kind);
    out.put_i16(id);
}

fn put_string(out: &mut BytesMut, id: i16, text: &str) {
    put_field(out, STRING, id);
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text.as_bytes());
}

fn put_i32(out: &mut BytesMut, id: i16, n: i32) {
    put_field(out, I32, id);
    out.put_i32(n);
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(crate) fn short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "not whole yet")
}
