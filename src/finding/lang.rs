//! The languages that findings are told in.

use std::env;

/// The language that people are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Lang {
    /// What the locale says: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set and not empty (POSIX, 8.2).
    #[must_use]
    pub fn of_environment() -> Self {
        Lang::of(|name| env::var(name).ok())
    }

    /// The same, of an environment that is given.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| variable(name).filter(|locale| !locale.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set);
        match locale {
            Some(locale) if locale.to_ascii_lowercase().starts_with("zh") => Lang::Zh,
            _ => Lang::En,
        }
    }
}
