//! Notices that a file may have changed.

use std::path::Path;
use std::sync::Arc;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Watches the file's folder rather than the file: editors and deployments replace files by
/// renaming, and a mounted Kubernetes volume swaps a link beside it. So every event of the folder
/// counts; whoever asks looks at the content, which is cheap, and bounded by its debounce.
pub(super) struct Notice {
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
}

impl Notice {
    /// Watches as far as the system can; where it cannot, [`Notice::changed`] just never ends.
    pub(super) fn of(path: &Path) -> Self {
        let mut notice = Notice {
            changed: Arc::new(Notify::new()),
            watcher: None,
        };
        notice.renew(path);
        notice
    }

    /// Tries again if the folder could not be watched (it did not exist).
    pub(super) fn renew(&mut self, path: &Path) {
        if self.watcher.is_none() {
            self.watcher = watch(path, Arc::clone(&self.changed));
        }
    }

    /// Ends once something changed since it last ended.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn watch(path: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let tell = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}
