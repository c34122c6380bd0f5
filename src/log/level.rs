//! What is logged: directives, each checked by itself so that an error can name it.

use std::env;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

use super::LogError;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Directives, as they were written, and what they do.
pub(super) struct Level {
    pub(super) text: String,
    pub(super) filter: EnvFilter,
}

impl Level {
    /// Reads a level, or several directives with commas between them.
    pub(super) fn parse(text: &str) -> Result<Self, LogError> {
        Self::read(text, &|word| {
            // It would silently be taken for the name of a module.
            let known = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
            known || word.contains(['=', '['])
        })
    }

    /// What `RUST_LOG` says; `None` where it is not set, or empty. There a lone word may be the name
    /// of a module, as in every other program.
    pub(super) fn environment() -> Result<Option<Self>, LogError> {
        let text = env::var_os("RUST_LOG").unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        Self::read(&text.to_string_lossy(), &|_| true)
            .map(Some)
            .map_err(|error| LogError::Environment(Box::new(error)))
    }

    fn read(text: &str, allowed: &dyn Fn(&str) -> bool) -> Result<Self, LogError> {
        // Trimmed, since the parser cuts what is not at the wrong places.
        let words: Vec<_> = text.split(',').map(str::trim).collect();
        for word in &words {
            let wrong = |reason: String| LogError::Directive {
                directive: (*word).to_owned(),
                reason,
            };
            if word.is_empty() || !allowed(word) {
                return Err(wrong("no such level".into()));
            }
            word.parse::<Directive>()
                .map_err(|error| wrong(error.to_string()))?;
        }
        let text = words.join(",");
        let filter = EnvFilter::builder().parse(&text);
        let filter = filter.map_err(|error| LogError::Directive {
            directive: text.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { text, filter })
    }
}
