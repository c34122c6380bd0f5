//! Which instances a call may go to, and which of them it goes to first: `[[service.lane]]` and `prefer`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::key::Key;
use super::patterns::fits;

/// `[[service.lane]]`: calls of which all of `when` holds go to the instances that have all the tags of `use`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// What a call must say of itself, all of it, by the names of the keys; nothing: every call fits.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "conditions")]
    pub when: Vec<Condition>,
    /// The tags that an instance must have, by name, each once; at least one.
    #[serde(rename = "use", serialize_with = "wanted")]
    pub tags: Vec<(Arc<str>, Wanted)>,
    /// While no instance of the lane is live its calls go on to the next rule, and at last to the baseline. If not,
    /// they are answered.
    pub fallback: bool,
    /// Where it is written.
    #[serde(skip)]
    pub at: Written,
}

/// A part of `when`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is looked at.
    pub key: Key,
    /// What it must be: the very text, or with `*` for any run of characters. Never empty.
    pub pattern: Box<str>,
}

impl Condition {
    /// Whether a call that says this of itself fits.
    #[inline]
    #[must_use]
    pub fn holds(&self, said: &[u8]) -> bool {
        fits(self.pattern.as_bytes(), said)
    }
}

/// What a tag must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This text.
    Text(Arc<str>),
    /// What the call says under this key.
    Of(Key),
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Of(key) => write!(out, "{{{key}}}"),
        }
    }
}

/// `file:line` of a rule. All places are equal: a rule that only moved has not changed.
#[derive(Clone, Debug, Default)]
pub struct Written(pub Arc<str>);

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

/// An item of `prefer`: the instances that a call goes to first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Those on this host.
    ThisHost,
    /// Those that have this tag.
    Tag(Arc<str>, Arc<str>),
}

impl Preference {
    /// Reads `this_host` or `tag=value`; neither part of the latter is empty or has control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text == "this_host" {
            return Some(Self::ThisHost);
        }
        let (tag, value) = text.split_once('=')?;
        (is_tag(tag) && is_tag(value)).then(|| Self::Tag(tag.into(), value.into()))
    }
}

/// Whether a text can be a tag's name or value.
pub(crate) fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)
}

impl fmt::Display for Preference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisHost => out.write_str("this_host"),
            Self::Tag(tag, value) => write!(out, "{tag}={value}"),
        }
    }
}

impl Serialize for Preference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn conditions<S: Serializer>(when: &[Condition], serializer: S) -> Result<S::Ok, S::Error> {
    let table: BTreeMap<&str, &str> = when
        .iter()
        .map(|it| (it.key.name(), &*it.pattern))
        .collect();
    table.serialize(serializer)
}

fn wanted<S: Serializer>(tags: &[(Arc<str>, Wanted)], serializer: S) -> Result<S::Ok, S::Error> {
    let table: BTreeMap<&str, String> = tags
        .iter()
        .map(|(tag, wanted)| (&**tag, wanted.to_string()))
        .collect();
    table.serialize(serializer)
}
