//! Which instances a call may go to: `[[service.lane]]`, `prefer` and `hash_key`.

use std::sync::Arc;

use crate::config::key::{Key, NoKey};
use crate::config::lane::{Condition, Lane, Preference, Wanted, Written, is_tag};
use crate::config::load::source::Place;
use crate::config::load::tree::{Entry, Kind, Node};

use super::Section;
use super::value::found;

/// Rules of one service: each is looked at by every call that fits none before it.
const LANES: usize = 64;
/// Tags, or conditions, of one rule.
const PARTS: usize = 16;

/// `[[service.lane]]`.
pub(super) fn lanes(table: &mut Section<'_>) -> Option<Vec<Lane>> {
    let lanes = table.tables("lane", |inner| (inner.at, lane(inner)));
    table.place("lane")?;
    if let Some((too_many, _)) = lanes.get(LANES) {
        let message = format!("expected at most {LANES} lanes of one service");
        table.report.error(*too_many, message);
    }
    for (n, (at, lane)) in lanes.iter().enumerate() {
        if let Some((before, _)) = lanes[..n].iter().find(|(_, it)| shadows(it, lane)) {
            let before = table.report.sources().brief(*before);
            let message = format!(
                "expected a lane that some call can reach: every call that fits it fits the one of {before} before, \
                 which has `fallback = false`"
            );
            table.report.error(*at, message);
        }
    }
    Some(lanes.into_iter().map(|(_, lane)| lane).collect())
}

/// Whether no call that fits `earlier` ever comes to `later`, and all that fit `later` fit `earlier`.
fn shadows(earlier: &Lane, later: &Lane) -> bool {
    let always_said = |key: &Key| later.when.iter().any(|it| it.key == *key);
    !earlier.fallback
        && earlier.when.iter().all(|it| later.when.contains(it))
        && earlier.tags.iter().all(|(_, wanted)| match wanted {
            Wanted::Text(_) => true,
            Wanted::Of(key) => always_said(key),
        })
}

fn lane(table: &mut Section<'_>) -> Lane {
    let when = table.entries("when", "a table such as { env = \"alice\" }");
    let wanted = table.entries(
        "use",
        "a table such as { env = \"alice\" } or { env = \"{env}\" }",
    );
    match (&wanted, table.place("use")) {
        (_, None) => table.missing("use", "{ env = \"alice\" }"),
        (Some([]), Some(at)) => {
            let message = "expected at least one tag in `use`, found none: \
                           a lane is the instances that have a tag";
            table.report.error(at, message);
        }
        _ => {}
    }
    for entries in [when, wanted].into_iter().flatten() {
        if let Some(entry) = entries.get(PARTS) {
            let message = format!("expected at most {PARTS} keys");
            table.report.error(entry.key_at, message);
        }
    }
    let (when, tags) = (when.unwrap_or_default(), wanted.unwrap_or_default());
    let when = when.iter().filter_map(|it| condition(table, it));
    let tags = tags.iter().filter_map(|it| tag(table, it));
    // However they are written, they are the same, and looked at in the same order.
    let mut lane = Lane {
        when: when.collect(),
        tags: tags.collect(),
        fallback: table.flag("fallback").unwrap_or(true),
        at: Written(table.report.sources().brief(table.at).into()),
    };
    lane.when.sort_by(|a, b| a.key.name().cmp(b.key.name()));
    lane.tags.sort_by(|a, b| a.0.cmp(&b.0));
    lane
}

/// A key of `when` with what it must be.
fn condition(table: &Section<'_>, entry: &Entry) -> Option<Condition> {
    let key = key(table, &entry.key, entry.key_at);
    doubt(table, key.as_ref(), entry.key_at);
    let expected = "what the call must say, such as \"alice\", \"feature-*\" or \"*\", without control characters";
    let pattern = plain(table, &entry.value, expected)?;
    Some(Condition {
        key: key?,
        pattern: pattern.into(),
    })
}

/// A tag of `use` with what it must be.
fn tag(table: &Section<'_>, entry: &Entry) -> Option<(Arc<str>, Wanted)> {
    if !is_tag(&entry.key) {
        let message = format!(
            "expected a tag's name, not empty and without control characters, found \"{}\"",
            entry.key.escape_debug()
        );
        table.report.error(entry.key_at, message);
        return None;
    }
    let expected = "a tag's value, or \"{KEY}\" for what the call says under a key, without control characters";
    let text = plain(table, &entry.value, expected)?;
    let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    let wanted = match inner {
        Some(name) => Wanted::Of(key(table, name, entry.value.at)?),
        None if text.contains(['{', '}', '*']) => {
            let message = format!("expected {expected}, found {}", found(&entry.value));
            let help = "a value is one text, or one key of the call and nothing else: patterns belong in `when`";
            table.report.error_with(entry.value.at, message, help);
            return None;
        }
        None => Wanted::Text(text.into()),
    };
    Some((entry.key.as_str().into(), wanted))
}

fn plain<'a>(table: &Section<'_>, node: &'a Node, expected: &str) -> Option<&'a str> {
    match &node.kind {
        Kind::Text { text, .. } if is_tag(text) => Some(text),
        _ => {
            let message = format!("expected {expected}, found {}", found(node));
            table.report.error(node.at, message);
            None
        }
    }
}

/// Something that a call says of itself.
fn key(table: &Section<'_>, name: &str, at: Place) -> Option<Key> {
    match Key::new(name) {
        Ok(key) => Some(key),
        Err(why) => {
            let shown = name.escape_debug();
            let message = format!("{}, found \"{shown}\"", NoKey::Malformed);
            match why {
                NoKey::Near(_) => table.report.error_with(at, message, why.to_string()),
                NoKey::Malformed => table.report.error(at, message),
            }
            None
        }
    }
}

/// Kitex's metadata stands on the wire with a prefix that its own code does not show.
fn doubt(table: &Section<'_>, key: Option<&Key>, at: Place) {
    let Some(name) = key.filter(|it| it.is_string()).map(Key::name) else {
        return;
    };
    let prefixes = ["RPC_PERSIST_", "RPC_TRANSIT_"];
    if !prefixes.iter().any(|it| name.starts_with(it)) {
        let message = format!(
            "`{name}` is looked for as it stands on the wire; what Kitex's metainfo.WithPersistentValue sets under \
             \"{name}\" is RPC_PERSIST_{name} there"
        );
        table.report.warning(at, message);
    }
}

/// `hash_key`: one key, or several in order.
pub(super) fn hash_key(table: &mut Section<'_>) -> Option<Vec<Key>> {
    let expected =
        "what a call says of itself, such as \"ring_hash_key\", or an array of such keys";
    let nodes = table.one_or_more("hash_key", expected)?;
    let keys = nodes.iter().filter_map(|node| match &node.kind {
        Kind::Text { text, .. } => key(table, text, node.at),
        _ => {
            let message = format!("expected {expected}, found {}", found(node));
            table.report.error(node.at, message);
            None
        }
    });
    Some(keys.collect())
}

/// `prefer`.
pub(super) fn prefer(table: &mut Section<'_>) -> Option<Vec<Preference>> {
    let expected = "\"this_host\" or a tag such as \"env=alice\"";
    let items = table.array("prefer", &format!("an array of {expected}"))?;
    let read = |item: &Node| {
        let preference = match &item.kind {
            Kind::Text { text, .. } => Preference::new(text),
            _ => None,
        };
        if preference.is_none() {
            let message = format!("expected {expected}, found {}", found(item));
            table.report.error(item.at, message);
        }
        preference
    };
    Some(items.iter().filter_map(read).collect())
}
