//! One message in any framing: to bytes and back.

use crate::body::{self, bad, short};
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

/// Int keys of TTHeader that tests name.
pub mod key {
    /// The service that is called.
    pub const TO_SERVICE: u16 = 6;
    /// The method that is called.
    pub const TO_METHOD: u16 = 9;
    /// The caller's timeout, decimal milliseconds.
    pub const RPC_TIMEOUT: u16 = 12;
}

/// The high half of TTHeader's first word after its length.
const TTHEADER: u16 = 0x1000;
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

/// What a TTHeader says. Values are bytes, since some peers put numbers there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Bit 0: answers may come in any order.
    pub flags: u16,
    /// Where it differs from the message's own: `None` writes the message's.
    pub seqid: Option<i32>,
    /// The int block, in order.
    pub ints: Vec<(u16, Bytes)>,
    /// The string block, in order.
    pub strings: Vec<(Bytes, Bytes)>,
}

impl Header {
    /// With one more int key.
    #[must_use]
    pub fn int(mut self, key: u16, value: &str) -> Self {
        self.ints
            .push((key, Bytes::copy_from_slice(value.as_bytes())));
        self
    }

    /// With one more string key.
    #[must_use]
    pub fn string(mut self, key: &str, value: &str) -> Self {
        let pair = [key, value].map(|s| Bytes::copy_from_slice(s.as_bytes()));
        let [key, value] = pair;
        self.strings.push((key, value));
        self
    }

    /// With the flag of a client that takes answers in any order.
    #[must_use]
    pub fn out_of_order(mut self) -> Self {
        self.flags |= 1;
        self
    }

    /// The value of an int key, as text.
    pub fn get_int(&self, key: u16) -> Option<String> {
        let found = self.ints.iter().find(|(k, _)| *k == key)?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    /// The value of a string key, as text.
    pub fn get_string(&self, key: &str) -> Option<String> {
        let found = self.strings.iter().find(|(k, _)| k == key.as_bytes())?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }

    fn encode(&self, seqid: i32, payload: usize) -> BytesMut {
        let mut info = BytesMut::new();
        info.put_slice(&[0, 0]); // protocol: Thrift binary; no transforms
        if !self.strings.is_empty() {
            info.put_u8(0x01);
            info.put_u16(short_len(self.strings.len()));
            for (key, value) in &self.strings {
                put_short(&mut info, key);
                put_short(&mut info, value);
            }
        }
        if !self.ints.is_empty() {
            info.put_u8(0x10);
            info.put_u16(short_len(self.ints.len()));
            for (key, value) in &self.ints {
                info.put_u16(*key);
                put_short(&mut info, value);
            }
        }
        info.resize(info.len().next_multiple_of(4), 0);
        let mut out = BytesMut::with_capacity(14 + info.len() + payload);
        out.put_u32(long_len(10 + info.len() + payload));
        out.put_u16(TTHEADER);
        out.put_u16(self.flags);
        out.put_i32(self.seqid.unwrap_or(seqid));
        out.put_u16(short_len(info.len() / 4));
        out.put_slice(&info);
        out
    }

    /// Reads the info blocks and what stands before them: `bytes` starts at the flags and ends with the header.
    fn decode(mut bytes: Bytes) -> io::Result<Self> {
        let mut header = Self {
            flags: bytes.try_get_u16().map_err(|_| short())?,
            seqid: Some(bytes.try_get_i32().map_err(|_| short())?),
            ..Self::default()
        };
        let lead = take(&mut bytes, 4)?; // size, protocol, transforms
        take(&mut bytes, usize::from(lead[3]))?;
        while bytes.has_remaining() {
            match bytes.get_u8() {
                0x00 => {}
                0x01 => {
                    for _ in 0..bytes.try_get_u16().map_err(|_| short())? {
                        let pair = (take_short(&mut bytes)?, take_short(&mut bytes)?);
                        header.strings.push(pair);
                    }
                }
                0x10 => {
                    for _ in 0..bytes.try_get_u16().map_err(|_| short())? {
                        let key = bytes.try_get_u16().map_err(|_| short())?;
                        header.ints.push((key, take_short(&mut bytes)?));
                    }
                }
                0x11 => drop(take_short(&mut bytes)?),
                _ => return Err(bad("unknown info block")),
            }
        }
        Ok(header)
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
        if u16::from_be_bytes([first[4], first[5]]) != TTHEADER {
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

fn take(bytes: &mut Bytes, n: usize) -> io::Result<Bytes> {
    if n > bytes.len() {
        Err(short())
    } else {
        Ok(bytes.split_to(n))
    }
}

fn take_short(bytes: &mut Bytes) -> io::Result<Bytes> {
    let n = bytes.try_get_u16().map_err(|_| short())?;
    take(bytes, usize::from(n))
}

fn put_short(out: &mut BytesMut, value: &[u8]) {
    out.put_u16(short_len(value.len()));
    out.put_slice(value);
}

/// A length that must fit 16 bits; a test that breaks that has to build its bytes by hand.
fn short_len(n: usize) -> u16 {
    u16::try_from(n).expect("a script's header values are far below 64 KiB")
}

fn long_len(n: usize) -> u32 {
    u32::try_from(n).expect("a script's messages are far below 4 GiB")
}
