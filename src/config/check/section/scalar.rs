//! The values of a table that are no tables: one reader for each kind, with what it must be.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::load::tree::{Kind, Node};
use crate::config::nearest::nearest;
use crate::config::resilience::Share;
use crate::config::units;

use super::super::value::{
    duration_of, expected_duration, expected_share, found, listed, number_of, share_of, whole,
};
use super::{Section, Text, Words};

impl<'a> Section<'a> {
    /// A text, not empty.
    pub(in crate::config::check) fn text(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Option<Text<'a>> {
        self.text_or_empty(key, expected, false)
    }

    /// A text that may be empty.
    pub(in crate::config::check) fn any_text(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Option<Text<'a>> {
        self.text_or_empty(key, expected, true)
    }

    fn text_or_empty(
        &mut self,
        key: &'static str,
        expected: &str,
        empty: bool,
    ) -> Option<Text<'a>> {
        self.read(key, expected, |node| match &node.kind {
            Kind::Text { text, .. } if empty || !text.is_empty() => {
                Some(Text { text, at: node.at })
            }
            _ => None,
        })
    }

    /// A text that no message shows.
    pub(in crate::config::check) fn secret(&mut self, key: &'static str) -> Option<&'a str> {
        let node = &self.entry(key)?.value;
        match &node.kind {
            Kind::Text { text, .. } if !text.is_empty() => Some(text),
            _ => {
                let message = format!("expected a text for `{key}`, not empty");
                self.report.error(node.at, message);
                None
            }
        }
    }

    /// A path; a relative one is meant from the folder of the file that names it.
    pub(in crate::config::check) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key, "a path")?;
        Some(self.report.sources().path(text.at, text.text))
    }

    /// One of some words.
    pub(in crate::config::check) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &Words<T>,
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let expected = listed(&names, "\"", "or");
        let text = self.text(key, &expected)?;
        let chosen = words.iter().find(|(name, _)| *name == text.text);
        if chosen.is_none() {
            let message = format!("expected {expected}, found \"{}\"", text.text);
            match nearest(text.text, names) {
                Some(near) => {
                    let help = format!("did you mean \"{near}\"?");
                    self.report.error_with(text.at, message, help);
                }
                None => self.report.error(text.at, message),
            }
        }
        chosen.map(|(_, value)| *value)
    }

    /// `true` or `false`.
    pub(in crate::config::check) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |node| match &node.kind {
            Kind::Bool(flag) => Some(*flag),
            Kind::Text { text, expanded } if *expanded => text.parse().ok(),
            _ => None,
        })
    }

    /// A whole number within a range.
    pub(in crate::config::check) fn count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        let (from, to) = (range.start(), range.end());
        let expected = format!("a whole number from {from} to {to}");
        self.read(key, expected, |node| {
            whole(node).filter(|it| range.contains(it))
        })
    }

    /// A number of bytes within a range.
    pub(in crate::config::check) fn size(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<usize> {
        let from = units::show_size(*range.start());
        let to = units::show_size(*range.end());
        let expected = format!("a size from {from} to {to}, such as \"64KiB\" or \"16MiB\"");
        self.read(key, expected, |node| {
            let bytes = match &node.kind {
                Kind::Text { text, .. } => units::parse_size(text)?,
                _ => whole(node)? as u64,
            };
            let bytes = Some(bytes).filter(|it| range.contains(it))?;
            usize::try_from(bytes).ok()
        })
    }

    /// A file's mode, as octal text.
    pub(in crate::config::check) fn mode(&mut self, key: &'static str) -> Option<u32> {
        let expected = "a mode in octal such as \"0660\", from \"0000\" to \"0777\"";
        self.read(key, expected, |node| match &node.kind {
            Kind::Text { text, .. } if text.bytes().all(|byte| matches!(byte, b'0'..=b'7')) => {
                u32::from_str_radix(text, 8)
                    .ok()
                    .filter(|mode| *mode <= 0o777)
            }
            _ => None,
        })
    }

    /// A duration within a range.
    pub(in crate::config::check) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let expected = expected_duration(&range);
        self.read(key, expected, |node| duration_of(node, &range))
    }

    /// A duration within a range, or `"off"`.
    pub(in crate::config::check) fn duration_or_off(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        let expected = format!("{}, or \"off\"", expected_duration(&range));
        self.read(key, expected, |node| match &node.kind {
            Kind::Text { text, .. } if text == "off" => Some(None),
            _ => duration_of(node, &range).map(Some),
        })
    }

    /// A whole number within a range.
    pub(in crate::config::check) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let range = *range.start() as usize..=*range.end() as usize;
        u32::try_from(self.count(key, range)?).ok()
    }

    /// A part of a whole, at least `least`.
    pub(in crate::config::check) fn share(
        &mut self,
        key: &'static str,
        least: Share,
    ) -> Option<Share> {
        let node = &self.entry(key)?.value;
        let number = number_of(node);
        let share = number.and_then(share_of).filter(|it| *it >= least);
        if share.is_none() {
            let message = format!("expected {}, found {}", expected_share(least), found(node));
            match number.filter(|it| (1.0..=100.0).contains(it)) {
                Some(percent) => {
                    let help = format!("{percent} % is {key} = {}", percent / 100.0);
                    self.report.error_with(node.at, message, help);
                }
                None => self.report.error(node.at, message),
            }
        }
        share
    }

    /// Some of the words that `known` answers to, each at most once in effect. What is no such word is reported, with
    /// the help that `help` has for it where no known one is near.
    pub(in crate::config::check) fn names(
        &mut self,
        key: &'static str,
        known: &[&'static str],
        help: impl Fn(&str) -> Option<String>,
    ) -> Option<Vec<&'static str>> {
        let expected = format!("some of {}", listed(known, "\"", "and"));
        let items = self.array(key, &format!("an array with {expected}"))?;
        let named = items
            .iter()
            .filter_map(|item| self.name(item, known, &expected, &help));
        Some(named.collect())
    }

    fn name(
        &self,
        item: &Node,
        known: &[&'static str],
        expected: &str,
        help: impl Fn(&str) -> Option<String>,
    ) -> Option<&'static str> {
        let text = match &item.kind {
            Kind::Text { text, .. } => text.as_str(),
            _ => "",
        };
        let named = known.iter().find(|name| **name == text).copied();
        if named.is_none() {
            let message = format!("expected {expected}, found {}", found(item));
            let near = || nearest(text, known.iter().copied());
            match help(text).or_else(|| Some(format!("did you mean \"{}\"?", near()?))) {
                Some(help) => self.report.error_with(item.at, message, help),
                None => self.report.error(item.at, message),
            }
        }
        named
    }
}
