//! Where lines go: stderr, or a file that can be opened again.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::LogError;

/// Where lines go. Clones are the same sink.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Output>>);

struct Output {
    target: Target,
    /// The last write ended within a line.
    torn: bool,
    /// Lines are being lost, and it was said.
    losing: bool,
}

/// One of the two.
pub(super) enum Target {
    Stderr,
    File { path: PathBuf, file: File },
}

impl Target {
    /// Opens the file to append to, creating it if missing; `None`: stderr.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, LogError> {
        let Some(path) = path else {
            return Ok(Self::Stderr);
        };
        let path = path.to_owned();
        match append(&path) {
            Ok(file) => Ok(Self::File { path, file }),
            Err(error) => Err(LogError::Open { path, error }),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Stderr => None,
            Self::File { path, .. } => Some(path),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether stderr is a terminal that may show colours (`NO_COLOR`, no-color.org).
pub(super) fn coloured() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !forbidden
}

impl Sink {
    pub(super) fn new(target: Target) -> Self {
        Self(Arc::new(Mutex::new(Output {
            target,
            torn: false,
            losing: false,
        })))
    }

    /// Sends lines elsewhere from now on.
    pub(super) fn set(&self, target: Target) {
        *self.0.lock() = Output {
            target,
            torn: false,
            losing: false,
        };
    }

    /// Opens the file again, under the same name. On an error the old one stays.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let path = self.0.lock().target.path().map(Path::to_owned);
        let Some(path) = path else { return Ok(()) };
        // Not under the lock: opening may take its time, and lines need not wait for it.
        let file = append(&path)?;
        let still_there = self.0.lock().target.path() == Some(&path);
        if still_there {
            self.set(Target::File { path, file });
        }
        Ok(())
    }
}

impl Output {
    fn line(&mut self, line: &[u8]) {
        let torn = self.torn.then_some(&b"\n"[..]);
        let written = self
            .write(torn.unwrap_or_default())
            .and_then(|()| self.write(&one_event(line)));
        match written {
            Ok(()) => self.losing = false,
            Err(error) if !self.losing => {
                self.losing = true;
                self.complain(&error);
            }
            Err(_) => {}
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.target.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.torn = bytes[n - 1] != b'\n';
                    bytes = &bytes[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Once per run of losses, where stderr is not what fails.
    fn complain(&self, error: &io::Error) {
        if let Some(path) = self.target.path() {
            let path = path.display();
            let words =
                format!("cannot write to {path}: {error}; log lines are lost until it can\n");
            // Nobody is left to be told.
            let _ = io::stderr().write_all(words.as_bytes());
        }
    }
}

/// Further lines of one event, indented: what a peer sends must not look like an event of its own.
fn one_event(line: &[u8]) -> Cow<'_, [u8]> {
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    if !body.contains(&b'\n') {
        return Cow::Borrowed(line);
    }
    let mut event = body
        .split(|&byte| byte == b'\n')
        .collect::<Vec<_>>()
        .join(&b"\n    "[..]);
    event.push(b'\n');
    Cow::Owned(event)
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Sink;

    fn make_writer(&'a self) -> &'a Sink {
        self
    }
}

/// One call is one event.
impl Write for &Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
