//! The effective config: printed so that it can be loaded again, but for hidden passwords.
//!
//! `[defaults]` is printed whole; a service prints what differs from it, a method what differs
//! from its service.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::Error};
use toml::Table;

use super::{
    Admin, Config, Listener, Log, MetricsListen, Policy, Registry, Runtime, Service, Source,
    StaticEndpoint, units,
};

/// What a file with everything in it would say.
#[derive(Serialize)]
struct Printed<'a> {
    runtime: &'a Runtime,
    admin: PrintedAdmin<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a MetricsListen>,
    log: &'a Log,
    registry: &'a [Registry],
    listener: &'a [Listener],
    defaults: &'a Policy,
    service: Vec<PrintedService<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PrintedAdmin<'a> {
    On(&'a Admin),
    Off { listen: &'static str },
}

#[derive(Serialize)]
struct PrintedService<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<&'a [StaticEndpoint]>,
    #[serde(flatten)]
    differs: Table,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    method: BTreeMap<&'a str, Table>,
}

impl Config {
    /// The effective config as TOML, complete and loadable, passwords hidden.
    pub fn to_toml(&self) -> String {
        let text = match toml::to_string(self) {
            // Loaded again, nothing in it is to be expanded a second time.
            Ok(text) => text.replace("${", "$${"),
            // Nothing in a checked config is unprintable; if it were, say so instead of dying.
            Err(error) => format!("# could not be printed: {error}\n"),
        };
        let read_deadline = self.defaults.call.read_deadline;
        if !read_deadline.is_built_in() {
            return text;
        }
        let built_in = units::show_duration(read_deadline.after);
        format!(
            "# Where read_deadline is not written it is {built_in}, for calls that state no \
             deadline.\n{text}"
        )
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let services: Result<_, _> = self
            .services
            .iter()
            .map(|service| printed_service(service, &self.defaults))
            .collect();
        Printed {
            runtime: &self.runtime,
            admin: match &self.admin {
                Some(admin) => PrintedAdmin::On(admin),
                None => PrintedAdmin::Off { listen: "off" },
            },
            metrics: self.metrics.as_ref(),
            log: &self.log,
            registry: &self.registries,
            listener: &self.listeners,
            defaults: &self.defaults,
            service: services.map_err(S::Error::custom)?,
        }
        .serialize(serializer)
    }
}

fn printed_service<'a>(
    service: &'a Service,
    defaults: &Policy,
) -> Result<PrintedService<'a>, toml::ser::Error> {
    let (registry, endpoints) = match &service.source {
        Source::Registry(name) => (Some(&**name), None),
        Source::Static(endpoints) => (None, Some(endpoints.as_slice())),
    };
    let mut method = BTreeMap::new();
    for (name, policy) in &service.methods {
        method.insert(name.as_str(), difference(policy, &service.policy.call)?);
    }
    Ok(PrintedService {
        name: &service.name,
        registry,
        endpoints,
        differs: difference(&service.policy, defaults)?,
        method,
    })
}

/// The keys of `value` that `base` has not, or has otherwise.
fn difference<T: Serialize>(value: &T, base: &T) -> Result<Table, toml::ser::Error> {
    let base = Table::try_from(base)?;
    let mut table = Table::try_from(value)?;
    table.retain(|key, value| base.get(key) != Some(value));
    Ok(table)
}
