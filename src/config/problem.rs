//! What is wrong with a config, said so that it can be put right.

use std::fmt;
use std::ops::Deref;

/// One thing that is wrong, or a warning, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` where no file says it (a table that is missing everywhere).
    pub spot: Option<Spot>,
    /// What was expected, what stands there.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file's path as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line itself, where it may be shown.
    pub text: Option<String>,
    /// Characters from `column` that are meant; at least 1.
    pub width: usize,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(spot) = &self.spot {
            write!(f, "{}:{}:{}: ", spot.file, spot.line, spot.column)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        match &self.spot {
            Some(spot) => spot.show(f),
            None => Ok(()),
        }
    }
}

impl Spot {
    /// The source line with a caret below what is meant.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(text) = &self.text else {
            return Ok(());
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands where the eye expects it.
        let indent: String = text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let caret = "^".repeat(self.width.max(1));
        write!(f, "\n  {number} | {text}\n  {margin} | {indent}{caret}")
    }
}

/// Everything that is wrong with a config, in the order of its files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<Problem>);

impl ConfigErrors {
    /// A single problem that stands in no file.
    pub(crate) fn one(message: String, help: &str) -> Self {
        let help = Some(help.into());
        Self(vec![Problem {
            spot: None,
            message,
            help,
        }])
    }
}

impl std::error::Error for ConfigErrors {}

impl Deref for ConfigErrors {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}
