//! What a finding means, and what helps, in words; those of each language are data in a file per group of codes.

#[macro_use]
mod paste;
pub(super) mod en;
pub(super) mod zh;

/// The words of a finding in one language. A line that begins with a tab is to be pasted: a command, or what belongs in
/// a program or a config, with `HOST`, `PORT` and the like to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// What is wrong, in one line.
    pub cause: &'static str,
    /// How it is proved, and how a person checks it by hand.
    pub proof: &'static str,
    /// What helps, the most likely first.
    pub remedies: &'static [&'static str],
}
