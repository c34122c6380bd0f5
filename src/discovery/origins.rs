//! What registrations say of the addresses that are dialled.

use std::collections::HashMap;

use crate::cluster::finding::Registered;
use crate::diagnosis::Origin;
use crate::finding::Code;
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
            rewritten: member.rewritten.clone(),
        }
    }
}

/// How many of the registered addresses that are not dialled show each finding. What is dialled is counted by what was
/// seen there, too; of another entry with that address, only what the one that counts does not show.
pub(super) fn registered_findings(members: &Members) -> Registered {
    let dialled: HashMap<_, _> = members.list.iter().map(|it| (&it.dial, it)).collect();
    let mut counts = HashMap::new();
    for shown in members.shown.iter().filter(|it| !it.used) {
        let winner = shown.dial.as_ref().and_then(|dial| dialled.get(dial));
        let is_counted = |code: &Code| winner.is_some_and(|it| it.codes.contains(code));
        let codes = shown.code.iter().chain(&shown.more);
        for code in codes.filter(|code| !code.is_note() && !is_counted(code)) {
            *counts.entry(*code).or_default() += 1;
        }
    }
    counts
}
