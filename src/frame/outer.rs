//! The layers around a message: TTHeader and the mesh header.

use super::info::{Info, Infos, check_mesh, int_key, str_key};
use super::{BadFrame, Limits, Span, Timeout, TtHead, u16_at, u32_at};

/// Offset of what a TTHeader's size counts from.
pub(super) const TT_SIZED: usize = 14;
/// The shortest message: a head with an empty name.
pub(super) const MIN_MESSAGE: usize = 12;
/// TTHeader flag: a frame of a stream.
const FLAG_STREAM: u16 = 0x0002;
/// The protocol ids that Kitex's decoder lets through.
const PROTOCOLS: [u8; 5] = [0x00, 0x03, 0x04, 0x10, 0x11];

/// What is known about a message before its own head is read.
#[derive(Default)]
pub(super) struct Outer {
    /// Offset of the payload.
    pub(super) at: usize,
    /// Length of the frame where an outer layer says it.
    pub(super) total: Option<usize>,
    pub(super) tt: Option<TtHead>,
    pub(super) mesh: bool,
}

/// How far reading a header came.
pub(super) enum Layer {
    /// The buffer must have `want` bytes before anything more can be said.
    Want { want: usize, total: Option<usize> },
    /// It is whole.
    Read(Outer),
}

/// Reads a TTHeader: its fixed part first, then the infos once all of them are there.
#[inline]
pub(super) fn tt_header(buf: &[u8], limits: &Limits) -> Result<Layer, BadFrame> {
    let total = sized(buf, 0);
    let want = |want: usize| {
        Ok(Layer::Want {
            want,
            total: Some(total),
        })
    };
    if total < 16 {
        return Err(lies(0, 16, total, "TTHeader"));
    }
    let Some(fixed) = buf.first_chunk::<16>() else {
        return want(16);
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
    Ok(Layer::Read(Outer {
        at: payload,
        total: Some(total),
        tt: Some(tt),
        mesh: false,
    }))
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

/// Reads a mesh header, of which nothing but its end matters here.
pub(super) fn mesh(buf: &[u8]) -> Result<Layer, BadFrame> {
    let want = |want| Ok(Layer::Want { want, total: None });
    let Some(size) = u16_at(buf, 2) else {
        return want(8);
    };
    let at = 4 + usize::from(size);
    if buf.len() < at {
        return want(at);
    }
    check_mesh(buf, 4, at)?;
    Ok(Layer::Read(Outer {
        at,
        total: None,
        tt: None,
        mesh: true,
    }))
}

/// The end of what starts with a u32 length at `at`; the caller knows that those four bytes are there.
#[inline]
pub(super) fn sized(buf: &[u8], at: usize) -> usize {
    (u32_at(buf, at).unwrap_or_default() as usize).saturating_add(at + 4)
}

/// A length that contradicts the one around it.
pub(super) fn lies(at: usize, says: usize, room: usize, what: &'static str) -> BadFrame {
    BadFrame::Lies {
        at,
        says,
        room,
        what,
    }
}
