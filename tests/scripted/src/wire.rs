//! One message in any framing: to bytes and back.

use crate::body::{self, bad, short};
use crate::header::{Header, MAGIC, long_len};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Message kinds of Thrift's binary protocol.
pub mod kind {
    /// A request that wants an answer.
    pub const CALL: u8 = 1;
    /// An answer.
    pub const REPLY: u8 = 2;
    /// An application exception.
    pub const EXCEPTION: u8 = 3;
    /// A request that wants no answer.
    pub const ONEWAY: u8 = 4;
}

/// The high half of a strict Thrift message's first word.
const STRICT: u16 = 0x8001;
/// No frame of a test is larger.
const MAX_FRAME: usize = 256 << 20;

/// How a message is put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// A length, then the message.
    Framed,
    /// The message alone.
    Buffered,
    /// TTHeader, then the message alone.
    TtHeader,
    /// TTHeader, then a length, then the message: what a Kitex client sends for `TTHeader`.
    TtHeaderFramed,
}

impl Framing {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Framed,
        Self::Buffered,
        Self::TtHeader,
        Self::TtHeaderFramed,
    ];

    /// Whether a TTHeader stands in front.
    pub fn has_header(self) -> bool {
        matches!(self, Self::TtHeader | Self::TtHeaderFramed)
    }

    fn is_framed(self) -> bool {
        matches!(self, Self::Framed | Self::TtHeaderFramed)
    }
}

/// One Thrift message and what stands in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How it travels.
    pub framing: Framing,
    /// The TTHeader; empty in the framings that have none.
    pub header: Header,
    /// One of [`kind`].
    pub kind: u8,
    /// The method's name.
    pub method: String,
    /// The message's own number.
    pub seqid: i32,
    /// The struct: arguments, result or exception.
    pub body: Bytes,
}

impl Message {
    /// A call of `method`.
    pub fn call(framing: Framing, method: &str, seqid: i32, body: Bytes) -> Self {
        let header = Header::default();
        let (kind, method) = (kind::CALL, method.to_owned());
        Self {
            framing,
            header,
            kind,
            method,
            seqid,
            body,
        }
    }

    /// The answer to this call, in its framing and with its numbers.
    #[must_use]
    pub fn answer(&self, kind: u8, body: Bytes) -> Self {
        let header = Header {
            seqid: self.header.seqid,
            ..Header::default()
        };
        let (framing, method, seqid) = (self.framing, self.method.clone(), self.seqid);
        Self {
            framing,
            header,
            kind,
            method,
            seqid,
            body,
        }
    }

    /// The number a multiplexing peer goes by: TTHeader's where there is one.
    pub fn id(&self) -> i32 {
        self.header.seqid.unwrap_or(self.seqid)
    }

    /// All its bytes.
    pub fn encode(&self) -> Bytes {
        let inner = 12 + self.method.len() + self.body.len();
        let payload = inner + if self.framing.is_framed() { 4 } else { 0 };
        let mut out = if self.framing.has_header() {
            self.header.encode(self.seqid, payload)
        } else {
            BytesMut::with_capacity(payload)
        };
        if self.framing.is_framed() {
            out.put_u32(long_len(inner));
        }
        out.put_u16(STRICT);
        out.put_u16(u16::from(self.kind));
        out.put_u32(long_len(self.method.len()));
        out.put_slice(self.method.as_bytes());
        out.put_i32(self.seqid);
        out.put_slice(&self.body);
        out.freeze()
    }

    /// The message at the start of `bytes` and its length; `UnexpectedEof` if it is not whole yet.
    pub fn decode(bytes: &[u8]) -> io::Result<(Self, usize)> {
        let first = bytes.get(..8).ok_or_else(short)?;
        if u16::from_be_bytes([first[4], first[5]]) != MAGIC {
            return Self::decode_payload(bytes, Header::default(), false);
        }
        let end = 4 + u32_at(bytes, 0)?;
        let whole = bytes.get(..end).ok_or_else(short)?;
        let words = whole
            .get(12..14)
            .ok_or_else(|| bad("header cut"))?
            .get_u16();
        let start = 14 + 4 * usize::from(words);
        let header = whole
            .get(6..start)
            .ok_or_else(|| bad("header larger than its frame"))?;
        let header =
            Header::decode(Bytes::copy_from_slice(header)).map_err(|e| bad(&e.to_string()))?;
        let (message, used) =
            Self::decode_payload(&whole[start..], header, true).map_err(|e| bad(&e.to_string()))?;
        if start + used != end {
            return Err(bad("a frame's length and its payload disagree"));
        }
        Ok((message, end))
    }

    fn decode_payload(bytes: &[u8], header: Header, has_header: bool) -> io::Result<(Self, usize)> {
        let first = bytes.get(..8).ok_or_else(short)?;
        let framed = u16::from_be_bytes([first[0], first[1]]) != STRICT;
        if framed && u16::from_be_bytes([first[4], first[5]]) != STRICT {
            return Err(bad("not a strict Thrift message"));
        }
        let inner = if framed {
            bytes.get(4..4 + u32_at(bytes, 0)?).ok_or_else(short)?
        } else {
            bytes
        };
        let name = u32_at(inner, 4)?;
        let method = inner.get(8..8 + name).ok_or_else(short)?;
        let body = inner.get(12 + name..).ok_or_else(short)?;
        let body = &body[..body::struct_len(body)?];
        let used = 12 + name + body.len();
        if framed && used != inner.len() {
            return Err(bad("a frame's length and its struct disagree"));
        }
        let message = Self {
            framing: match (has_header, framed) {
                (false, true) => Framing::Framed,
                (false, false) => Framing::Buffered,
                (true, false) => Framing::TtHeader,
                (true, true) => Framing::TtHeaderFramed,
            },
            header,
            kind: inner[3],
            method: String::from_utf8_lossy(method).into_owned(),
            seqid: inner[8 + name..].as_ref().get_i32(),
            body: Bytes::copy_from_slice(body),
        };
        Ok((message, used + if framed { 4 } else { 0 }))
    }
}

/// Reads messages off a stream, one after another.
///
/// Both its futures can be dropped at any point without losing a byte.
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    buffer: BytesMut,
    /// All bytes read so far.
    pub bytes: u64,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Over `io`, which stands at the start of a message.
    pub fn new(io: R) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            bytes: 0,
        }
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The next message; `None` at an end between messages, an error for an end inside one.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            match Message::decode(&self.buffer) {
                Ok((message, used)) => {
                    self.buffer.advance(used);
                    return Ok(Some(message));
                }
                Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
                Err(_) => {}
            }
            if self.buffer.len() > MAX_FRAME {
                return Err(bad("frame too large"));
            }
            let n = self.io.read_buf(&mut self.buffer).await?;
            self.bytes += n as u64;
            if n == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(short())
                };
            }
        }
    }

    /// Reads on, into the buffer, until the peer closes or the connection fails.
    pub async fn closed(&mut self) {
        while self.buffer.len() <= MAX_FRAME {
            match self.io.read_buf(&mut self.buffer).await {
                Ok(n) if n > 0 => self.bytes += n as u64,
                _ => return,
            }
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<usize> {
    let n = bytes.get(at..at + 4).ok_or_else(short)?.get_u32() as usize;
    if n > MAX_FRAME {
        Err(bad("length over the limit"))
    } else {
        Ok(n)
    }
}
