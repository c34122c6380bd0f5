//! The log: where events go, how a line looks, and what is logged; all three may change while
//! tidegate runs.
//!
//! [`init`] sets it up once for the process, from `[log]`. Its [`LogHandle`] changes it: a reload
//! ([`LogHandle::apply`]), `/log-level` ([`LogHandle::set_level`]), a rotation
//! ([`LogHandle::reopen`]). `RUST_LOG`, where set, stands over the config's level.
//!
//! One event is one write; a line that cannot be written is lost, and stops nothing.

mod level;
mod sink;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{Log, LogFormat};
use level::Level;
use sink::{Sink, Target};

/// Why the log cannot be as told; it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A directive that is none.
    #[error(
        "\"{directive}\" is no log directive: {reason}; write a level such as \"info\", \
         or \"info,tidegate::registry=debug\""
    )]
    Directive {
        /// The one of several that is wrong.
        directive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The same, in the environment.
    #[error("RUST_LOG: {0}")]
    Environment(#[source] Box<LogError>),
    /// The file cannot be opened.
    #[error("cannot open the log file {}: {error}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Something else of this process logs already.
    #[error("another logger was set up in this process before")]
    Taken,
}

/// The process's log. Clones are the same log.
#[derive(Clone)]
pub struct LogHandle(Arc<Inner>);

struct Inner {
    filter: Handle<EnvFilter, Registry>,
    lines: Handle<Lines, Filtered>,
    sink: Sink,
    /// `RUST_LOG` was set: the config's level does not count.
    overridden: bool,
    state: Mutex<State>,
}

/// What holds now.
struct State {
    /// The config's, to tell what a reload changes.
    config: Log,
    /// Directives.
    level: String,
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

/// The one log that [`init`] has set up.
static LOG: Mutex<Option<LogHandle>> = Mutex::new(None);

/// Sets the log up for the whole process. Where that was done before, the log there is follows
/// `config` instead.
///
/// # Errors
///
/// See [`LogError`].
pub fn init(config: &Log) -> Result<LogHandle, LogError> {
    let mut log = LOG.lock();
    if let Some(handle) = &*log {
        handle.apply(config)?;
        return Ok(handle.clone());
    }
    let (subscriber, handle) = build(config, Level::environment()?)?;
    subscriber.try_init().map_err(|_| LogError::Taken)?;
    *log = Some(handle.clone());
    Ok(handle)
}

/// A log that is not the process's yet. `over` stands over the config's level.
fn build(
    config: &Log,
    over: Option<Level>,
) -> Result<(impl Subscriber + Send + Sync + use<>, LogHandle), LogError> {
    let overridden = over.is_some();
    let Level { text, filter } = match over {
        Some(level) => level,
        None => Level::parse(&config.level)?,
    };
    let sink = Sink::new(Target::open(config.file.as_deref())?);
    let (filter, filter_handle) = reload::Layer::new(filter);
    let (lines, lines_handle) = reload::Layer::new(lines(config, &sink));
    let handle = LogHandle(Arc::new(Inner {
        filter: filter_handle,
        lines: lines_handle,
        sink,
        overridden,
        state: Mutex::new(State {
            config: config.clone(),
            level: text,
        }),
    }));
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    Ok((subscriber, handle))
}

impl LogHandle {
    /// Logs this from now on: a level such as `debug`, or directives such as
    /// `info,tidegate::registry=debug`. It holds until the next call, or a reload that changes the
    /// config's level.
    ///
    /// # Errors
    ///
    /// [`LogError::Directive`] names the one that is wrong; all stays as it was then.
    pub fn set_level(&self, directives: &str) -> Result<(), LogError> {
        let level = Level::parse(directives)?;
        self.0.put(&mut self.0.state.lock(), level);
        Ok(())
    }

    /// What is logged, as directives.
    pub fn level(&self) -> String {
        self.0.state.lock().level.clone()
    }

    /// Opens the log file again, as a rotation asks for: lines go to the file that has the name now,
    /// which is made if missing. Does nothing on stderr.
    ///
    /// # Errors
    ///
    /// The system's own; lines go where they went then.
    pub fn reopen(&self) -> io::Result<()> {
        self.0.sink.reopen()
    }

    /// Follows another config: all of it, or nothing. What [`set_level`](Self::set_level) has set
    /// stays where the config's own level did not change.
    ///
    /// # Errors
    ///
    /// See [`LogError`]; all stays as it was then.
    pub fn apply(&self, config: &Log) -> Result<(), LogError> {
        let mut state = self.0.state.lock();
        let other_level = config.level != state.config.level && !self.0.overridden;
        let other_file = config.file != state.config.file;
        let level = other_level
            .then(|| Level::parse(&config.level))
            .transpose()?;
        let target = other_file
            .then(|| Target::open(config.file.as_deref()))
            .transpose()?;
        // From here on nothing can fail.
        if let Some(level) = level {
            self.0.put(&mut state, level);
        }
        if let Some(target) = target {
            self.0.sink.set(target);
        }
        if other_file || config.format != state.config.format {
            // Only a subscriber that is gone refuses, and then nothing is logged anyway.
            let _ = self.0.lines.reload(lines(config, &self.0.sink));
        }
        state.config = config.clone();
        Ok(())
    }
}

impl Inner {
    fn put(&self, state: &mut State, level: Level) {
        // As above.
        let _ = self.filter.reload(level.filter);
        state.level = level.text;
    }
}

/// How a line looks. An error of the layer's own would go to stderr by a macro that panics when
/// that is closed, so it keeps silent; the sink speaks instead.
fn lines(config: &Log, sink: &Sink) -> Lines {
    let layer = fmt::layer()
        .with_writer(sink.clone())
        .log_internal_errors(false);
    match config.format {
        LogFormat::Text => {
            let layer = layer.compact().with_target(false);
            Box::new(layer.with_ansi(config.file.is_none() && sink::coloured()))
        }
        LogFormat::Json => Box::new(layer.json().flatten_event(true).with_ansi(false)),
    }
}

#[cfg(test)]
pub(crate) mod captured;
#[cfg(test)]
mod tests;
