//! The calls that tidegate makes on its own: a health check's, and a probe's.

use bytes::{BufMut, Bytes, BytesMut};

use super::Kind;

/// A framed, strict binary Thrift call of `method` without arguments. Every Kitex server reads it, whatever else it
/// reads.
///
/// ```text
/// length │ 0x80010001 │ name │ seqid │ stop
/// ```
pub fn empty_call(method: &str, seqid: i32) -> Bytes {
    let len = 4 + 4 + method.len() + 4 + 1;
    let mut out = BytesMut::with_capacity(4 + len);
    out.put_u32(len as u32);
    out.put_u32(0x8001_0000 | Kind::Call as u32);
    out.put_u32(method.len() as u32);
    out.put_slice(method.as_bytes());
    out.put_i32(seqid);
    out.put_u8(0);
    out.freeze()
}

/// A message behind a TTHeader that says nothing but the sequence id: what a server of multiplexed connections insists
/// on.
///
/// ```text
/// length │ 0x1000, flags 0, seqid, size 1 │ protocol 0, transforms 0, padding │ message
/// ```
pub fn in_ttheader(message: &[u8], seqid: i32) -> Bytes {
    const AFTER_LENGTH: usize = 2 + 2 + 4 + 2 + 4;
    let mut out = BytesMut::with_capacity(4 + AFTER_LENGTH + message.len());
    out.put_u32((AFTER_LENGTH + message.len()) as u32);
    out.put_u32(0x1000_0000);
    out.put_i32(seqid);
    out.put_u16(1);
    out.put_u32(0);
    out.put_slice(message);
    out.freeze()
}
