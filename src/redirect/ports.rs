//! Sets of TCP ports.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// TCP ports, 1 to 65535.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(BTreeSet<u16>);

/// A piece of a list that names no ports.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "`{piece}` is no port: expected 1 to 65535, or a range such as 9000-9100, the smaller one first"
)]
pub struct NoPorts {
    piece: String,
}

impl Ports {
    /// Every port there is.
    pub fn all() -> Self {
        Self((1..=u16::MAX).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of this is not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// What is in both.
    pub fn and(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// As few ranges as say it, in order.
    pub fn ranges(&self) -> Vec<RangeInclusive<u16>> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        for &port in &self.0 {
            match ranges.last_mut() {
                Some(last) if u32::from(*last.end()) + 1 == u32::from(port) => {
                    *last = *last.start()..=port;
                }
                _ => ranges.push(port..=port),
            }
        }
        ranges
    }

    /// The ranges as text, such as `8888, 9000-9100` for `between` = `-` and `separator` = `, `.
    pub fn show(&self, between: &str, separator: &str) -> String {
        let ranges = self.ranges();
        let texts: Vec<_> = ranges.iter().map(|it| show_range(it, between)).collect();
        texts.join(separator)
    }
}

/// One range as text: a port alone, or its ends with `between` between them.
pub(super) fn show_range(range: &RangeInclusive<u16>, between: &str) -> String {
    let (from, to) = (range.start(), range.end());
    if from == to {
        from.to_string()
    } else {
        format!("{from}{between}{to}")
    }
}

impl FromIterator<u16> for Ports {
    /// Port 0 is no port: it is left out.
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        Self(ports.into_iter().filter(|port| *port != 0).collect())
    }
}

impl FromStr for Ports {
    type Err = NoPorts;

    /// Reads `8888,9000-9100`.
    fn from_str(text: &str) -> Result<Self, NoPorts> {
        let mut ports = BTreeSet::new();
        for piece in text.split(',') {
            ports.extend(range(piece.trim()).ok_or_else(|| NoPorts {
                piece: piece.into(),
            })?);
        }
        Ok(Self(ports))
    }
}

/// A port, or two with a dash between them.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        text.parse().ok().filter(|it| digits && *it > 0)
    };
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (port(from.trim())?, port(to.trim())?),
        None => (port(text)?, port(text)?),
    };
    (from <= to).then_some(from..=to)
}
