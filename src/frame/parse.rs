//! Reads a frame's head from its first bytes. Stateless: it says how many bytes it needs to get further, so a head
//! is begun anew at most once per layer (length, header, payload's head, name), however slowly the bytes come.

use super::info::{Info, Infos, check_mesh, int_key, str_key};
use super::{
    BadFrame, Framing, Head, Kind, Limits, Payload, Shape, Side, Span, Timeout, TtHead,
    looks_non_strict, shape, u16_at, u32_at,
};

/// How far reading a head came.
pub(super) enum Step {
    /// The buffer must have `want` bytes before anything more can be said.
    Want { want: usize, total: Option<usize> },
    /// The head is whole; `total` is the frame's length unless only a walk can tell.
    Head { head: Head, total: Option<usize> },
}

/// TTHeader: offset of what its size counts from.
const TT_SIZED: usize = 14;
/// The shortest message: a head with an empty name.
const MIN_MESSAGE: usize = 12;
/// TTHeader flag: a frame of a stream.
pub(crate) const FLAG_STREAM: u16 = 0x0002;
/// The protocol ids that Kitex's decoder lets through.
const PROTOCOLS: [u8; 5] = [0x00, 0x03, 0x04, 0x10, 0x11];

/// What is known about a message before its own head is read.
struct Outer {
    /// Offset of the payload.
    at: usize,
    /// Length of the frame where an outer layer says it.
    total: Option<usize>,
    tt: Option<TtHead>,
    mesh: bool,
}

/// Reads the head of the frame that `buf` starts with.
#[inline]
pub(super) fn parse(buf: &[u8], limits: &Limits, side: Side) -> Result<Step, BadFrame> {
    let Some(first) = buf.first_chunk() else {
        return Ok(Step::Want {
            want: 8,
            total: None,
        });
    };
    match shape(*first) {
        Shape::TtHeader => tt_header(buf, limits, side),
        Shape::Mesh => mesh(buf, limits, side),
        inner => message(
            buf,
            inner,
            &Outer {
                at: 0,
                total: None,
                tt: None,
                mesh: false,
            },
            limits,
            side,
        ),
    }
}

#[inline]
fn tt_header(buf: &[u8], limits: &Limits, side: Side) -> Result<Step, BadFrame> {
    let total = sized(buf, 0);
    let want = |want: usize| {
        Ok(Step::Want {
            want,
            total: Some(total),
        })
    };
    let Some(fixed) = buf.first_chunk::<16>() else {
        return if total < 16 {
            Err(lies(0, 16, total, "TTHeader"))
        } else {
            want(16)
        };
    };
    let size = usize::from(u16::from_be_bytes([fixed[12], fixed[13]])) * 4;
    let payload = TT_SIZED + size;
    check_tt(fixed, size, total, limits)?;
    if buf.len() < payload {
        return want(payload);
    }
    let blocks = TT_SIZED + 2 + usize::from(fixed[15]);
    if blocks > payload {
        return Err(BadFrame::BadHeader {
            at: 15,
            what: "more transforms than the header has room for",
        });
    }
    let mut tt = TtHead {
        seqid: i32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        flags: u16::from_be_bytes([fixed[6], fixed[7]]),
        protocol: fixed[14],
        header: Span::new(blocks, payload - blocks),
        to_service: Span::default(),
        timeout: None,
        retried: false,
        biz_status: false,
        closing: false,
    };
    for info in Infos::new(&buf[..payload], blocks) {
        note(&mut tt, info?, buf);
    }
    let outer = Outer {
        at: payload,
        total: Some(total),
        tt: Some(tt),
        mesh: false,
    };
    inner(buf, &outer, limits, side)
}

/// What a TTHeader's fixed part must be like.
#[inline]
fn check_tt(fixed: &[u8; 16], size: usize, total: usize, limits: &Limits) -> Result<(), BadFrame> {
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    if flags & FLAG_STREAM != 0 {
        return Err(BadFrame::Stream { flags });
    }
    if size == 0 || size > limits.max_header {
        return Err(BadFrame::BadHeader {
            at: 12,
            what: "its size is 0 or over the limit",
        });
    }
    if total < TT_SIZED + size + MIN_MESSAGE {
        return Err(lies(
            12,
            size,
            total.saturating_sub(TT_SIZED + MIN_MESSAGE),
            "TTHeader",
        ));
    }
    if !PROTOCOLS.contains(&fixed[14]) {
        return Err(BadFrame::ProtocolId { id: fixed[14] });
    }
    Ok(())
}

/// Keeps of an info what the proxy acts on. A key that comes twice counts as its last, as in Kitex's map.
#[inline]
fn note(tt: &mut TtHead, info: Info, buf: &[u8]) {
    match info {
        Info::Int(int_key::TO_SERVICE, value) => tt.to_service = value,
        Info::Int(int_key::RPC_TIMEOUT, value) => tt.timeout = timeout(value, buf),
        Info::Str(key, value) => note_string(tt, key.of(buf), value.of(buf)),
        _ => {}
    }
}

#[inline]
fn note_string(tt: &mut TtHead, key: &[u8], value: &[u8]) {
    if key == str_key::CLOSING.as_bytes() {
        tt.closing = !value.is_empty();
    } else if key == str_key::RETRIED.as_bytes() {
        tt.retried = true;
    } else if key == str_key::BIZ_STATUS.as_bytes() {
        tt.biz_status = std::str::from_utf8(value)
            .ok()
            .and_then(|code| code.parse::<i64>().ok())
            .unwrap_or(0)
            != 0;
    }
}

/// A positive number of milliseconds, or none.
#[inline]
fn timeout(span: Span, buf: &[u8]) -> Option<Timeout> {
    let mut ms = 0_u32;
    for digit in span.of(buf) {
        let digit = u32::from(digit.wrapping_sub(b'0'));
        ms = if digit < 10 {
            ms.checked_mul(10)?.checked_add(digit)?
        } else {
            return None;
        };
    }
    (1..=i32::MAX as u32)
        .contains(&ms)
        .then_some(Timeout { span, ms })
}

fn mesh(buf: &[u8], limits: &Limits, side: Side) -> Result<Step, BadFrame> {
    let Some(size) = u16_at(buf, 2) else {
        return Ok(Step::Want {
            want: 8,
            total: None,
        });
    };
    let at = 4 + usize::from(size);
    if buf.len() < at {
        return Ok(Step::Want {
            want: at,
            total: None,
        });
    }
    check_mesh(buf, 4, at)?;
    inner(
        buf,
        &Outer {
            at,
            total: None,
            tt: None,
            mesh: true,
        },
        limits,
        side,
    )
}

/// The payload behind a header: one of three, never a header again.
#[inline]
fn inner(buf: &[u8], outer: &Outer, limits: &Limits, side: Side) -> Result<Step, BadFrame> {
    let Some(first) = buf.get(outer.at..).and_then(<[u8]>::first_chunk) else {
        return Ok(Step::Want {
            want: outer.at + 8,
            total: outer.total,
        });
    };
    message(buf, shape(*first), outer, limits, side)
}

/// Reads the message's own head: its length if it has one, version and type, name, sequence id.
#[inline]
fn message(
    buf: &[u8],
    inner: Shape,
    outer: &Outer,
    limits: &Limits,
    side: Side,
) -> Result<Step, BadFrame> {
    let payload = match inner {
        Shape::Buffered => Payload::Buffered,
        Shape::Framed => Payload::Framed,
        Shape::Protobuf => Payload::Protobuf,
        _ => return Err(unknown(buf, outer.at)),
    };
    let (at, total) = match payload {
        Payload::Buffered => (outer.at, outer.total),
        _ => (outer.at + 4, Some(framed(buf, outer)?)),
    };
    let (Some(version), Some(len)) = (u32_at(buf, at), u32_at(buf, at + 4)) else {
        return Ok(Step::Want {
            want: at + 8,
            total,
        });
    };
    let kind = kind(version, side)?;
    let len = name_len(len, at + 4, total, limits)?;
    let name = Span::new(at + 8, len);
    let Some(seqid) = u32_at(buf, name.end()) else {
        return Ok(Step::Want {
            want: name.end() + 4,
            total,
        });
    };
    let body = name.end() + 4;
    if side == Side::Replies
        && kind == Kind::Reply
        && let Some(want) = first_field(buf, body, total)
    {
        return Ok(Step::Want { want, total });
    }
    let framing = Framing {
        payload,
        tt: outer.tt.is_some(),
        mesh: outer.mesh,
    };
    let seqid = seqid.cast_signed();
    let head = Head {
        framing,
        kind,
        seqid,
        name,
        body: Span::new(body, 0).at() as u32,
        tt: outer.tt,
    };
    Ok(Step::Head { head, total })
}

/// The frame's length by a payload that states its own, which must agree with the TTHeader around it.
#[inline]
fn framed(buf: &[u8], outer: &Outer) -> Result<usize, BadFrame> {
    let total = sized(buf, outer.at);
    let says = total - outer.at - 4;
    match outer.total {
        Some(around) if around != total => Err(lies(
            outer.at,
            says,
            around.saturating_sub(outer.at + 4),
            "payload",
        )),
        _ if says < MIN_MESSAGE => Err(lies(outer.at, MIN_MESSAGE, says, "message")),
        _ => Ok(total),
    }
}

#[inline]
fn kind(version: u32, side: Side) -> Result<Kind, BadFrame> {
    let kind = version.to_be_bytes()[3];
    match (kind, side) {
        (1, Side::Calls) => Ok(Kind::Call),
        (4, Side::Calls) => Ok(Kind::Oneway),
        (2, Side::Replies) => Ok(Kind::Reply),
        (3, Side::Replies) => Ok(Kind::Exception),
        _ => Err(BadFrame::WrongKind { kind, side }),
    }
}

/// Checks the length of the name at `at` against the frame around it and the limit.
#[inline]
fn name_len(len: u32, at: usize, total: Option<usize>, limits: &Limits) -> Result<usize, BadFrame> {
    let signed = len.cast_signed();
    let Ok(len) = usize::try_from(signed) else {
        return Err(BadFrame::Negative {
            at,
            len: signed,
            what: "method name",
        });
    };
    if let Some(total) = total {
        // Behind the name there is a sequence id.
        let room = total.saturating_sub(at + 8);
        if len > room {
            return Err(lies(at, len, room, "method name"));
        }
    }
    if len > limits.max_name {
        return Err(BadFrame::Name {
            len,
            limit: limits.max_name,
        });
    }
    Ok(len)
}

/// A reply's head counts as read only with its first field's id, which says how the call went. What is wanted for
/// that, or `None` if it is all there.
#[inline]
fn first_field(buf: &[u8], body: usize, total: Option<usize>) -> Option<usize> {
    let end = match total {
        Some(total) => total.min(body + 3),
        None if buf.get(body).is_some_and(|&kind| kind == 0) => body + 1,
        None if buf.len() == body => body + 1,
        None => body + 3,
    };
    (buf.len() < end).then_some(end)
}

/// The end of what starts with a u32 length at `at`; the caller knows that those four bytes are there.
#[inline]
fn sized(buf: &[u8], at: usize) -> usize {
    (u32_at(buf, at).unwrap_or_default() as usize).saturating_add(at + 4)
}

fn lies(at: usize, says: usize, room: usize, what: &'static str) -> BadFrame {
    BadFrame::Lies {
        at,
        says,
        room,
        what,
    }
}

fn unknown(buf: &[u8], at: usize) -> BadFrame {
    let rest = buf.get(at..).unwrap_or_default();
    let first = rest.first_chunk().copied().unwrap_or_default();
    if looks_non_strict(rest) {
        BadFrame::NonStrict { at, first }
    } else {
        BadFrame::Unknown { at, first }
    }
}
