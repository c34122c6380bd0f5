//! The unix sockets of a service that were not seen on this host yet, and the looking for them.
//!
//! A look may block: on a folder of another machine that is away, for as long as it likes. So it runs beside everything
//! else, one at a time.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::platform::{self, MAX_SOCKET_PATH};
use crate::registry::Host;

/// How often unix sockets that were not there are looked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Sockets {
    paths: Vec<PathBuf>,
    due: Instant,
    looking: Option<JoinHandle<Vec<PathBuf>>>,
    /// Some were not looked for yet.
    unlooked: bool,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self {
            paths: Vec::new(),
            due: Instant::now(),
            looking: None,
            unlooked: false,
        }
    }

    /// Says which are registered now. New ones are looked for at once.
    pub(super) fn set(&mut self, paths: Vec<PathBuf>) {
        if paths.iter().any(|path| !self.paths.contains(path)) {
            self.due = Instant::now();
            self.unlooked = true;
        }
        self.paths = paths;
    }

    /// Whether some were not there yet. (On a system without them none ever is.)
    pub(super) fn are_missing(&self, host: &Host) -> bool {
        MAX_SOCKET_PATH.is_some() && self.paths.iter().any(|path| !host.has_socket(path))
    }

    /// Whether some are missing that were not looked for yet.
    pub(super) fn are_unlooked(&self, host: &Host) -> bool {
        self.unlooked && self.are_missing(host)
    }

    /// Ends when some of those that were missing are there, and after the first look at new ones. May be dropped and
    /// called again.
    pub(super) async fn appear(&mut self, host: &Host) {
        loop {
            if self.looking.is_none() {
                sleep_until(self.due).await;
            }
            let looking = self.looking.get_or_insert_with(|| {
                let missing = self.paths.iter().filter(|it| !host.has_socket(it));
                let missing: Vec<PathBuf> = missing.cloned().collect();
                let look = move || {
                    let there = missing.into_iter().filter(|it| platform::has_socket(it));
                    there.collect()
                };
                tokio::task::spawn_blocking(look)
            });
            let found = looking.await.unwrap_or_default();
            self.looking = None;
            self.due = Instant::now() + LOOK_EVERY;
            found.iter().for_each(|path| host.found_socket(path));
            if std::mem::take(&mut self.unlooked) || !found.is_empty() {
                return;
            }
        }
    }
}
