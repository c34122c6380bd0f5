//! Who speaks, by the first bytes.

use super::Spoke;
use crate::frame::{
    BadFrame, Decoder, Limits, Shape, Side, looks_compact, looks_non_strict, shape,
};

/// The longest text that is kept, in characters.
const MAX_TEXT: usize = 80;

/// Who says these first bytes. `None`: there are none, or they are Thrift's (or Kitex Protobuf's), in any framing.
#[must_use]
pub fn recognise(first: &[u8]) -> Option<Spoke> {
    if first.is_empty() {
        return None;
    }
    if is_tls(first) {
        Some(Spoke::Tls)
    } else if is_http2(first) {
        Some(Spoke::Http2)
    } else if is_mysql(first) {
        Some(Spoke::MySql)
    } else if is_http1(first) {
        Some(Spoke::Http(line(first)))
    } else if first.starts_with(b"SSH-") {
        Some(Spoke::Ssh(line(first)))
    } else if is_redis(first) {
        Some(Spoke::Redis)
    } else if is_thrift(first) {
        None
    } else {
        Some(Spoke::Other(line(first)))
    }
}

/// A record: an alert or a handshake, of any version since SSL 3.
fn is_tls(first: &[u8]) -> bool {
    matches!(first, [0x15 | 0x16, 0x03, 0..=4, ..])
}

/// A server's first frame, SETTINGS, or its last, GOAWAY; both of stream 0 (RFC 9113, 6.5 and 6.8).
fn is_http2(first: &[u8]) -> bool {
    let Some([a, b, c, kind, flags, stream @ ..]) = first.first_chunk::<9>() else {
        return false;
    };
    let len = u32::from_be_bytes([0, *a, *b, *c]);
    let is_frame = match *kind {
        4 => *flags == 0 && len.is_multiple_of(6) && len <= 6 * 64,
        7 => *flags == 0 && (8..=16_384).contains(&len),
        _ => false,
    };
    is_frame && *stream == [0; 4]
}

/// The greeting of protocol 10 with the version's text, or an error in its place, such as `Host … is not allowed`.
fn is_mysql(first: &[u8]) -> bool {
    match first {
        [len, more, 0, 0, 0x0a, version, ..] => {
            u16::from_le_bytes([*len, *more]) >= 32 && version.is_ascii_digit()
        }
        [len, more, 0, 0, 0xff, _, code, text, ..] => {
            let len = u16::from_le_bytes([*len, *more]);
            (4..=1024).contains(&len) && (3..=0x20).contains(code) && is_printable(*text)
        }
        _ => false,
    }
}

/// A status line; or the page alone, which servers send in answer to a line that names no version.
fn is_http1(first: &[u8]) -> bool {
    let text = first.trim_ascii_start();
    let begins = |with: &[u8]| {
        text.get(..with.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(with))
    };
    first.starts_with(b"HTTP/") || begins(b"<!DOCTYPE HTML") || begins(b"<html")
}

/// A reply to `PING`, or an error: a word in capitals, and text.
fn is_redis(first: &[u8]) -> bool {
    const ERRORS: [&[u8]; 9] = [
        b"-ERR ",
        b"-NOAUTH ",
        b"-DENIED ",
        b"-NOPERM ",
        b"-LOADING ",
        b"-MASTERDOWN ",
        b"-BUSY ",
        b"-MISCONF ",
        b"+PONG\r\n",
    ];
    ERRORS.iter().any(|word| first.starts_with(word))
}

/// As far as it goes it can be read as a reply, or it looks like a Thrift protocol that tidegate does not read.
fn is_thrift(first: &[u8]) -> bool {
    let Some(eight) = first.first_chunk::<8>() else {
        return false;
    };
    let is_frame = |side| match Decoder::new(Limits::default(), side).decode(first) {
        Ok(_) | Err(BadFrame::Stream { .. }) => shape(*eight) != Shape::Other,
        Err(_) => false,
    };
    is_frame(Side::Replies)
        || is_frame(Side::Calls)
        || looks_compact(first)
        || looks_non_strict(first)
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// The first line that is not empty, printable.
pub(crate) fn line(bytes: &[u8]) -> String {
    let text = bytes.trim_ascii_start();
    let text = if text.is_empty() { bytes } else { text };
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    printable(&text[..end.unwrap_or(text.len())])
}

/// The text on one line, with everything escaped that a terminal would not show as a character; at most 80 characters.
pub(super) fn printable(text: &[u8]) -> String {
    let mut out = String::new();
    let mut left = MAX_TEXT;
    let mut push = |piece: &str| {
        let len = piece.chars().count();
        let fits = len <= left;
        left = if fits { left - len } else { 0 };
        if fits {
            out.push_str(piece);
        }
    };
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                ' '..='~' => push(char.encode_utf8(&mut [0; 4])),
                '\0'..='\x7f' => push(&(char as u8).escape_ascii().to_string()),
                _ => push(&char.escape_debug().to_string()),
            }
        }
        for byte in chunk.invalid() {
            push(&format!("\\x{byte:02x}"));
        }
    }
    out
}
