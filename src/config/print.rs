//! The effective config: printed so that it can be loaded again, but for hidden passwords.
//!
//! `[defaults]` is printed whole; a service prints what differs from it, a method what differs
//! from its service. The tables within a policy are printed in the same way, key by key.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::Error};
use toml::{Table, Value};

use super::{
    Admin, Config, Listener, Log, MetricsListen, Policy, Registry, Rewrite, Runtime, Service,
    Source, StaticEndpoint, units,
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rewrite: &'a [Rewrite],
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
            rewrite: &self.rewrites,
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
    let base = service.policy.call.of_methods();
    for (name, policy) in &service.methods {
        method.insert(name.as_str(), difference(policy, &base)?);
    }
    Ok(PrintedService {
        name: &service.name,
        registry,
        endpoints,
        differs: policy_difference(&service.policy, defaults)?,
        method,
    })
}

/// What a service's table says so that, read over `base`, it gives `policy`.
pub(super) fn policy_difference(policy: &Policy, base: &Policy) -> Result<Table, toml::ser::Error> {
    let (written, stands) = (&policy.breaker, &base.breaker);
    if written.preset == stands.preset {
        return difference(policy, base);
    }
    // A preset that is written stands in the place of what is above.
    let over_preset = Policy {
        breaker: written.preset.policy(),
        ..base.clone()
    };
    let mut table = difference(policy, &over_preset)?;
    let preset = Value::try_from(written.preset)?;
    let breaker = table.entry("breaker").or_insert(Value::Table(Table::new()));
    if let Value::Table(breaker) = breaker {
        breaker.insert("preset".into(), preset);
    }
    Ok(table)
}

/// The keys by which two versions of a service differ, dotted: `breaker.window`, `method.Get.tries`.
pub(crate) fn changed_keys(old: &Service, new: &Service) -> Vec<String> {
    let whole = |service: &Service| {
        let policy = Table::try_from(&service.policy);
        let printed = printed_service(service, &service.policy).and_then(|it| Table::try_from(&it));
        let mut table = printed.unwrap_or_default();
        table.extend(policy.unwrap_or_default());
        table
    };
    let mut keys = Vec::new();
    dotted("", &whole(old), &whole(new), &mut keys);
    keys
}

fn dotted(path: &str, old: &Table, new: &Table, keys: &mut Vec<String>) {
    let all: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in all.into_iter().filter(|key| old.get(*key) != new.get(*key)) {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => dotted(&path, old, new, keys),
            _ => keys.push(path),
        }
    }
}

/// The keys of `value` that `base` has not, or has otherwise.
fn difference<T: Serialize>(value: &T, base: &T) -> Result<Table, toml::ser::Error> {
    Ok(differing(Table::try_from(value)?, &Table::try_from(base)?))
}

fn differing(table: Table, base: &Table) -> Table {
    let mut differs = Table::new();
    for (key, value) in table {
        match (value, base.get(&key)) {
            (value, Some(base)) if value == *base => {}
            (Value::Table(inner), Some(Value::Table(base))) => {
                // Of a health check: without it, the table alone would switch it on.
                let kind = inner.get("kind").cloned();
                let mut inner = differing(inner, base);
                inner.extend(kind.map(|kind| ("kind".to_owned(), kind)));
                differs.insert(key, Value::Table(inner));
            }
            (value, _) => {
                differs.insert(key, value);
            }
        }
    }
    differs
}
