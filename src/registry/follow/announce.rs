//! One log line for each registered address that is new, with its class and what to do about it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::registry::{Class, Code, Members, Shown, Skipped};

/// Lines for one change of the set; a registry of thousands must not drown the log.
const MAX_LINES: usize = 100;

/// Remembers what was said.
pub(super) struct Announcer {
    service: Arc<str>,
    addresses: HashMap<String, Vec<(Class, Option<Code>)>>,
    skipped: HashMap<String, Code>,
}

impl Announcer {
    pub(super) fn new(service: Arc<str>) -> Self {
        Announcer {
            service,
            addresses: HashMap::new(),
            skipped: HashMap::new(),
        }
    }

    /// Says what is new among the registered addresses, and forgets those that went.
    pub(super) fn announce(&mut self, members: &Members) {
        let mut seen: HashMap<String, Vec<(Class, Option<Code>)>> = HashMap::new();
        let mut lines = 0;
        for shown in &members.shown {
            if shown.is_pending() {
                continue;
            }
            let key = shown.instance.address.clone();
            let what = (shown.class, shown.code);
            let said = self
                .addresses
                .get(&key)
                .is_some_and(|said| said.contains(&what));
            let entry = seen.entry(key).or_default();
            if !said && !entry.contains(&what) {
                lines += 1;
                if lines <= MAX_LINES {
                    self.say(shown);
                }
            }
            entry.push(what);
        }
        if lines > MAX_LINES {
            let more = lines - MAX_LINES;
            tracing::info!(service = %self.service, "and {more} more registered addresses; /services lists all");
        }
        self.addresses = seen;
    }

    /// Says what could not be read.
    pub(super) fn announce_skipped(&mut self, skipped: &[Skipped]) {
        let mut seen = HashMap::new();
        for entry in skipped {
            let said = self.skipped.get(&entry.key) == Some(&entry.code);
            if !said && seen.len() < MAX_LINES {
                tracing::warn!(
                    service = %self.service, registry.key = entry.key, code = %entry.code,
                    "skipped: {}", entry.why
                );
            }
            seen.insert(entry.key.clone(), entry.code);
        }
        self.skipped = seen;
    }

    fn say(&self, shown: &Shown) {
        let (service, class) = (&self.service, shown.class.label());
        let (address, key) = (shown.instance.address.as_str(), shown.instance.key.as_str());
        let Some(code) = shown.code else {
            let note = if shown.why.is_empty() {
                String::new()
            } else {
                format!(": {}", shown.why)
            };
            tracing::info!(%service, endpoint.addr = address, registry.key = key, class, "registered{note}");
            return;
        };
        let remedy = code.remedy(&shown.instance);
        let use_ = if shown.used { "used" } else { "not used" };
        if needs_a_person(shown, code) {
            tracing::warn!(
                %service, endpoint.addr = address, registry.key = key, class, %code,
                "registered, {use_}: {}; {remedy}", shown.why
            );
        } else {
            tracing::info!(
                %service, endpoint.addr = address, registry.key = key, class, %code,
                "registered, {use_}: {}; {remedy}", shown.why
            );
        }
    }
}

/// An address that serves needs nobody, whatever its look; a duplicate neither.
fn needs_a_person(shown: &Shown, code: Code) -> bool {
    !shown.used && code != Code::R11 || code == Code::R08
}
