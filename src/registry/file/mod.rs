//! Instances in a TOML file that is watched: `[[instance]]` with service, address, weight and tags.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::survey::{Ask, Survey};
use super::{Instance, Known, Listing, ReadSet, Registry, Status, Watcher};

mod notice;
mod parse;
mod survey;
#[cfg(test)]
mod tests;

use notice::Notice;
use parse::parse;

/// A save is several steps: a change counts once the file has been the same for so long.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Looks at a file that never stops changing.
const MAX_LOOKS: usize = 20;
/// Looked at this often as well: not every file system tells.
const POLL: Duration = Duration::from_secs(2);
/// The largest file that is read, in bytes: some hundred thousand instances.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Which file.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// The name the config gives this registry.
    pub name: String,
    /// The TOML file.
    pub path: PathBuf,
}

/// A registry in a file. A file that is missing or broken keeps the last good set.
pub struct FileRegistry {
    options: FileOptions,
    sets: watch::Receiver<Option<Sets>>,
    status: Arc<Mutex<Status>>,
}

/// The instances of each service in the newest good file.
pub(super) type Services = BTreeMap<String, Vec<Arc<Instance>>>;

#[derive(Clone)]
struct Sets {
    services: Arc<Services>,
    at: Instant,
}

impl FileRegistry {
    /// Starts to watch the file on the current tokio runtime, until this value and all receivers are
    /// dropped. Reads nothing itself and never fails; see [`Registry::status`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(options: FileOptions, watcher: Arc<dyn Watcher>) -> Self {
        let (sender, sets) = watch::channel(None);
        let status = Arc::new(Mutex::new(Status::default()));
        let reader = Reader {
            path: options.path.clone(),
            sender,
            status: Arc::clone(&status),
            watcher,
            before: None,
            good: false,
        };
        tokio::spawn(reader.run());
        FileRegistry {
            options,
            sets,
            status,
        }
    }

    /// Watches nothing, and so needs no runtime: for [`Registry::survey`] alone. What it is asked to follow stays
    /// unread.
    #[must_use]
    pub fn unwatched(options: FileOptions) -> Self {
        FileRegistry {
            options,
            sets: watch::Sender::new(None).subscribe(),
            status: Arc::default(),
        }
    }
}

impl Registry for FileRegistry {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn watch(&self, service: &str) -> watch::Receiver<Known> {
        let (sender, receiver) = watch::channel(Known::Unread);
        tokio::spawn(serve(service.to_owned(), self.sets.clone(), sender));
        receiver
    }

    fn list(&self, literal: &str) -> watch::Receiver<Listing> {
        let (sender, receiver) = watch::channel(Listing::Unread);
        tokio::spawn(list(literal.to_owned(), self.sets.clone(), sender));
        receiver
    }

    fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// Reads the file anew.
    fn survey(&self, ask: Ask) -> BoxFuture<'_, Survey> {
        Box::pin(survey::survey(&self.options.path, ask))
    }
}

/// Passes the names of every new file on that begin with `literal`, if they differ.
async fn list(
    literal: String,
    mut sets: watch::Receiver<Option<Sets>>,
    listing: watch::Sender<Listing>,
) {
    loop {
        if let Some(Sets { services, .. }) = &*sets.borrow_and_update() {
            let names = services.keys().filter(|name| name.starts_with(&literal));
            let names: BTreeSet<Arc<str>> = names.map(|name| name.as_str().into()).collect();
            let newest = Listing::Read(Arc::new(names));
            listing.send_if_modified(|it| {
                let differs = *it != newest;
                *it = newest;
                differs
            });
        }
        tokio::select! {
            () = listing.closed() => return,
            changed = sets.changed() => if changed.is_err() {
                listing.closed().await;
                return;
            },
        }
    }
}

/// Passes one service's part of every new file on, if it differs.
async fn serve(
    service: String,
    mut sets: watch::Receiver<Option<Sets>>,
    known: watch::Sender<Known>,
) {
    let mut before: Option<Vec<Arc<Instance>>> = None;
    loop {
        let newest = sets.borrow_and_update().clone();
        if let Some(Sets { services, at }) = newest {
            let instances = services.get(&service).cloned().unwrap_or_default();
            if before.as_ref() != Some(&instances) {
                before = Some(instances.clone());
                let set = ReadSet {
                    instances,
                    skipped: Vec::new(),
                    at,
                    stale: false,
                };
                known.send_replace(Known::Read(Arc::new(set)));
            }
        }
        tokio::select! {
            () = known.closed() => return,
            changed = sets.changed() => if changed.is_err() {
                // The registry itself is gone; its last word stands while anyone listens.
                known.closed().await;
                return;
            },
        }
    }
}

/// The one task that reads the file.
struct Reader {
    path: PathBuf,
    sender: watch::Sender<Option<Sets>>,
    status: Arc<Mutex<Status>>,
    watcher: Arc<dyn Watcher>,
    /// What the file held, or why it could not be read, last time: only news is told.
    before: Option<Result<String, String>>,
    /// The newest text was good.
    good: bool,
}

impl Reader {
    async fn run(mut self) {
        let mut notice = Notice::of(&self.path);
        loop {
            self.look().await;
            tokio::select! {
                () = self.sender.closed() => return,
                _ = timeout(POLL, notice.changed()) => {}
            }
            notice.renew(&self.path);
        }
    }

    async fn look(&mut self) {
        let text = self.settled().await;
        if self.before.as_ref() != Some(&text) {
            self.good = match &text {
                Ok(text) => self.adopt(text),
                Err(why) => self.fail(why),
            };
            self.before = Some(text);
        }
        if self.good {
            self.synced();
        }
    }

    /// The file as it is, or, if it has changed, as it is once it has stopped changing: an editor
    /// that writes in place empties it first.
    async fn settled(&self) -> Result<String, String> {
        let mut text = read(&self.path).await;
        for _ in 0..MAX_LOOKS {
            if self.before.is_none() || self.before.as_ref() == Some(&text) {
                break;
            }
            sleep(DEBOUNCE).await;
            let newer = read(&self.path).await;
            if newer == text {
                break;
            }
            text = newer;
        }
        text
    }

    /// Whether the text was good.
    fn adopt(&self, text: &str) -> bool {
        match parse(&self.path, text) {
            Ok(services) => {
                let services = Arc::new(services);
                self.sender.send_replace(Some(Sets {
                    services,
                    at: Instant::now(),
                }));
                self.watcher.update("full");
                tracing::info!(path = %self.path.display(), "read the registry file");
                true
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn synced(&self) {
        let mut status = self.status.lock();
        if !status.up {
            self.watcher.up(true);
        }
        status.up = true;
        status.last_sync = Some(SystemTime::now());
        drop(status);
        self.watcher.synced();
    }

    /// Always false: the text was not good.
    fn fail(&self, why: &str) -> bool {
        let kept = if self.sender.borrow().is_some() {
            "the last good set stays"
        } else {
            "nothing is known yet"
        };
        tracing::warn!(path = %self.path.display(), "{why}; {kept}");
        let mut status = self.status.lock();
        status.up = false;
        status.last_error = Some(why.into());
        drop(status);
        self.watcher.up(false);
        false
    }
}

async fn read(path: &Path) -> Result<String, String> {
    let said = |error: io::Error| {
        format!(
            "the registry file {} cannot be read: {error}",
            path.display()
        )
    };
    read_bounded(path).await.map_err(said)
}

/// A pipe or a device would keep whoever opens it waiting, or never end.
async fn read_bounded(path: &Path) -> io::Result<String> {
    let told = tokio::fs::metadata(path).await?;
    if !told.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    // It may grow meanwhile.
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).await?;
    if read as u64 > MAX_FILE {
        let mib = MAX_FILE >> 20;
        return Err(io::Error::other(format!("it is larger than {mib} MiB")));
    }
    Ok(text)
}
