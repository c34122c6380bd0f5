//! What registrations say of the addresses that are dialled.

use std::collections::HashMap;

use crate::cluster::finding::Registered;
use crate::diagnosis::Origin;
use crate::registry::{Host, Member, Members, Registry};

/// Where the addresses of a service come from, and are looked at from.
pub(super) struct Origins<'a> {
    host: &'a Host,
    /// Whoever registers in the registry shares this host.
    alone: bool,
}

impl<'a> Origins<'a> {
    pub(super) fn new(host: &'a Host, registry: Option<&dyn Registry>) -> Self {
        let alone = registry.is_none_or(|it| it.is_on(host));
        Self { host, alone }
    }

    pub(super) fn of(&self, member: &Member) -> Origin {
        let ip = member.dial.tcp().map(|socket| socket.ip());
        Origin {
            class: member.dialled_class(),
            codes: member.codes.clone(),
            on_link: ip.is_some_and(|ip| self.host.is_on_link(ip)),
            alone: self.alone,
            lost: member.last_resort,
            instance: Some(member.instance.clone()),
        }
    }
}

/// How many of the registered addresses, dialled or not, show each finding.
pub(super) fn registered_findings(members: &Members) -> Registered {
    let mut counts = HashMap::new();
    for shown in &members.shown {
        for code in shown.code.iter().chain(&shown.more) {
            *counts.entry(*code).or_default() += 1;
        }
    }
    counts
}
