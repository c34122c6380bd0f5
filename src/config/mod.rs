//! The config: what the files say, turned into types that cannot be wrong.
//!
//! Files are read, merged left to right and expanded (`load`), then each table is read into its
//! checked type (`check`). Every value remembers the file and line it came from, so whatever is
//! wrong with any of them is reported at once, each with its place.

mod breakers;
mod check;
mod flags;
mod key;
mod lane;
mod load;
mod nearest;
mod patterns;
mod policy;
mod print;
mod problem;
mod registry;
mod report;
mod resilience;
mod rewrite;
mod types;
mod units;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use check::Listeners;
use load::source::{Source as Text, Sources};
use report::Report;

pub use flags::Flags;
pub use key::{IntKey, Key, NoKey};
pub use lane::{Condition, Lane, Preference, Wanted, Written};
pub(crate) use nearest::nearest;
pub use patterns::{NoPattern, Pattern, Patterns};
pub use policy::{
    Balance, CallPolicy, DeadlineSource, OnDeadline, Policy, ReadDeadline, Suspicious,
};
pub(crate) use print::changed_keys;
pub use problem::{ConfigErrors, Problem, Spot};
pub use registry::{Etcd, File, Layout, Registry, Secret, Tls};
pub use resilience::{
    BreakerPolicy, CheckKind, Counted, EjectionPolicy, HealthCheck, Preset, RateLimit, RetryBudget,
    Share,
};
pub use rewrite::{Cidr, Line, NewHost, NoCidr, Rewrite};
pub use types::{
    Admin, ListenAddr, Listener, Log, LogFormat, MetricsListen, NoListenAddr, Protocol, Runtime,
    SOCKET_MODE, Service, Source, StaticEndpoint,
};
pub(crate) use units::parse_duration;

/// A whole config, checked.
///
/// Names are unique, every name that is referred to exists, and every value is within its range.
/// It serializes to what a file would say ([`Config::to_toml`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The process as a whole.
    pub runtime: Runtime,
    /// The address for people and commands; `None` where it is off.
    pub admin: Option<Admin>,
    /// A second address for metrics.
    pub metrics: Option<MetricsListen>,
    /// What is logged, how and where to.
    pub log: Log,
    /// Where instances are found.
    pub registries: Vec<Registry>,
    /// The ways in; at least one.
    pub listeners: Vec<Listener>,
    /// Which registered addresses are another one from here; the first that takes one counts.
    pub rewrites: Vec<Rewrite>,
    /// The policy of services that have no table of their own.
    pub defaults: Policy,
    /// Every service that the config names, those included that only a listener names.
    pub services: Vec<Service>,
    warnings: Vec<Problem>,
}

impl Config {
    /// Reads files, merges them left to right and checks the result.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub fn load(paths: &[PathBuf]) -> Result<Self, ConfigErrors> {
        Self::load_with(paths, &Flags::default())
    }

    /// The same, with what the command line says as a last file.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_with(paths: &[PathBuf], flags: &Flags) -> Result<Self, ConfigErrors> {
        let listeners = Listeners::Needed;
        Self::from_sources(&Self::sources(paths, flags)?, listeners, &from_environment)
    }

    /// The same for a command that only looks: it needs no listener.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load_to_look(paths: &[PathBuf], flags: &Flags) -> Result<Self, ConfigErrors> {
        let listeners = Listeners::Optional;
        Self::from_sources(&Self::sources(paths, flags)?, listeners, &from_environment)
    }

    fn sources(paths: &[PathBuf], flags: &Flags) -> Result<Sources, ConfigErrors> {
        let mut unread = Vec::new();
        let mut sources = Sources::default();
        for path in paths {
            match Text::read(path) {
                Ok(text) => sources.0.push(text),
                Err(problem) => unread.push(problem),
            }
        }
        if !unread.is_empty() {
            return Err(ConfigErrors(unread));
        }
        sources.0.extend(flags.source());
        Ok(sources)
    }

    /// A config from the command line alone.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn implied(flags: &Flags) -> Result<Self, ConfigErrors> {
        Self::load_with(&[], flags)
    }

    /// Checks a text; `name` stands for the file's in errors.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_str(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        let sources = Sources(vec![Text::new(name, text)]);
        Self::from_sources(&sources, Listeners::Needed, &from_environment)
    }

    fn from_sources(
        sources: &Sources,
        listeners: Listeners,
        environment: load::Environment<'_>,
    ) -> Result<Self, ConfigErrors> {
        let report = Report::new(sources);
        let config =
            load::load(&report, environment).map(|root| check::check(&root, listeners, &report));
        match (config, report.finish()) {
            (Some(config), Ok(warnings)) => Ok(Self { warnings, ..config }),
            (_, Err(errors)) => Err(errors),
            (None, Ok(found)) => Err(ConfigErrors(found)),
        }
    }

    /// The service of this name, if the config has it.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| *service.name == *name)
    }

    /// The policy of a service, whether the config names it or only a call does.
    pub fn policy_of(&self, service: &str) -> &Policy {
        self.service(service)
            .map_or(&self.defaults, |service| &service.policy)
    }

    /// What is allowed but can hardly be meant, each with its place.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
