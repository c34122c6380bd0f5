//! Lines for a terminal: wrapped, indented, coloured.

use std::fmt::Write;

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    Bad,
    Head,
    Dim,
}

impl Colour {
    /// The terminal's code.
    fn code(self) -> &'static str {
        match self {
            Colour::Good => "32",
            Colour::Bad => "31",
            Colour::Head => "1",
            Colour::Dim => "2",
        }
    }
}

/// Lines, as they come.
pub(crate) struct Page {
    text: String,
    width: usize,
    colour: bool,
}

impl Page {
    /// Of this width, in columns.
    pub(crate) fn new(width: usize, colour: bool) -> Self {
        Self {
            text: String::new(),
            width: width.max(40),
            colour,
        }
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A text, wrapped, each line behind so many blanks.
    pub(crate) fn wrapped(&mut self, indent: usize, text: &str) {
        self.hanging(indent, 0, text);
    }

    /// The same, with all lines but the first further in.
    pub(crate) fn hanging(&mut self, indent: usize, more: usize, text: &str) {
        let room = self.width.saturating_sub(indent + more);
        for (at, line) in wrap(text, room).iter().enumerate() {
            let indent = if at == 0 { indent } else { indent + more };
            let _ = writeln!(self.text, "{:indent$}{line}", "");
        }
    }

    /// A text in colour.
    pub(crate) fn coloured(&mut self, indent: usize, colour: Colour, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            let line = self.paint(colour, &line);
            let _ = writeln!(self.text, "{:indent$}{line}", "");
        }
    }

    /// A text behind a mark in colour.
    pub(crate) fn marked(&mut self, colour: Colour, mark: &str, text: &str) {
        let mark = self.paint(colour, mark);
        for (at, line) in wrap(text, self.width.saturating_sub(4)).iter().enumerate() {
            let _ = match at {
                0 => writeln!(self.text, "  {mark} {line}"),
                _ => writeln!(self.text, "      {line}"),
            };
        }
    }

    /// A line exactly as it is to be pasted: never wrapped.
    pub(crate) fn pasted(&mut self, indent: usize, line: &str) {
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{}m{text}\x1b[0m", colour.code()),
            false => text.to_owned(),
        }
    }
}

/// Lines of so many columns, broken at blanks, and between characters that are written without blanks. What has neither
/// is left longer. Two blanks stay together.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in words(text) {
        let columns = columns(word.trim_end());
        if used > 0 && used + columns > room {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
        used += self::columns(word);
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// Pieces that are not broken, each with the blanks behind it.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let may_break = before.is_some_and(|before| {
            (before == ' ' && c != ' ') || (is_wide(before) && !is_closing(c) && c != ' ')
        });
        if may_break {
            words.push(&text[from..at]);
            from = at;
        }
        before = Some(c);
    }
    words.push(&text[from..]);
    words
}

/// Never first in a line.
fn is_closing(c: char) -> bool {
    "，。；：、）》」！？,.;:)]".contains(c)
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// East Asian characters take two columns.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
}
