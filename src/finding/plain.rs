//! Text that others wrote, made fit for a terminal.

use std::borrow::Cow;

/// The text with everything that would not be seen as itself written out as `\u{…}`: control characters, which move
/// a terminal's cursor or colour it, overrides of the writing direction, and characters that cannot be seen at all.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether it is not printed, or only together with its neighbour. What the standard library escapes for `{:?}`, less
/// quotes and backslashes, and the letters that are drawn as nothing (the Hangul fillers, the empty Braille cell).
fn is_hidden(c: char) -> bool {
    const BLANK_LETTERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    let is_escaped = c.escape_debug().next() == Some('\\') && !matches!(c, '\\' | '"' | '\'');
    is_escaped || BLANK_LETTERS.contains(&c)
}
