//! How a reply turned out, as far as its bytes say.

use super::walk::Walk;
use super::{Head, Kind, Payload, u16_at, u32_at};

/// What a reply says about its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A result (or an empty one: a void method, or a business status that only TTHeader could carry).
    Ok,
    /// An exception that the IDL declares: the result struct's first field is not 0. Thrift only.
    Declared,
    /// A reply whose TTHeader carries a `biz-status` other than 0.
    BizStatus,
    /// An application exception.
    Exception {
        /// Its type, where the bytes reach that far and hold one.
        type_id: Option<i32>,
    },
}

/// Reads how a reply turned out from `frame`, or as much of it as is there: the decoder's head and the first field
/// after it are, an exception's type may not be.
pub fn verdict(head: &Head, frame: &[u8]) -> Verdict {
    let body = frame.get(head.body as usize..).unwrap_or_default();
    let thrift = head.framing.payload != Payload::Protobuf;
    if head.kind == Kind::Exception {
        let type_id = if thrift {
            thrift_type(body)
        } else {
            protobuf_type(body)
        };
        return Verdict::Exception { type_id };
    }
    if head.tt.is_some_and(|tt| tt.biz_status) {
        return Verdict::BizStatus;
    }
    let declared = thrift
        && body.first().is_some_and(|kind| *kind != 0)
        && u16_at(body, 1).is_some_and(|id| id != 0);
    if declared {
        Verdict::Declared
    } else {
        Verdict::Ok
    }
}

/// Whether this is no reply at all but a mux server's word that it shuts down: TTHeader, seqid 0, `crrst`, method
/// `none`. It must never reach a caller (Kitex's own client panics on it).
pub fn is_control(head: &Head, frame: &[u8]) -> bool {
    head.kind == Kind::Reply
        && head.seqid == 0
        && head.tt.is_some_and(|tt| tt.seqid == 0 && tt.closing)
        && head.name.of(frame) == b"none"
}

/// Fields that are looked at in an exception before its type is given up.
const FIELDS: usize = 16;

/// Field 2, an i32, of a Thrift exception; its fields come in any order.
fn thrift_type(body: &[u8]) -> Option<i32> {
    let mut walk = Walk::new(16, body.len());
    let mut at = 0;
    for _ in 0..FIELDS {
        let kind = *body.get(at)?;
        let id = u16_at(body, at + 1)?;
        at += 3;
        match (kind, id) {
            (0, _) => return None,
            (8, 2) => return u32_at(body, at).map(u32::cast_signed),
            _ => {}
        }
        walk.begin_value(kind, at).ok()?;
        at += walk.feed(&body[at..]).ok()??;
    }
    None
}

/// Field 1, a varint, of Kitex's Protobuf exception.
fn protobuf_type(mut body: &[u8]) -> Option<i32> {
    for _ in 0..FIELDS {
        let tag = varint(&mut body)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => {
                return varint(&mut body)
                    .map(|value| value as u32)
                    .map(u32::cast_signed);
            }
            (_, 0) => drop(varint(&mut body)?),
            (_, 1) => body = body.get(8..)?,
            (_, 2) => {
                let len = usize::try_from(varint(&mut body)?).ok()?;
                body = body.get(len..)?;
            }
            (_, 5) => body = body.get(4..)?,
            _ => return None,
        }
    }
    None
}

/// A Protobuf varint at the front of `bytes`, which moves on.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
