//! What a finding means, and what helps, in words.

use super::{Code, Lang};

/// The words of a finding in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// What is wrong, in one line.
    pub cause: &'static str,
    /// How it is proved, and how a person checks it by hand. A line that begins with four blanks is a command.
    pub proof: &'static str,
    /// What helps, the most likely first. A line that begins with four blanks is to be pasted.
    pub remedies: &'static [&'static str],
}

impl Code {
    /// Its cause, proof and remedies in words.
    #[must_use]
    pub fn text(self, _lang: Lang) -> Text {
        Text {
            cause: self.cause(),
            proof: "",
            remedies: &[],
        }
    }
}
