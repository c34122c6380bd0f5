//! Puts scenes on a terminal, in place, or as lines where there is none.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::scene::{Row, Scene};
use super::story;

/// A line under the header, and nothing else.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Where the scenes go.
pub(super) struct Screen<'a> {
    out: &'a mut (dyn Write + Send),
    /// It is a terminal: what was drawn is drawn over.
    live: bool,
    /// Lines of the last drawing.
    drawn: usize,
    /// Scenes shown as lines: each tells another oddity.
    shown: usize,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), live: bool) -> Self {
        Self {
            out,
            live,
            drawn: 0,
            shown: 0,
        }
    }

    /// How often a scene is worth showing.
    pub(super) fn every(&self) -> Duration {
        Duration::from_millis(if self.live { 250 } else { 1_000 })
    }

    /// Writes text that stays.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.erase()?;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Shows a scene: over the last one, or as one more line.
    pub(super) fn show(&mut self, scene: &Scene) -> io::Result<()> {
        let oddities = story::oddities(scene);
        if !self.live {
            let one = oddities.get(self.shown % oddities.len().max(1));
            self.shown += 1;
            let one = one.map_or("", String::as_str);
            return self.say(&format!("{}; {one}\n", story::totals(scene)));
        }
        let mut lines: Vec<String> = table(scene).lines().map(str::to_owned).collect();
        lines.push(story::totals(scene));
        lines.extend(oddities);
        self.erase()?;
        // A line that is too long is cut, not wrapped: else there were more lines than are known of.
        write!(self.out, "\x1b[?7l{}\n\x1b[?7h", lines.join("\n"))?;
        self.drawn = lines.len();
        self.out.flush()
    }

    /// Shows the last scene as a table that stays.
    pub(super) fn close(&mut self, scene: &Scene) -> io::Result<()> {
        self.say(&format!("\n{}\n", table(scene)))
    }

    fn erase(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.drawn) {
            0 => Ok(()),
            n => write!(self.out, "\x1b[{n}A\r\x1b[J"),
        }
    }
}

/// The scene as a table.
fn table(scene: &Scene) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header([
        "address",
        "what it is",
        "class",
        "state",
        "answers",
        "share",
        "p50 ms",
        "p99 ms",
        "failed",
    ]);
    for row in &scene.rows {
        table.add_row(cells(row));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        // 80 characters in all.
        column.set_padding((0, 0));
        if index > 3 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn cells(row: &Row) -> [String; 9] {
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    [
        row.addr.to_string(),
        row.role.what().to_owned(),
        or(&row.class, "-"),
        or(&row.state, "absent"),
        row.answered.to_string(),
        format!("{:.0} %", row.share * 100.0),
        row.p50.map_or_else(String::new, millis),
        row.p99.map_or_else(String::new, millis),
        row.failed.to_string(),
    ]
}

fn millis(span: Duration) -> String {
    format!("{:.1}", span.as_secs_f64() * 1e3)
}
