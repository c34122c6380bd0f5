//! One table being read: each key is asked for by name, with what it must be.
//!
//! What was asked for is what is known: when the reading ends, every other key of the table is an
//! error that names the nearest known one. So the reading code is the schema; nothing repeats it.

mod scalar;

use std::fmt::Display;

use crate::config::load::source::Place;
use crate::config::load::tree::{Entry, Kind, Node, Table};
use crate::config::nearest::nearest;
use crate::config::policy::Policy;
use crate::config::report::Report;

use super::value::{found, listed};

/// A text and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) at: Place,
}

/// A choice among words.
pub(super) type Words<T> = [(&'static str, T)];

/// A table that is being read.
pub(super) struct Section<'a> {
    pub(super) report: &'a Report<'a>,
    /// The table's first mention.
    pub(super) at: Place,
    /// What messages call it, such as `[runtime]`.
    title: String,
    /// Its dotted path without brackets and names, such as `service.method`.
    path: String,
    table: &'a Table,
    asked: Vec<&'static str>,
}

/// Reads the whole file with `read`, then refuses the keys it did not ask for.
pub(super) fn read_root<'a, T>(
    report: &'a Report<'a>,
    table: &'a Table,
    read: impl FnOnce(&mut Section<'a>) -> T,
) -> T {
    let mut section = Section {
        report,
        at: Place::default(),
        title: "the config".into(),
        path: String::new(),
        table,
        asked: Vec::new(),
    };
    let value = read(&mut section);
    section.refuse_unknown();
    value
}

impl<'a> Section<'a> {
    fn inner(&self, node: &'a Node, title: String, path: String) -> Option<Self> {
        let Kind::Table(table) = &node.kind else {
            let found = found(node);
            let message = format!("expected a table, {title}, found {found}");
            self.report.error(node.at, message);
            return None;
        };
        Some(Self {
            report: self.report,
            at: node.at,
            title,
            path,
            table,
            asked: Vec::new(),
        })
    }

    /// One table below this one, to look at again: nothing in it counts as asked for.
    pub(super) fn peek(&self, key: &str) -> Option<Self> {
        let node = &self.table.get(key)?.value;
        let path = self.path_of(key);
        matches!(node.kind, Kind::Table(_))
            .then(|| self.inner(node, format!("[{path}]"), path))
            .flatten()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        self.report.asked(&self.path, key);
        self.table.get(key)
    }

    fn refuse_unknown(&self) {
        for entry in &self.table.0 {
            let key = entry.key.as_str();
            if self.asked.contains(&key) {
                continue;
            }
            let message = format!("expected a key of {}, found `{key}`", self.title);
            let known = self.asked.iter().copied();
            let help = match nearest(key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => self
                    .misplaced(key)
                    .unwrap_or_else(|| format!("it knows {}", listed(&self.asked, "`", "and"))),
            };
            self.report.error_with(entry.key_at, message, help);
        }
    }

    /// Where a key belongs that was written in a policy instead of in a table of it, or such a table that was written
    /// outside of any policy.
    fn misplaced(&self, key: &str) -> Option<String> {
        let policy = toml::Table::try_from(Policy::default()).ok()?;
        let tables = || {
            policy
                .iter()
                .filter_map(|(name, it)| Some((name, it.as_table()?)))
        };
        if self.asked.contains(&"defaults") {
            let (name, _) = tables().find(|(name, _)| *name == key)?;
            return Some(format!(
                "it stands in [defaults.{name}] or [service.{name}]"
            ));
        }
        let holds = |name: &String, table: &toml::Table| {
            table.contains_key(key) && self.asked.contains(&name.as_str())
        };
        let homes: Vec<String> = tables()
            .filter(|(name, table)| holds(name, table))
            .map(|(name, _)| format!("[{}.{name}]", self.path))
            .collect();
        let homes: Vec<&str> = homes.iter().map(String::as_str).collect();
        (!homes.is_empty()).then(|| format!("it is a key of {}", listed(&homes, "", "and")))
    }

    /// Asks for `key` and reads it with `read`, which answers `None` to what is not `expected`.
    fn read<T>(
        &mut self,
        key: &'static str,
        expected: impl Display,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Option<T> {
        let node = &self.entry(key)?.value;
        let value = read(node);
        if value.is_none() {
            let found = found(node);
            let message = format!("expected {expected}, found {found}");
            self.report.error(node.at, message);
        }
        value
    }

    /// Where a key's value stands, if it is written.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        self.table.get(key).map(|entry| entry.value.at)
    }

    /// Says that a key this table needs is missing; `example` is what it could say.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let message = format!("expected the key `{key}` in {}, found none", self.title);
        let help = format!("for example: {key} = {example}");
        self.report.error_with(self.at, message, help);
    }

    /// An array's values.
    pub(super) fn array(&mut self, key: &'static str, expected: &str) -> Option<&'a [Node]> {
        self.read(key, expected, |node| match &node.kind {
            Kind::Array(items) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// One table below this one.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        let node = &self.entry(key)?.value;
        let path = self.path_of(key);
        let mut inner = self.inner(node, format!("[{path}]"), path)?;
        let value = read(&mut inner);
        inner.refuse_unknown();
        Some(value)
    }

    /// An array of tables below this one.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> T,
    ) -> Vec<T> {
        let path = self.path_of(key);
        let expected = format!("tables, each under [[{path}]]");
        let nodes = self.array(key, &expected).unwrap_or_default();
        let mut values = Vec::new();
        for node in nodes {
            values.extend(self.element(node, &path, &mut read));
        }
        values
    }

    /// One table of an array that was asked for by [`array`](Self::array).
    pub(super) fn element<T>(
        &self,
        node: &'a Node,
        path: &str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        let mut inner = self.inner(node, format!("[[{path}]]"), path.into())?;
        let value = read(&mut inner);
        inner.refuse_unknown();
        Some(value)
    }

    /// The tables below this one, where their names are free to choose.
    pub(super) fn named_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> T,
    ) -> Vec<(Text<'a>, T)> {
        let Some(entry) = self.entry(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let Some(outer) = self.inner(&entry.value, format!("[{path}.NAME]"), path.clone()) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        for entry in &outer.table.0 {
            let title = format!("[{path}.{}]", entry.key);
            let name = Text {
                text: &entry.key,
                at: entry.key_at,
            };
            if let Some(mut inner) = outer.inner(&entry.value, title, path.clone()) {
                values.push((name, read(&mut inner)));
                inner.refuse_unknown();
            }
        }
        values
    }

    /// Whether an array with nothing in it is written there.
    pub(super) fn is_empty_array(&self, key: &str) -> bool {
        let value = self.table.get(key).map(|entry| &entry.value.kind);
        matches!(value, Some(Kind::Array(items)) if items.is_empty())
    }

    /// What stands in a table whose keys are free to choose.
    pub(super) fn entries(&mut self, key: &'static str, expected: &str) -> Option<&'a [Entry]> {
        self.read(key, expected, |node| match &node.kind {
            Kind::Table(table) => Some(table.0.as_slice()),
            _ => None,
        })
    }

    /// A text, or an array of some values.
    pub(super) fn one_or_more(&mut self, key: &'static str, expected: &str) -> Option<&'a [Node]> {
        self.read(key, expected, |node| match &node.kind {
            Kind::Text { .. } => Some(std::slice::from_ref(node)),
            Kind::Array(items) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// Texts whose names are free to choose, as in `{ idc = "a", env = "test" }`.
    pub(super) fn labels(&mut self, key: &'static str) -> Vec<(String, String)> {
        let expected = "a table of texts, such as { idc = \"a\" }";
        let table = self.read(key, expected, |node| match &node.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        });
        let mut labels = Vec::new();
        for entry in table.map_or(&[][..], |table| &table.0) {
            match &entry.value.kind {
                Kind::Text { text, .. } => labels.push((entry.key.clone(), text.clone())),
                _ => {
                    let found = found(&entry.value);
                    let message = format!("expected a text, found {found}");
                    self.report.error(entry.value.at, message);
                }
            }
        }
        labels
    }
}
