//! What a call says of itself, read from its own bytes when somebody asks: nothing is copied, nothing is kept.

use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Deref;

use crate::config::Key;
use crate::frame::Head;

#[cfg(test)]
mod tests;

/// A call, as far as it is asked of itself. Of `()` nothing is known.
pub trait Attributes {
    /// What it says under this key; `None` where it says nothing, or nothing but an empty text.
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>>;
}

impl Attributes for () {
    fn attribute(&self, _: &Key) -> Option<Attribute<'_>> {
        None
    }
}

/// What a call says under one key: bytes, never none.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a>(Said<'a>);

#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Bytes(&'a [u8]),
    /// The text of an address, and its length.
    Address([u8; LONGEST], u8),
}

/// The longest text of an IPv6 address.
const LONGEST: usize = 45;

impl<'a> Attribute<'a> {
    /// What a frame says under this key, where that is in its TTHeader. Of a key that is there twice the last counts, as
    /// it does for Kitex, which reads them into a map.
    pub fn of_frame(head: &Head, frame: &'a [u8], key: &Key) -> Option<Self> {
        let said = match key {
            Key::Int(key) => {
                let is_it = |(k, said)| (k == *key as u16).then_some(said);
                head.ints(frame).filter_map(is_it).last()
            }
            Key::Text(key) => {
                let is_it = |(k, said)| (k == key.as_bytes()).then_some(said);
                head.strings(frame).filter_map(is_it).last()
            }
            Key::Source => None,
        };
        said.filter(|said| !said.is_empty())
            .map(|said| Self(Said::Bytes(said)))
    }

    /// These bytes; there is at least one.
    pub fn of_bytes(said: &'a [u8]) -> Self {
        Self(Said::Bytes(said))
    }

    /// Where a call comes from. An IPv4 address inside an IPv6 one is the IPv4 address.
    pub fn of_source(source: IpAddr) -> Self {
        let mut text = Text([0; LONGEST], 0);
        // It has room for every address.
        let _ = write!(text, "{}", source.to_canonical());
        Self(Said::Address(text.0, text.1))
    }
}

impl Deref for Attribute<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Said::Bytes(bytes) => bytes,
            Said::Address(text, len) => &text[..usize::from(*len)],
        }
    }
}

struct Text([u8; LONGEST], u8);

impl Write for Text {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let from = usize::from(self.1);
        let room = self.0.get_mut(from..from + more.len());
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(more.as_bytes());
        self.1 += more.len() as u8;
        Ok(())
    }
}
