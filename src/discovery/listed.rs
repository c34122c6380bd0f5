//! Lists the services of a registry, and says which registry has a name now.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Discovery, Followed};
use crate::config::Source;
use crate::registry::{Listing, Registry};

/// The services of one registry, listed.
pub struct Listed {
    /// Where.
    pub registry: Arc<dyn Registry>,
    /// What is known of them.
    pub listing: watch::Receiver<Listing>,
    task: AbortHandle,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Discovery {
    /// Whether the registry that has this name now is this very one.
    pub fn is_current(&self, name: &str, registry: &Arc<dyn Registry>) -> bool {
        let all = self.registries.load();
        all.get(name).is_some_and(|it| Arc::ptr_eq(it, registry))
    }

    /// Whether the service is followed in the registry that has the name of its own now.
    pub fn follows_current(&self, followed: &Followed) -> bool {
        match &followed.source {
            Source::Registry(name) => self.is_current(name, &followed.registry),
            Source::Static(_) => true,
        }
    }

    /// Lists the services of a registry whose names begin with `literal`, for as long as both live; calls `tell`
    /// after each change. `None`: there is no such registry.
    pub fn list(
        &self,
        name: &str,
        literal: &str,
        tell: impl Fn() + Send + 'static,
    ) -> Option<Listed> {
        let _runtime = self.control.enter();
        let registry = self.registries.load().get(name)?.clone();
        let listing = registry.list(literal);
        let mut changes = listing.clone();
        let telling = async move {
            while changes.changed().await.is_ok() {
                tell();
            }
        };
        Some(Listed {
            registry,
            listing,
            task: self.control.spawn(telling).abort_handle(),
        })
    }
}
