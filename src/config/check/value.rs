//! What a value is, and how messages name it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::load::tree::{Kind, Node};
use crate::config::units;

pub(super) fn whole(node: &Node) -> Option<usize> {
    match &node.kind {
        Kind::Integer(number) => usize::try_from((*number)?).ok(),
        Kind::Text { text, expanded } if *expanded => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn duration_of(node: &Node, range: &RangeInclusive<Duration>) -> Option<Duration> {
    match &node.kind {
        Kind::Text { text, .. } => units::parse_duration(text).filter(|it| range.contains(it)),
        _ => None,
    }
}

pub(super) fn expected_duration(range: &RangeInclusive<Duration>) -> String {
    let from = units::show_duration(*range.start());
    let to = units::show_duration(*range.end());
    format!("a duration from {from} to {to}, such as \"250ms\" or \"1.5s\"")
}

/// What stands there, for a message.
pub(super) fn found(node: &Node) -> String {
    match &node.kind {
        Kind::Text { text, .. } if text.is_empty() => "an empty text".into(),
        Kind::Text { text, .. } => {
            let short: String = text.chars().take(80).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("\"{}{more}\"", short.escape_debug())
        }
        Kind::Integer(Some(number)) => number.to_string(),
        Kind::Integer(None) => "a number of more than 64 bits".into(),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Other(text) => text.clone(),
        Kind::Array(_) => "an array".into(),
        Kind::Table(_) => "a table".into(),
    }
}

/// `a, b or c`, each within `quote`s.
pub(super) fn listed(words: &[&str], quote: &str, last: &str) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 && index + 1 == words.len() {
            text = format!("{text} {last} ");
        } else if index > 0 {
            text.push_str(", ");
        }
        text.push_str(quote);
        text.push_str(word);
        text.push_str(quote);
    }
    text
}
