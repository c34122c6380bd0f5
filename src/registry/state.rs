//! The last good set of each service on disk, so that a restart of tidegate while etcd is away still
//! finds its instances.
//!
//! One small JSON file per service, replaced as a whole. What cannot be written or read is logged
//! and otherwise does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::{Instance, ReadSet};

#[cfg(test)]
mod tests;

/// The least time between two writes of one service's file.
const WRITE_GAP: Duration = Duration::from_secs(1);
/// Larger files are not ours.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Longer names of services are not kept: file systems end at 255 bytes.
const MAX_NAME: usize = 200;

/// A folder with one file per service.
#[derive(Debug, Clone)]
pub struct StateDir {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    service: String,
    instances: Vec<SavedInstance>,
}

#[derive(Serialize, Deserialize)]
struct SavedInstance {
    key: String,
    network: String,
    address: String,
    weight: u32,
    tags: BTreeMap<String, String>,
    revision: u64,
}

const VERSION: u32 = 1;

impl StateDir {
    /// The folder for one registry: `{state_dir}/{registry}`. It is made at the first write.
    #[must_use]
    pub fn new(state_dir: &Path, registry: &str) -> Self {
        StateDir {
            folder: state_dir.join(file_name(registry).unwrap_or_else(|| "registry".to_owned())),
        }
    }

    /// The set that an earlier run left for this service, marked as stale. None if there is none,
    /// or none that can be read.
    #[must_use]
    pub fn load(&self, service: &str) -> Option<ReadSet> {
        let path = self.path(service)?;
        match read(&path, service) {
            Ok(set) => Some(set),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(service, path = %path.display(), "the saved instances cannot be read: {error}");
                None
            }
        }
    }

    /// The services of which an earlier run left a set.
    #[must_use]
    pub fn services(&self) -> BTreeSet<Arc<str>> {
        let Ok(files) = std::fs::read_dir(&self.folder) else {
            return BTreeSet::new();
        };
        let name = |file: io::Result<std::fs::DirEntry>| {
            let file = file.ok()?.file_name();
            name_of(file.to_str()?.strip_suffix(".json")?)
        };
        files.filter_map(name).collect()
    }

    /// Replaces the service's file. An empty set is written only over an earlier one: callers can
    /// name any service, and a service that nobody registered needs no file.
    ///
    /// # Errors
    ///
    /// Those of the file system; the earlier file is then still whole.
    pub fn save(&self, service: &str, set: &ReadSet) -> io::Result<()> {
        let Some(path) = self.path(service) else {
            return Ok(());
        };
        if set.instances.is_empty() && !path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder)?;
        let text = serde_json::to_vec_pretty(&saved(service, set))?;
        let beside = path.with_extension("json.new");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, &path)
    }

    fn path(&self, service: &str) -> Option<PathBuf> {
        Some(self.folder.join(format!("{}.json", file_name(service)?)))
    }
}

/// A name as part of a file name: letters, digits, `-` and `_` stay, also dots but at the start;
/// every other byte is written `%XX`. Two names never share a file.
fn file_name(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'-' | b'_')
            || byte == b'.' && at > 0;
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    (!out.is_empty() && out.len() <= MAX_NAME).then_some(out)
}

/// The name that [`file_name`] made this of.
fn name_of(file: &str) -> Option<Arc<str>> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (file_name(&name).as_deref() == Some(file)).then(|| name.into())
}

fn saved(service: &str, set: &ReadSet) -> Saved {
    let instances = set.instances.iter().map(|instance| SavedInstance {
        key: instance.key.clone(),
        network: instance.network.clone(),
        address: instance.address.clone(),
        weight: instance.weight,
        tags: instance.tags.clone(),
        revision: instance.revision,
    });
    Saved {
        version: VERSION,
        service: service.to_owned(),
        instances: instances.collect(),
    }
}

fn read(path: &Path, service: &str) -> io::Result<ReadSet> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    if std::fs::metadata(path)?.len() > MAX_FILE {
        return Err(invalid("it is too large"));
    }
    let saved: Saved = serde_json::from_slice(&std::fs::read(path)?)?;
    if saved.version != VERSION || saved.service != service {
        return Err(invalid("it is of another version or another service"));
    }
    let instances = saved.instances.into_iter().map(|instance| {
        Arc::new(Instance {
            address: instance.address,
            network: instance.network,
            key: instance.key,
            weight: instance.weight.max(1),
            tags: instance.tags,
            revision: instance.revision,
            notes: Vec::new(),
        })
    });
    Ok(ReadSet {
        instances: instances.collect(),
        skipped: Vec::new(),
        at: Instant::now(),
        stale: true,
    })
}

/// Saves one service's sets in the background, the newest only and at most once a second. The last
/// one is written also when this is dropped.
#[derive(Debug)]
pub(super) struct Saver {
    newest: watch::Sender<Option<Arc<ReadSet>>>,
}

impl Saver {
    pub(super) fn spawn(dir: StateDir, service: Arc<str>) -> Self {
        let (newest, mut sets) = watch::channel::<Option<Arc<ReadSet>>>(None);
        tokio::spawn(async move {
            while sets.changed().await.is_ok() {
                let Some(set) = sets.borrow_and_update().clone() else {
                    continue;
                };
                write(dir.clone(), Arc::clone(&service), set).await;
                sleep(WRITE_GAP).await;
            }
        });
        Saver { newest }
    }

    pub(super) fn save(&self, set: Arc<ReadSet>) {
        self.newest.send_replace(Some(set));
    }
}

async fn write(dir: StateDir, service: Arc<str>, set: Arc<ReadSet>) {
    let name = Arc::clone(&service);
    let written = tokio::task::spawn_blocking(move || dir.save(&name, &set)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(%service, "the instances cannot be saved in state_dir: {error}");
    }
}
