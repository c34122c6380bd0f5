//! Another config for a running tidegate: all of it, or nothing.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::{App, StartError, bind, dialled, table};
use crate::buffer;
use crate::config::{self, Config, ListenAddr};
use crate::metrics;
use crate::route::Routed;

/// Why a reload was refused; everything stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The files are wrong.
    #[error("{0}")]
    Config(String),
    /// What cannot change while tidegate runs.
    #[error("{0} changed, which needs a restart; nothing was reloaded")]
    NeedsRestart(String),
    /// A new listener, or a new registry.
    #[error("{0}; nothing was reloaded")]
    Start(#[from] StartError),
}

impl App {
    /// Puts another config in force. New sockets are bound before anything changes. Returns what changed, for the log.
    ///
    /// # Errors
    ///
    /// See [`ReloadError`]; everything stays as it was then.
    pub async fn reload(&self, new: Result<Config, String>) -> Result<String, ReloadError> {
        let _one = self.reloading.lock().await;
        let result = new
            .map_err(ReloadError::Config)
            .and_then(|new| self.change(&new));
        metrics::process_wide().config_reload(result.is_ok());
        match &result {
            Ok(changes) => tracing::info!("reloaded: {changes}"),
            Err(error) => tracing::error!("reload refused: {error}"),
        }
        result
    }

    fn change(&self, new: &Config) -> Result<String, ReloadError> {
        let old = self.config();
        needs_restart(&old, new)?;
        let mut changes = Vec::new();
        let registries = self
            .discovery
            .open(
                &new.registries,
                &old.registries,
                new.runtime.state_dir.as_deref(),
            )
            .map_err(StartError::Registry)?;
        let (kept, added): (Vec<_>, Vec<_>) = new
            .listeners
            .iter()
            .cloned()
            .partition(|l| old.listeners.iter().any(|o| o.listen == l.listen));
        let bound = bind(&added)?;
        // From here on nothing can fail.
        self.discovery.set_registries(registries);
        self.discovery.set_rewrites(&new.rewrites);
        buffer::set_limit(new.runtime.max_buffered);
        let services = kept_services(&old, new, &self.routes.all());
        self.routes
            .set_table(table(new, &self.discovery, &services));
        self.routes.set_listeners(&new.listeners);
        self.config.store(Arc::new(new.clone()));
        let gone = self.close_others(new);
        for config in kept {
            if let Some(door) = self
                .doors
                .lock()
                .iter()
                .find(|d| is_at(&config, &d.config().listen))
            {
                door.set_config(config);
            }
        }
        // What was looked up by a listener's old config is looked up again.
        self.routes.renew();
        for socket in bound {
            changes.push(format!(
                "listener {} added on {}",
                socket.config.name, socket.addr
            ));
            self.open(socket);
        }
        changes.extend(
            gone.iter()
                .map(|name| format!("listener {name} removed, it drains")),
        );
        changes.extend(differences(&old, new));
        self.discovery
            .set_own_listeners(self.doors.lock().iter().map(|d| dialled(&d.addr)).collect());
        Ok(if changes.is_empty() {
            "nothing changed".to_owned()
        } else {
            changes.join("; ")
        })
    }

    /// Closes the listeners that the config no longer has; they drain.
    fn close_others(&self, new: &Config) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        self.doors.lock().retain(|door| {
            let keep = new
                .listeners
                .iter()
                .any(|l| is_at(l, &door.config().listen));
            if !keep {
                door.drain.close();
                gone.push(door.name.clone());
            }
            keep
        });
        gone
    }
}

/// A listener is the same if its address is.
fn is_at(config: &crate::config::Listener, addr: &ListenAddr) -> bool {
    config.listen == *addr
}

/// The services of before that the new config has, too, and whether they are looked up at the same place.
fn kept_services(
    old: &Config,
    new: &Config,
    services: &HashMap<Arc<str>, Routed>,
) -> HashMap<Arc<str>, (Routed, bool)> {
    let registry = |config: &Config, name: &Arc<str>| {
        config.registries.iter().find(|r| r.name() == name).cloned()
    };
    new.services
        .iter()
        .filter_map(|service| {
            let routed = services.get(&service.name)?.clone();
            let same = routed.followed.source == service.source
                && match &service.source {
                    crate::config::Source::Registry(name) => {
                        registry(old, name) == registry(new, name)
                    }
                    crate::config::Source::Static(_) => true,
                };
            Some((service.name.clone(), (routed, same)))
        })
        .collect()
}

/// What else changed, in words.
fn differences(old: &Config, new: &Config) -> Vec<String> {
    let mut words = Vec::new();
    for service in &new.services {
        match old.services.iter().find(|o| o.name == service.name) {
            None => words.push(format!("service {} added", service.name)),
            Some(before) if before != service => {
                let keys = config::changed_keys(before, service).join(", ");
                words.push(format!("service {} changed: {keys}", service.name));
            }
            Some(_) => {}
        }
    }
    for service in &old.services {
        if !new.services.iter().any(|n| n.name == service.name) {
            words.push(format!("service {} removed", service.name));
        }
    }
    for listener in &new.listeners {
        if old
            .listeners
            .iter()
            .any(|o| o.listen == listener.listen && o != listener)
        {
            words.push(format!("listener {} changed", listener.name));
        }
    }
    if old.registries != new.registries {
        words.push("registries changed".to_owned());
    }
    if old.rewrites != new.rewrites {
        words.push("rewrites changed".to_owned());
    }
    if old.defaults != new.defaults {
        words.push("defaults changed".to_owned());
    }
    words
}

fn needs_restart(old: &Config, new: &Config) -> Result<(), ReloadError> {
    let (a, b) = (&old.runtime, &new.runtime);
    let listen = |c: &Config| c.admin.as_ref().map(|admin| admin.listen.to_string());
    let changed = [
        ("runtime.workers", a.workers != b.workers),
        ("runtime.state_dir", a.state_dir != b.state_dir),
        ("runtime.max_frame", a.max_frame != b.max_frame),
        ("runtime.hold", a.hold != b.hold),
        ("runtime.mark", a.mark != b.mark),
        ("admin.listen", listen(old) != listen(new)),
        ("metrics.listen", old.metrics != new.metrics),
    ];
    let mut names = String::new();
    for (name, _) in changed.iter().filter(|(_, changed)| *changed) {
        let comma = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{comma}{name}");
    }
    if names.is_empty() {
        Ok(())
    } else {
        Err(ReloadError::NeedsRestart(names))
    }
}
