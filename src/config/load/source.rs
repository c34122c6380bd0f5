//! Files as they were read, and places in them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::problem::{Problem, Spot};

/// No config is larger; what is, is no config (a device, a log).
const LARGEST: u64 = 16 << 20;

/// Lines longer than this are not shown in errors.
const SHOWN: usize = 240;

/// A stretch of one source. Ordered by file, then by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One file's text.
#[derive(Debug)]
pub(crate) struct Source {
    /// What errors call it.
    pub(crate) name: String,
    /// Where its relative paths are meant from.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) text: String,
}

/// All files of one config, in the order they merge.
#[derive(Debug, Default)]
pub(crate) struct Sources(pub(crate) Vec<Source>);

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            folder: None,
            text: text.into(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let bytes = read_bounded(path).map_err(|cause| Problem {
            spot: None,
            message: format!("{name}: cannot be read: {cause}"),
            help: None,
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            Problem {
                spot: None,
                message: format!("{name}:{line}: expected UTF-8 text, found other bytes"),
                help: None,
            }
        })?;
        Ok(Self {
            name,
            folder: path.parent().map(Path::to_path_buf),
            text,
        })
    }

    /// The bounds of the line that holds byte `at`, without its end.
    pub(crate) fn line_at(&self, at: usize) -> &str {
        let at = self.floor(at);
        let start = self.text[..at].rfind('\n').map_or(0, |index| index + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |index| at + index);
        self.text[start..end].trim_end_matches('\r')
    }

    /// The nearest character boundary at or before `at`.
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn spot(&self, start: usize, end: usize) -> Spot {
        let start = self.floor(start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let line = self.line_at(start);
        let left = line.len().saturating_sub(start - line_start);
        let meant = self.floor(end.max(start)) - start;
        Spot {
            file: self.name.clone(),
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            text: shown(line),
            width: self.text[start..self.floor(start + meant.min(left))]
                .chars()
                .count()
                .max(1),
        }
    }
}

/// A line as it may be shown: no passwords, no control characters, not too long.
fn shown(line: &str) -> Option<String> {
    let secret = line.contains("password") && !line.trim_start().starts_with('#');
    if secret || line.len() > SHOWN {
        return None;
    }
    let clean = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{fffd}'
        } else {
            c
        }
    };
    Some(line.chars().map(clean).collect())
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        return Err("it is a directory".into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err("it is larger than 16 MiB".into());
    }
    Ok(bytes)
}

impl Sources {
    pub(crate) fn spot(&self, place: Place) -> Option<Spot> {
        let source = self.0.get(place.file)?;
        Some(source.spot(place.start, place.end))
    }

    /// `file:line`, for a message about another place.
    pub(crate) fn brief(&self, place: Place) -> String {
        self.spot(place)
            .map_or_else(String::new, |spot| format!("{}:{}", spot.file, spot.line))
    }

    /// A path as its file means it.
    pub(crate) fn path(&self, place: Place, path: &str) -> PathBuf {
        let folder = self.0.get(place.file).and_then(|it| it.folder.as_deref());
        folder.map_or_else(|| path.into(), |folder| folder.join(path))
    }
}
