//! Parsing one file, and saying in the config's terms what is no TOML in it.

use toml::de::DeTable;

use crate::config::report::Report;

use super::source::{Place, Source};
use super::tree::{Table, entries};

/// The file's tree; `None` where its syntax is wrong, which is reported.
pub(crate) fn parse(file: usize, source: &Source, report: &Report<'_>) -> Option<Table> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Some(entries(file, table.get_ref()));
    }
    // A line that is wrong once is often reported several times over: its first error is enough.
    let mut spans: Vec<_> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message()))
        .collect();
    spans.sort_by_key(|(span, _)| span.start);
    let mut last: Option<*const u8> = None;
    for (span, message) in spans {
        let line = source.line_at(span.start).as_ptr();
        if last.replace(line) != Some(line) {
            explain(file, source, span, message, report);
        }
    }
    None
}

fn explain(
    file: usize,
    source: &Source,
    span: std::ops::Range<usize>,
    message: &str,
    report: &Report<'_>,
) {
    let line = source.line_at(span.start);
    let whole = Place {
        file,
        start: span.start,
        end: span.end,
    };
    let offset = |part: &str| part.as_ptr() as usize - source.text.as_ptr() as usize;
    let in_value = |(_, value): &(&str, &str)| value.is_empty() || span.start >= offset(value);
    let Some((key, value)) = bare_value(line).filter(in_value) else {
        report.error(whole, format!("expected TOML: {message}"));
        return;
    };
    let start = offset(value);
    let place = Place {
        file,
        start,
        end: start + value.len(),
    };
    if value.is_empty() {
        report.error(place, format!("expected a value for `{key}`, found none"));
    } else {
        let found = format!("expected a value for `{key}`, found a bare `{value}`");
        report.error_with(place, found, format!("quote it: {key} = \"{value}\""));
    }
}

/// The key and value of a line whose value is no quoted text, array or table.
fn bare_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let value = value.split('#').next()?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let opens = value.starts_with(['"', '\'', '[', '{']);
    let misused = value.contains(['"', '\\', '=', ',', ']', '}']);
    (!key.is_empty() && key.chars().all(plain) && !opens && !misused).then_some((key, value))
}
