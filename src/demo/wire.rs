//! The least of Thrift that a conversation needs: calls and replies with one string in them, framed or in TTHeader.
//! Frames are found by [`frame`](crate::frame)'s decoder.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::frame::{Decoder, Head, Kind, Limits, Payload, Progress, Side, int_key};

/// How a caller puts its calls on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// A length and the message.
    Framed,
    /// TTHeader, then the same: what a Kitex client sends.
    TtHeader,
}

/// A call of `method` with one string. In TTHeader it names `service`, and how many milliseconds its caller waits.
pub(super) fn call(
    speech: Speech,
    service: &str,
    method: &str,
    seqid: i32,
    wait_ms: u32,
    text: &str,
) -> Bytes {
    let message = framed(Kind::Call, method.as_bytes(), seqid, 1, text);
    match speech {
        Speech::Framed => message,
        Speech::TtHeader => {
            let wait = wait_ms.to_string();
            let infos = [
                (int_key::TO_SERVICE, service),
                (int_key::RPC_TIMEOUT, &*wait),
            ];
            in_ttheader(seqid, &infos, &message)
        }
    }
}

/// The reply to a call, in its framing: a result that holds one string.
pub(super) fn reply(head: &Head, call: &[u8], text: &str) -> Bytes {
    let message = framed(Kind::Reply, head.name.of(call), head.seqid, 0, text);
    let message = match head.framing.payload {
        Payload::Buffered => message.slice(4..),
        _ => message,
    };
    match head.tt {
        Some(tt) => in_ttheader(tt.seqid, &[], &message),
        None => message,
    }
}

/// The string of a message with one: a call's, a result's, or an exception's text.
pub(super) fn text(head: &Head, frame: &[u8]) -> String {
    let body = frame.get(head.body as usize..).unwrap_or_default();
    let text = body.split_at_checked(7).and_then(|(field, rest)| {
        let len = u32::from_be_bytes(*field[3..].first_chunk()?);
        rest.get(..usize::try_from(len).ok()?)
    });
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

/// Length, message head, and a struct whose one field is a string.
fn framed(kind: Kind, name: &[u8], seqid: i32, field: u16, text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + name.len() + text.len());
    out.put_u32(len(12 + name.len() + 7 + text.len() + 1));
    out.put_u32(0x8001_0000 | kind as u32);
    out.put_u32(len(name.len()));
    out.put_slice(name);
    out.put_i32(seqid);
    out.put_u8(11);
    out.put_u16(field);
    out.put_u32(len(text.len()));
    out.put_slice(text.as_bytes());
    out.put_u8(0);
    out.freeze()
}

/// A message behind a TTHeader with a block of ints.
fn in_ttheader(seqid: i32, infos: &[(u16, &str)], message: &[u8]) -> Bytes {
    let mut header = BytesMut::from(&[0, 0][..]); // Thrift binary, no transforms
    if !infos.is_empty() {
        header.put_u8(0x10);
        header.put_u16(short(infos.len()));
        for (key, value) in infos {
            header.put_u16(*key);
            header.put_u16(short(value.len()));
            header.put_slice(value.as_bytes());
        }
    }
    header.resize(header.len().next_multiple_of(4), 0);
    let mut out = BytesMut::with_capacity(14 + header.len() + message.len());
    out.put_u32(len(10 + header.len() + message.len()));
    out.put_u32(0x1000_0000);
    out.put_i32(seqid);
    out.put_u16(short(header.len() / 4));
    out.put_slice(&header);
    out.put_slice(message);
    out.freeze()
}

fn len(n: usize) -> u32 {
    u32::try_from(n).expect("the demo's messages have some dozens of bytes")
}

fn short(n: usize) -> u16 {
    u16::try_from(n).expect("the demo's headers have some dozens of bytes")
}

/// Takes one frame after another off a connection.
pub(super) struct Frames {
    decoder: Decoder,
    buf: BytesMut,
}

impl Frames {
    /// Nothing read yet.
    pub(super) fn new(side: Side) -> Self {
        Self {
            decoder: Decoder::new(Limits::default(), side),
            buf: BytesMut::new(),
        }
    }

    /// The next frame; `None` where the connection ended before one began.
    ///
    /// # Errors
    ///
    /// The connection's, an end inside a frame, or bytes that are none.
    pub(super) async fn next(&mut self, io: &mut TcpStream) -> io::Result<Option<(Head, Bytes)>> {
        loop {
            let progress = self.decoder.decode(&self.buf).map_err(io::Error::other)?;
            if let Progress::Whole { head, len } = progress {
                return Ok(Some((head, self.buf.split_to(len).freeze())));
            }
            if io.read_buf(&mut self.buf).await? == 0 {
                return match self.buf.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
