//! `[[rewrite]]` rules at work: which of them takes a registered address, and what it makes of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::candidate::{World, candidates};
use super::{Class, Host, Instance, Malformed, Resolved, fixed};
use crate::config::{NewHost, Rewrite, StaticEndpoint};

#[cfg(test)]
mod tests;

/// The rules that the addresses of one service are held against, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrites(Vec<Arc<Rule>>);

/// A rule with the words for it, which say where it stands: one that only moved is the same.
#[derive(Debug)]
pub(super) struct Rule {
    config: Rewrite,
    label: Arc<str>,
    words: Arc<str>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Eq for Rule {}

/// What a rule made of a registered address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Host and port that are dialled; a name is resolved first.
    pub to: Arc<str>,
    /// The class of what is dialled: it, not the registered one's, counts.
    pub class: Class,
    /// Which rule, in words: `rewrite "office", dev.toml:4`.
    pub rule: Arc<str>,
    /// Which rule, as the label of metrics.
    pub label: Arc<str>,
}

/// `203.0.113.7:30080 (rewrite "office", dev.toml:4)`.
impl fmt::Display for Rewritten {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.to, self.rule)
    }
}

/// What is known of the IP address that a registration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    /// This one.
    Is(IpAddr),
    /// A name that was not looked up yet.
    Unknown,
    /// It has none: a path, a name that does not resolve, a text that cannot be read.
    Never,
}

/// Which rule takes an address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ruling<'a> {
    /// None does.
    None,
    /// This one.
    By(&'a Rule),
    /// It depends on the IP address, which is not known yet.
    Resolve,
}

impl Rewrites {
    /// All rules of a config.
    #[must_use]
    pub fn new(rules: &[Rewrite]) -> Self {
        let rule = |rule: &Rewrite| Rule {
            label: rule.label(),
            words: rule.to_string().into(),
            config: rule.clone(),
        };
        Self(rules.iter().map(|it| Arc::new(rule(it))).collect())
    }

    /// Those of them that may take addresses of this service.
    #[must_use]
    pub fn of(&self, service: &str) -> Self {
        let fits = |rule: &&Arc<Rule>| {
            let pattern = rule.config.service.as_ref();
            pattern.is_none_or(|pattern| pattern.matches(service))
        };
        Self(self.0.iter().filter(fits).cloned().collect())
    }

    /// The rules' labels, in their order.
    pub fn labels(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|rule| &rule.label)
    }

    /// The first rule that takes the instance.
    pub(super) fn ruling(&self, instance: &Instance, ip: Ip) -> Ruling<'_> {
        for rule in self.0.iter().filter(|rule| rule.takes_but_for_ip(instance)) {
            match (rule.config.cidr, ip) {
                (None, _) => return Ruling::By(rule),
                (Some(cidr), Ip::Is(ip)) if cidr.contains(ip) => return Ruling::By(rule),
                (Some(_), Ip::Unknown) => return Ruling::Resolve,
                (Some(_), Ip::Is(_) | Ip::Never) => {}
            }
        }
        Ruling::None
    }
}

impl Rule {
    fn takes_but_for_ip(&self, instance: &Instance) -> bool {
        let Rewrite { address, tag, .. } = &self.config;
        let tagged = |(key, value): (&String, &String)| instance.tags.get(key) == Some(value);
        address.as_ref().is_none_or(|it| *it == instance.address) && tag.iter().all(tagged)
    }

    /// The host that it sets.
    pub(super) fn host(&self) -> Option<&NewHost> {
        self.config.host.as_ref()
    }

    /// The port that it sets.
    pub(super) fn port(&self) -> Option<u16> {
        self.config.port
    }

    /// What becomes of an address whose host and port are these now.
    pub(super) fn rewritten(&self, host: &NewHost, port: u16, class: Class) -> Rewritten {
        let to = match host {
            NewHost::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            host => format!("{host}:{port}"),
        };
        Rewritten {
            to: to.into(),
            class,
            rule: self.words.clone(),
            label: self.label.clone(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words)
    }
}

/// The port that stands last in an address that cannot be read as a whole.
pub(super) fn last_port(address: &str, malformed: &Malformed) -> Option<u16> {
    let host_is_wrong = matches!(
        malformed,
        Malformed::NoBrackets | Malformed::BadBrackets | Malformed::BadHost
    );
    let (_, port) = address.rsplit_once(':').filter(|_| host_is_wrong)?;
    port.parse().ok().filter(|port| *port > 0)
}

/// What the rules make of endpoints that stand in the config, as far as that can be said without resolving names:
/// `10.0.0.7:8888 → 203.0.113.7:30080 (rewrite "office", dev.toml:4)`.
#[must_use]
pub fn preview(rules: &[Rewrite], service: &str, endpoints: &[StaticEndpoint]) -> Vec<String> {
    let (host, names) = (Host::default(), Resolved::new());
    let rewrites = Rewrites::new(rules).of(service);
    let world = World {
        host: &host,
        names: &names,
        rewrites: &rewrites,
    };
    let before_and_after = |endpoint: &StaticEndpoint| {
        let (address, tags) = (endpoint.address.clone(), endpoint.tags.clone());
        let instance = Arc::new(fixed::instance(address, endpoint.weight, tags));
        let first = candidates(&instance, &world, &mut Default::default())
            .into_iter()
            .next()?;
        Some(format!("{} → {}", endpoint.address, first.rewritten?))
    };
    endpoints.iter().filter_map(before_and_after).collect()
}
