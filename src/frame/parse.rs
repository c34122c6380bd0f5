//! Reads a frame's head from its first bytes. Stateless: it says how many bytes it needs to get further, so a head
//! is begun anew at most once per layer (length, header, payload's head, name), however slowly the bytes come.

use super::outer::{Layer, MIN_MESSAGE, Outer, lies, mesh, sized, tt_header};
use super::{
    BadFrame, Framing, Head, Kind, Limits, Payload, Shape, Side, Span, looks_non_strict, shape,
    u32_at,
};

/// How far reading a head came.
pub(super) enum Step {
    /// The buffer must have `want` bytes before anything more can be said.
    Want { want: usize, total: Option<usize> },
    /// The head is whole; `total` is the frame's length unless only a walk can tell.
    Head { head: Head, total: Option<usize> },
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
    let outer = match shape(*first) {
        Shape::TtHeader => tt_header(buf, limits)?,
        Shape::Mesh => mesh(buf)?,
        inner => return message(buf, inner, &Outer::default(), limits, side),
    };
    match outer {
        Layer::Want { want, total } => Ok(Step::Want { want, total }),
        Layer::Read(outer) => payload(buf, &outer, limits, side),
    }
}

/// The payload behind a header: one of three, never a header again.
#[inline]
fn payload(buf: &[u8], outer: &Outer, limits: &Limits, side: Side) -> Result<Step, BadFrame> {
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

/// Names what is there by its first eight bytes alone, so that the name depends on nothing else.
fn unknown(buf: &[u8], at: usize) -> BadFrame {
    let rest = buf.get(at..).unwrap_or_default();
    let first = rest.first_chunk().copied().unwrap_or_default();
    if looks_non_strict(&first) {
        BadFrame::NonStrict { at, first }
    } else {
        BadFrame::Unknown { at, first }
    }
}
