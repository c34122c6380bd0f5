//! Opens the registries that the config names.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config;
use crate::metrics::RegistryMetrics;
use crate::registry::{
    self, Code, Etcd, EtcdOptions, FileOptions, FileRegistry, Registry, Unwatched, Watcher,
};

/// To be followed, with series of its own.
pub(super) fn open(
    config: &config::Registry,
    state_dir: Option<&Path>,
) -> Result<Arc<dyn Registry>, String> {
    let name = config.name();
    let watcher: Arc<dyn Watcher> = Arc::new(Watched(RegistryMetrics::new(name)));
    Ok(match config {
        config::Registry::Etcd(etcd) => Arc::new(etcd_of(etcd, state_dir, watcher)?),
        config::Registry::File(file) => Arc::new(FileRegistry::new(file_of(file), watcher)),
    })
}

/// A registry of the config for one look at it ([`Registry::survey`]): nothing is followed, counted or kept.
///
/// # Errors
///
/// Options that contradict each other. Nothing is read yet.
pub fn open_once(config: &config::Registry) -> Result<Arc<dyn Registry>, String> {
    Ok(match config {
        config::Registry::Etcd(etcd) => Arc::new(etcd_of(etcd, None, Arc::new(Unwatched))?),
        config::Registry::File(file) => Arc::new(FileRegistry::unwatched(file_of(file))),
    })
}

fn etcd_of(
    etcd: &config::Etcd,
    state_dir: Option<&Path>,
    watcher: Arc<dyn Watcher>,
) -> Result<Etcd, String> {
    let layout = match etcd.layout {
        config::Layout::Kitex => registry::Layout::Kitex {
            prefix: etcd.prefix.clone(),
        },
    };
    let options = EtcdOptions {
        name: etcd.name.to_string(),
        layout,
        connect_timeout: etcd.connect_timeout,
        request_timeout: etcd.timeout,
        state_dir: state_dir.map(Into::into),
        endpoints: etcd.endpoints.clone(),
        user: etcd.user.clone(),
        password: etcd.password.as_ref().map(|p| p.expose().to_owned()),
        ca: etcd.tls.as_ref().and_then(|t| t.ca.clone()),
        cert: etcd.tls.as_ref().and_then(|t| t.cert.clone()),
        key: etcd.tls.as_ref().and_then(|t| t.key.clone()),
        domain: etcd.tls.as_ref().and_then(|t| t.domain.clone()),
        ..EtcdOptions::default()
    };
    Etcd::new(options, watcher).map_err(|e| format!("registry {}: {e}", etcd.name))
}

fn file_of(file: &config::File) -> FileOptions {
    FileOptions {
        name: file.name.to_string(),
        path: file.path.clone(),
    }
}

/// Binds a registry's news to its series.
struct Watched(RegistryMetrics);

impl Watcher for Watched {
    fn up(&self, up: bool) {
        self.0.up(up);
    }
    fn synced(&self) {
        self.0.synced(SystemTime::now());
    }
    fn update(&self, kind: &'static str) {
        self.0.update(kind);
    }
    fn skipped(&self, code: Code) {
        self.0.skipped(code.label());
    }
    fn watch_restarted(&self, cause: &'static str) {
        self.0.watch_restarted(cause);
    }
}
