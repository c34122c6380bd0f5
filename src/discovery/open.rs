//! Opens the registries that the config names.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config;
use crate::metrics::RegistryMetrics;
use crate::registry::{
    self, Code, Etcd, EtcdOptions, FileOptions, FileRegistry, Registry, Watcher,
};

/// One of them. It runs on the current runtime.
///
/// # Errors
///
/// A certificate that cannot be read, a URL that is none.
pub(crate) fn open(
    config: &config::Registry,
    state_dir: Option<&Path>,
) -> Result<Arc<dyn Registry>, String> {
    let name = config.name();
    let watcher: Arc<dyn Watcher> = Arc::new(Watched(RegistryMetrics::new(name)));
    match config {
        config::Registry::Etcd(etcd) => {
            let layout = match etcd.layout {
                config::Layout::Kitex => registry::Layout::Kitex {
                    prefix: etcd.prefix.clone(),
                },
            };
            let options = EtcdOptions {
                name: name.to_string(),
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
            let etcd = Etcd::new(options, watcher).map_err(|e| format!("registry {name}: {e}"))?;
            Ok(Arc::new(etcd))
        }
        config::Registry::File(file) => Ok(Arc::new(FileRegistry::new(
            FileOptions {
                name: name.to_string(),
                path: file.path.clone(),
            },
            watcher,
        ))),
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
