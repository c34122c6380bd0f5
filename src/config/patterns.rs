//! Patterns of names, such as `shop.*`.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// A name, or a pattern of names: `*` stands for any run of characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Some patterns, at least one: a name fits if it fits any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patterns(Box<[Pattern]>);

/// Why a text is no pattern.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "expected a service's name, or a pattern such as \"shop.*\": without `/`, blanks and control characters"
)]
pub struct NoPattern;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// It is empty, or holds what no service's name can.
    pub fn new(text: &str) -> Result<Self, NoPattern> {
        let bad = |c: char| c == '/' || c.is_control() || c.is_whitespace();
        if text.is_empty() || text.len() > 255 || text.contains(bad) {
            return Err(NoPattern);
        }
        Ok(Self(text.into()))
    }

    /// Whether `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        fits(self.0.as_bytes(), name.as_bytes())
    }

    /// What every name that fits begins with; all of it, where the pattern is a plain name.
    #[must_use]
    pub fn literal(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// The one name that fits, where there is no `*`.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }
}

impl Patterns {
    /// Every name fits.
    #[must_use]
    pub fn all() -> Self {
        Self([Pattern("*".into())].into())
    }

    /// `None` where there is no pattern.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Option<Self> {
        (!patterns.is_empty()).then(|| Self(patterns.into()))
    }

    /// Whether `name` fits one of them.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }

    /// Each of them, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }
}

/// As the config writes them, without brackets.
impl fmt::Display for Patterns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(out, "{comma}\"{pattern}\"")?;
        }
        Ok(())
    }
}

/// Whether the text fits a pattern in which `*` stands for any run of bytes. Linear but for the last star.
#[must_use]
pub(crate) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what came after the last star did not fit: the star takes one byte more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (p, t) = (*after, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
