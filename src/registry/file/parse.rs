//! The registry file's text.
//!
//! ```toml
//! [[instance]]
//! service = "shop.item"
//! address = "10.0.3.7:8888"
//! weight = 10                 # 10 where it is left out
//! tags = { zone = "b" }       # none where it is left out
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::Services;
use crate::registry::{DEFAULT_WEIGHT, Instance};

#[cfg(test)]
mod tests;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    instance: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    service: String,
    address: String,
    #[serde(default)]
    weight: Option<Spanned<u32>>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// What is wrong with the file, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}:{column}: {message}")]
pub(in crate::registry) struct ParseError {
    path: String,
    line: usize,
    column: usize,
    message: String,
}

/// Reads the whole file, or nothing of it.
pub(in crate::registry) fn parse(path: &Path, text: &str) -> Result<Services, ParseError> {
    let place = Place { path, text };
    let file: File = toml::from_str(text)
        .map_err(|error| place.error(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut services = Services::new();
    for entry in file.instance {
        let at = entry.span().start;
        let entry = entry.into_inner();
        let service = entry.service.clone();
        let instance = place.instance(at, entry)?;
        services
            .entry(service)
            .or_default()
            .push(Arc::new(instance));
    }
    Ok(services)
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn instance(&self, at: usize, entry: Entry) -> Result<Instance, ParseError> {
        if let Some(weight) = entry
            .weight
            .as_ref()
            .filter(|weight| !(1..=1_000_000).contains(weight.get_ref()))
        {
            return Err(self.error(weight.span().start, "weight must be 1 to 1000000"));
        }
        let weight = entry.weight.map_or(DEFAULT_WEIGHT, Spanned::into_inner);
        let (line, _) = self.line_and_column(at);
        Ok(Instance {
            address: entry.address,
            network: "tcp".to_owned(),
            key: format!("{}:{line}", self.path.display()),
            weight,
            tags: entry.tags,
            revision: 0,
            notes: Vec::new(),
        })
    }

    fn error(&self, at: usize, message: &str) -> ParseError {
        let (line, column) = self.line_and_column(at);
        ParseError {
            path: self.path.display().to_string(),
            line,
            column,
            message: message.to_owned(),
        }
    }

    /// Both from 1; columns count characters.
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        (line, column)
    }
}
