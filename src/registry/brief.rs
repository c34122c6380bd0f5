//! Texts of a registry in sentences for people. Whoever may register can write anything.

use std::borrow::Cow;

use crate::finding::plain;

/// Characters that are shown.
const MOST: usize = 120;

/// The text without what would move a cursor or begin a line of its own, and cut where it is long.
#[must_use]
pub fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        None => plain(text),
        Some((end, _)) => format!("{}…", plain(&text[..end])).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forges_a_line_or_fills_a_screen_is_escaped_and_cut() {
        assert_eq!(
            brief("10.0.0.1:1\nWARN \x1b[2J"),
            "10.0.0.1:1\\u{a}WARN \\u{1b}[2J"
        );
        assert_eq!(brief(&"误".repeat(5_000)), format!("{}…", "误".repeat(120)));
        assert_eq!(brief(&"a".repeat(120)), "a".repeat(120));
    }
}
