//! Words broken into lines that fit a terminal, of languages with blanks and without.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What may not begin a line.
const CLOSING: &str = "，。；：、！？）”…,.;:!?)\"\'";
/// What may not end one.
const OPENING: &str = "（“(\"\'";

/// The lines of `text`, none wider than `width` columns unless one word is. A Chinese character is two columns wide, and
/// a line may end beside each; else lines end at blanks. Lines that begin with a tab are to be pasted: they stay whole,
/// four blanks in the place of the tab.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('\t') {
            Some(pasted) => lines.push(format!("    {pasted}")),
            None => fill(line, width, &mut lines),
        }
    }
    lines
}

fn fill(text: &str, width: usize, lines: &mut Vec<String>) {
    let mut line = String::new();
    for piece in pieces(text) {
        if !line.is_empty() && line.width() + piece.trim_end().width() > width {
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        line.push_str(piece);
    }
    lines.push(line.trim_end().to_owned());
}

/// The text in the smallest pieces between which a line may end.
fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        if before.is_some_and(|before| may_end_between(before, c)) {
            found.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    found.push(&text[start..]);
    found
}

fn may_end_between(before: char, after: char) -> bool {
    let is_wide = |c: char| c.width() == Some(2);
    if before == ' ' || after == ' ' {
        return after != ' ';
    }
    (is_wide(before) || is_wide(after)) && !OPENING.contains(before) && !CLOSING.contains(after)
}
