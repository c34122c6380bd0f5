//! `${VAR}` and `${VAR:-default}` inside strings.
//!
//! Expanded after parsing and merging: a value can't break the file's syntax, and a variable that
//! a later file's value made unneeded need not be set. `$${` stands for `${`; any other `$` for
//! itself. As in a shell, `:-` also replaces an empty value.

use crate::config::report::Report;

use super::tree::{Kind, Node, Table};

/// Looks a variable up; `None`: it is not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every string of the tree; reports what can't be.
pub(crate) fn expand(table: &mut Table, environment: Environment<'_>, report: &Report<'_>) {
    for entry in &mut table.0 {
        expand_value(&mut entry.value, environment, report);
    }
}

fn expand_value(node: &mut Node, environment: Environment<'_>, report: &Report<'_>) {
    match &mut node.kind {
        Kind::Text { text, expanded } if text.contains("${") => {
            match expand_text(text, environment) {
                Ok(value) => {
                    *text = value;
                    *expanded = true;
                }
                Err(message) => report.error_for_good(node.at, message),
            }
        }
        Kind::Array(items) => {
            for item in items {
                expand_value(item, environment, report);
            }
        }
        Kind::Table(table) => expand(table, environment, report),
        _ => {}
    }
}

fn expand_text(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        let after = &rest[start + 2..];
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let end = after
            .find('}')
            .ok_or("expected `}` after `${`; write `$${` for the characters themselves")?;
        out.push_str(&value_of(&after[..end], environment)?);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(reference: &str, environment: Environment<'_>) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "expected `${{VAR}}` or `${{VAR:-default}}`, found `${{{reference}}}`; \
             write `$${{` for the characters themselves"
        ));
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.into()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.into()),
        (None, None) => Err(format!(
            "the environment variable `{name}` is not set; \
             set it, or give a default: `${{{name}:-…}}`"
        )),
    }
}
