//! The app as the admin face drives it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

use super::App;
use crate::admin::{BreakerOrder, Control, Pending, Readiness, Services};
use crate::cli::RunArgs;
use crate::log::LogHandle;
use crate::recorder::Wanted;
use crate::registry::Registry;

/// A running app with its log, and the way to load its config again.
pub(super) struct Face {
    pub(super) app: Arc<App>,
    pub(super) args: RunArgs,
    pub(super) log: LogHandle,
    /// Rung by `POST /drain`.
    pub(super) stop: Arc<Notify>,
}

impl Face {
    /// Loads the config again and puts it in force.
    pub(super) async fn reload(&self) -> Result<String, String> {
        let loaded = self.args.load().map_err(|errors| errors.to_string());
        let log = loaded.as_ref().ok().map(|config| config.log.clone());
        let changes = self
            .app
            .reload(loaded)
            .await
            .map_err(|error| error.to_string())?;
        match log.map(|log| self.log.apply(&log)) {
            Some(Err(error)) => Err(format!("{changes}; but the log stays as it was: {error}")),
            _ => Ok(changes),
        }
    }
}

impl Control for Face {
    fn services(&self) -> Value {
        self.app.services()
    }

    fn config(&self) -> String {
        self.app.config().to_toml()
    }

    fn readiness(&self) -> Readiness {
        if self.app.is_draining() {
            return Readiness::Draining;
        }
        // Tried is enough: a registry that is away must not take the proxy out, too.
        let untried = |registry: &dyn Registry| {
            let status = registry.status();
            status.last_sync.is_none() && status.last_error.is_none()
        };
        match self
            .app
            .discovery
            .registries()
            .iter()
            .find(|(_, registry)| untried(&***registry))
        {
            Some((name, _)) => Readiness::Starting(format!("registry {name} was not tried yet")),
            None => Readiness::Ready,
        }
    }

    fn reload(&self) -> Pending<'_, Result<String, String>> {
        Box::pin(self.reload())
    }

    fn drain(&self) -> Result<String, String> {
        if self.app.is_draining() {
            return Err("it is stopping already".to_owned());
        }
        self.stop.notify_one();
        let runtime = &self.app.config().runtime;
        let human = crate::outcome::human;
        Ok(format!(
            "stopping within {} and {}",
            human(runtime.drain_delay),
            human(runtime.drain_timeout)
        ))
    }

    fn why(&self, service: Option<&str>, endpoint: Option<&str>) -> Result<String, String> {
        self.app.why(service, endpoint)
    }

    fn calls(&self, wanted: &Wanted) -> Result<Services, String> {
        let services = self.app.calls(wanted)?;
        Ok(Box::new(services))
    }

    fn breaker(&self, order: &BreakerOrder) -> Result<String, String> {
        self.app.breaker(order)
    }

    fn log_level(&self) -> String {
        self.log.level()
    }

    fn set_log_level(&self, directives: &str) -> Result<(), String> {
        self.log
            .set_level(directives)
            .map_err(|error| error.to_string())
    }
}
