//! From the merged tree to checked types: one file per table.

mod address;
mod contradictions;
mod lanes;
mod listener;
mod policy;
mod process;
mod registry;
mod resilience;
mod rewrite;
mod section;
mod service;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Config;
use super::load::source::Place;
use super::load::tree::Table;
use super::policy::{DeadlineSource, Policy};
use super::report::Report;
use registry::Registries;
use section::{Section, Text, read_root};

/// Whether a config must say where to listen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listeners {
    /// It is to be run.
    Needed,
    /// It is only looked with.
    Optional,
}

/// Reads and checks everything; what is wrong goes to the report.
///
/// The result is of use only if the report stays free of errors.
pub(super) fn check(root: &Table, needed: Listeners, report: &Report<'_>) -> Config {
    read_root(report, root, |file| {
        let mut taken = Taken::default();
        let runtime = file.table("runtime", process::runtime).unwrap_or_default();
        let metrics = file
            .table("metrics", |table| process::metrics(table, &mut taken))
            .flatten();
        let log = file.table("log", process::log).unwrap_or_default();
        let registries = Registries::read(file);
        let defaults = file
            .table("defaults", |table| {
                policy::policy(table, &Policy::default(), DeadlineSource::Default)
            })
            .unwrap_or_default();
        let (mut services, named) = service::services(file, &registries, &defaults);
        if let Some(table) = file.peek("defaults") {
            contradictions::idle(&table, &defaults, &Policy::default(), &services);
            contradictions::picks(&table, &defaults, &services);
        }
        let listeners = listener::listeners(file, &registries, &mut taken, |name, registry| {
            service::imply(&mut services, name, registry, &defaults);
        });
        if needed == Listeners::Needed {
            listener::complain_of_none(file, &listeners);
        }
        service::unreachable(report, &listeners, &named);
        let rewrites = rewrite::rewrites(file);
        let admin = process::admin(file, &mut taken);
        Config {
            runtime,
            admin,
            metrics,
            log,
            registries: registries.list,
            listeners,
            rewrites,
            defaults,
            services,
            warnings: Vec::new(),
        }
    })
}

/// Names or addresses of which each may stand once.
#[derive(Default)]
struct Taken(BTreeMap<String, Place>);

impl Taken {
    /// Takes `name`, or reports who has it. `what` is said with its article.
    fn take(&mut self, section: &Section<'_>, what: &str, name: Text<'_>) {
        match self.0.get(&canonical(name.text)) {
            Some(first) => {
                let first = section.report.sources().brief(*first);
                let message = format!(
                    "expected {what} of its own, found \"{}\", which {first} has",
                    name.text
                );
                section.report.error(name.at, message);
            }
            None => {
                self.0.insert(canonical(name.text), name.at);
            }
        }
    }
}

/// One writing of an address that can be written in several ways.
fn canonical(name: &str) -> String {
    let address = name.parse::<SocketAddr>();
    address.map_or_else(|_| name.to_owned(), |address| address.to_string())
}
