//! What a value is, and how messages name it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::load::tree::{Kind, Node};
use crate::config::resilience::Share;
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

/// A number with or without a fraction.
pub(super) fn number_of(node: &Node) -> Option<f64> {
    match &node.kind {
        Kind::Integer(number) => Some((*number)? as f64),
        Kind::Other(text) => text.parse().ok(),
        Kind::Text { text, expanded } if *expanded => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number from 0 to 1, to the nearest millionth. NaN is none.
pub(super) fn share_of(number: f64) -> Option<Share> {
    let within = (0.0..=1.0).contains(&number);
    within.then(|| Share::millionths((number * 1e6).round() as u32))
}

pub(super) fn expected_share(least: Share) -> &'static str {
    match least.is_zero() {
        true => "a number from 0 to 1, such as 0.1",
        false => "a number above 0, at most 1, such as 0.5",
    }
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
