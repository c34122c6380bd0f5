//! The TTHeader in front of a message.

use crate::body::{bad, short};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;

/// Int keys of TTHeader that tests name.
pub mod key {
    /// The service that is called.
    pub const TO_SERVICE: u16 = 6;
    /// The method that is called.
    pub const TO_METHOD: u16 = 9;
    /// The caller's timeout, decimal milliseconds.
    pub const RPC_TIMEOUT: u16 = 12;
}

/// The high half of its first word after the length.
pub(crate) const MAGIC: u16 = 0x1000;

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

    pub(crate) fn encode(&self, seqid: i32, payload: usize) -> BytesMut {
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
        out.put_u16(MAGIC);
        out.put_u16(self.flags);
        out.put_i32(self.seqid.unwrap_or(seqid));
        out.put_u16(short_len(info.len() / 4));
        out.put_slice(&info);
        out
    }

    /// Reads the info blocks and what stands before them: `bytes` starts at the flags and ends with the header.
    pub(crate) fn decode(mut bytes: Bytes) -> io::Result<Self> {
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

pub(crate) fn long_len(n: usize) -> u32 {
    u32::try_from(n).expect("a script's messages are far below 4 GiB")
}
