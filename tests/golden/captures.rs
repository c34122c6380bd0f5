//! The captures beside this file and what each must parse to, from `index.txt`.

use std::path::Path;
use std::sync::LazyLock;

use tidegate::frame::Side;

/// What one side of a connection sent.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) bytes: Vec<u8>,
    /// Its lines of the index, without the name.
    pub(crate) rows: Vec<String>,
}

impl Capture {
    /// Whether it holds calls or replies that tidegate carries.
    pub(crate) fn carried(&self) -> bool {
        !["relay ", "refused ", "empty"]
            .iter()
            .any(|word| self.rows[0].starts_with(word))
    }
}

/// All captures that the index names.
pub(crate) fn captures() -> &'static [Capture] {
    static CAPTURES: LazyLock<Vec<Capture>> = LazyLock::new(load);
    &CAPTURES
}

fn load() -> Vec<Capture> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let index = std::fs::read_to_string(dir.join("index.txt")).unwrap();
    let mut captures: Vec<Capture> = Vec::new();
    for line in index.lines().filter(|line| !line.starts_with('#')) {
        let (name, row) = line.split_once(' ').unwrap();
        if captures.last().is_none_or(|last| last.name != name) {
            let bytes = std::fs::read(dir.join(format!("{name}.bin"))).unwrap();
            let side = if name.ends_with(".req") {
                Side::Calls
            } else {
                Side::Replies
            };
            captures.push(Capture {
                name: name.to_owned(),
                side,
                bytes,
                rows: Vec::new(),
            });
        }
        captures.last_mut().unwrap().rows.push(row.to_owned());
    }
    captures
}
