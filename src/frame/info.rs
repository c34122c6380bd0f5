//! TTHeader's info blocks: `0x01` strings, `0x10` ints, `0x11` the ACL token, `0x00` a byte of padding.

use super::{BadFrame, Span, u16_at};

/// The int keys that tidegate reads or writes.
pub mod int_key {
    /// The service called.
    pub const TO_SERVICE: u16 = 6;
    /// The caller's timeout in whole milliseconds, decimal.
    pub const RPC_TIMEOUT: u16 = 12;
    /// The message's type, decimal.
    pub const MESSAGE_TYPE: u16 = 22;
}

/// The string keys that tidegate reads or writes.
pub mod str_key {
    /// This connection is to be closed after the reply.
    pub const CLOSING: &str = "crrst";
    /// A business status other than 0: an error, though the message is a reply.
    pub const BIZ_STATUS: &str = "biz-status";
    /// This call has been sent before.
    pub const RETRIED: &str = "RPC_PERSIST_RetryReq";
}

/// Ids of the blocks.
pub(super) const PADDING: u8 = 0x00;
pub(super) const STRINGS: u8 = 0x01;
pub(super) const INTS: u8 = 0x10;
pub(super) const ACL: u8 = 0x11;

/// One info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Info {
    /// A string key and its value.
    Str(Span, Span),
    /// An int key and its value.
    Int(u16, Span),
    /// The ACL token.
    Acl(Span),
}

/// All infos of a header in their order, read as they are asked for; ends after the first error.
#[derive(Clone, Debug)]
pub struct Infos<'a> {
    /// The frame up to the header's end.
    bytes: &'a [u8],
    at: usize,
    block: u8,
    /// Infos of the block that are still to come.
    left: u16,
}

impl<'a> Infos<'a> {
    /// Reads `bytes`, a frame cut at its header's end, from offset `at`.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            block: PADDING,
            left: 0,
        }
    }

    /// Where the last info read ends.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Which block the last info read belongs to, and how many more it has.
    pub(super) fn block(&self) -> (u8, u16) {
        (self.block, self.left)
    }

    #[inline]
    fn bad(&self, what: &'static str) -> BadFrame {
        BadFrame::BadHeader { at: self.at, what }
    }

    #[inline]
    fn number(&mut self) -> Result<u16, BadFrame> {
        let number =
            u16_at(self.bytes, self.at).ok_or_else(|| self.bad("an info block is cut off"))?;
        self.at += 2;
        Ok(number)
    }

    #[inline]
    fn string(&mut self) -> Result<Span, BadFrame> {
        let len = usize::from(self.number()?);
        if len > self.bytes.len() - self.at {
            return Err(self.bad("an info is longer than the header"));
        }
        let span = Span::new(self.at, len);
        self.at += len;
        Ok(span)
    }

    /// The next info; `None` at the header's end.
    #[inline]
    fn read(&mut self) -> Result<Option<Info>, BadFrame> {
        while self.left == 0 {
            let Some(&block) = self.bytes.get(self.at) else {
                return Ok(None);
            };
            self.at += 1;
            self.block = block;
            match block {
                PADDING => {}
                STRINGS | INTS => self.left = self.number()?,
                ACL => self.left = 1,
                _ => {
                    self.at -= 1;
                    return Err(self.bad("an info block of unknown kind"));
                }
            }
        }
        self.left -= 1;
        Ok(Some(match self.block {
            INTS => Info::Int(self.number()?, self.string()?),
            STRINGS => Info::Str(self.string()?, self.string()?),
            _ => Info::Acl(self.string()?),
        }))
    }
}

impl Iterator for Infos<'_> {
    type Item = Result<Info, BadFrame>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            (self.at, self.left) = (self.bytes.len(), 0);
        }
        read.transpose()
    }
}

/// Checks a mesh header's map, which has the layout of one strings block without its id: `count` pairs up to `end`.
pub(super) fn check_mesh(buf: &[u8], at: usize, end: usize) -> Result<(), BadFrame> {
    let mut infos = Infos::new(&buf[..end], at);
    let count = infos.number()?;
    for _ in 0..count {
        infos.string()?;
        infos.string()?;
    }
    if infos.at == end {
        Ok(())
    } else {
        Err(infos.bad("a mesh header longer than its map"))
    }
}
