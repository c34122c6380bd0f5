//! A parsed file as a tree whose every value knows its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) at: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// `expanded`: the environment had a part in it, so it may stand for a number as well.
    Text {
        text: String,
        expanded: bool,
    },
    /// `None`: an integer outside of 64 bits.
    Integer(Option<i64>),
    Bool(bool),
    /// Floats and dates. Their text.
    Other(String),
    Array(Vec<Node>),
    Table(Table),
}

/// A table's entries in the order they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) value: Node,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    /// A value that is a text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value.kind {
            Kind::Text { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// What the parser read from file number `file`. Its depth is bounded by the parser.
pub(crate) fn entries(file: usize, table: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: place(file, key),
            value: node(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at);
    Table(entries)
}

fn node(file: usize, value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text {
            text: text.to_string(),
            expanded: false,
        },
        DeValue::Integer(number) => {
            Kind::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => Kind::Other(number.as_str().into()),
        DeValue::Boolean(flag) => Kind::Bool(*flag),
        DeValue::Datetime(date) => Kind::Other(date.to_string()),
        DeValue::Array(items) => Kind::Array(items.iter().map(|item| node(file, item)).collect()),
        DeValue::Table(table) => Kind::Table(entries(file, table)),
    };
    Node {
        kind,
        at: place(file, value),
    }
}

fn place<T>(file: usize, value: &Spanned<T>) -> Place {
    let span = value.span();
    Place {
        file,
        start: span.start,
        end: span.end,
    }
}
