//! One log line for each registered address that is new, or whose use changed, with its class and what to do about it;
//! and one for each that went.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::finding::plain;
use crate::registry::{Class, Code, DialAddr, Members, Naming, Rewritten, Shown, Skipped, brief};

#[cfg(test)]
mod tests;

/// Lines for one change of the set; a registry of thousands must not drown the log.
const MAX_LINES: usize = 100;

/// What was said of an address: its class, its gravest finding, whether calls may be sent to it, what a rule made of it,
/// and whether it is kept though it is registered no more.
type Said = (Class, Option<Code>, bool, Option<Rewritten>, bool);

/// Remembers what was said.
pub(super) struct Announcer {
    service: Arc<str>,
    addresses: HashMap<String, Vec<Said>>,
    /// Whether anything could be used when that was last looked at.
    served: bool,
    /// Whether nothing at all was registered then.
    nothing: bool,
    skipped: HashMap<String, Code>,
}

impl Announcer {
    pub(super) fn new(service: Arc<str>) -> Self {
        Announcer {
            service,
            addresses: HashMap::new(),
            served: false,
            nothing: false,
            skipped: HashMap::new(),
        }
    }

    /// Says what is new among the registered addresses, and forgets those that went.
    pub(super) fn announce(&mut self, members: &Members) {
        let mut seen: HashMap<String, Vec<Said>> = HashMap::new();
        let mut lines = 0;
        let lost: HashSet<&DialAddr> = members
            .list
            .iter()
            .filter(|it| it.last_resort)
            .map(|it| &it.dial)
            .collect();
        for shown in &members.shown {
            if shown.is_pending() {
                continue;
            }
            let key = shown.instance.address.clone();
            let rewritten = shown.rewritten.clone();
            let is_lost = shown.dial.as_ref().is_some_and(|it| lost.contains(it));
            let what = (shown.class, shown.code, shown.used, rewritten, is_lost);
            let said = self
                .addresses
                .get(&key)
                .is_some_and(|said| said.contains(&what));
            let entry = seen.entry(key).or_default();
            if !said && !entry.contains(&what) {
                lines += 1;
                if lines <= MAX_LINES && is_lost {
                    self.say_lost(shown);
                } else if lines <= MAX_LINES {
                    self.say(shown, self.addresses.contains_key(&shown.instance.address));
                }
            }
            entry.push(what);
        }
        if lines > MAX_LINES {
            let more = lines - MAX_LINES;
            tracing::info!(service = %self.service, "and {more} more registered addresses; /services lists all");
        }
        self.say_gone(&seen);
        let before = std::mem::replace(&mut self.addresses, seen);
        self.say_whether_served(members, !before.is_empty());
    }

    /// Says which addresses are there no more.
    fn say_gone(&self, seen: &HashMap<String, Vec<Said>>) {
        let gone = self
            .addresses
            .keys()
            .filter(|address| !seen.contains_key(*address));
        for address in gone.take(MAX_LINES) {
            let address = brief(address);
            tracing::info!(service = %self.service, endpoint.addr = %address, "no longer registered");
        }
    }

    /// Says of an address that went with all others that it is kept, and for how long.
    fn say_lost(&self, shown: &Shown) {
        let (service, address) = (&self.service, brief(&shown.instance.address));
        tracing::warn!(%service, endpoint.addr = %address, "{}", shown.why);
    }

    /// Says when a service comes to have nothing that can be used, or has nothing registered at all; `had_any`: something
    /// was registered before.
    fn say_whether_served(&mut self, members: &Members, had_any: bool) {
        let (served, nothing) = (!members.list.is_empty(), members.is_nothing());
        if nothing && !self.nothing {
            self.say_nothing(had_any);
        } else if self.served && !served {
            tracing::warn!(service = %self.service, "nothing that can be used is registered any more");
        }
        (self.served, self.nothing) = (served, nothing);
    }

    /// Says that nothing is registered. Where something was, its name and its prefix are right.
    fn say_nothing(&self, had_any: bool) {
        let (service, code) = (plain(&self.service), Code::R13);
        if had_any {
            tracing::warn!(
                service = %self.service, %code,
                "nothing is registered any more: its instances are gone; start one, or see in its log why it stopped or \
                 gave up registering; see tidegate doctor {service}"
            );
        } else {
            let (cause, remedy) = (code.cause(), code.remedy_at("", ""));
            tracing::warn!(
                service = %self.service, %code,
                "nothing is registered: {cause}; {remedy}; see tidegate doctor {service}"
            );
        }
    }

    /// Says what could not be read.
    pub(super) fn announce_skipped(&mut self, skipped: &[Skipped]) {
        let mut seen = HashMap::new();
        for entry in skipped {
            let said = self.skipped.get(&entry.key) == Some(&entry.code);
            if !said && seen.len() < MAX_LINES {
                let (key, why) = (brief(&entry.key), brief(&entry.why));
                tracing::warn!(
                    service = %self.service, registry.key = &*key, code = %entry.code,
                    "skipped: {why}"
                );
            }
            seen.insert(entry.key.clone(), entry.code);
        }
        self.skipped = seen;
    }

    fn say(&self, shown: &Shown, known: bool) {
        let (service, class) = (&self.service, shown.class.label());
        let (address, key) = (brief(&shown.instance.address), brief(&shown.instance.key));
        let (address, key) = (&*address, &*key);
        let rewritten = shown.rewritten.as_ref().map_or(String::new(), |it| {
            format!(", rewritten to {}", plain(&it.to_string()))
        });
        let Some(code) = shown.code else {
            let note = if shown.why.is_empty() {
                String::new()
            } else {
                format!(": {}", plain(&shown.why))
            };
            if shown.naming == Naming::Unanswered {
                tracing::warn!(
                    %service, endpoint.addr = address, registry.key = key, class,
                    "registered, not used{rewritten}{note}"
                );
            } else {
                tracing::info!(%service, endpoint.addr = address, registry.key = key, class, "registered{rewritten}{note}");
            }
            return;
        };
        let remedy = shown.remedy(code);
        let use_ = match (known, shown.used) {
            (false, true) => "registered, used",
            (false, false) => "registered, not used",
            (true, true) => "used from now on",
            (true, false) => "not used any more",
        };
        // What is meant needs no advice at every start.
        let remedy = if shown.used && code != Code::R08 {
            String::new()
        } else {
            format!("; {remedy}")
        };
        let also: String = shown
            .more
            .iter()
            .map(|code| format!(", also {code}: {}", code.cause()))
            .collect();
        let why = match shown.why.as_str() {
            "" => code.cause().into(),
            why => plain(why),
        };
        if needs_a_person(shown, code) {
            tracing::warn!(
                %service, endpoint.addr = address, registry.key = key, class, %code,
                "{use_}{rewritten}: {why}{also}{remedy}"
            );
        } else {
            tracing::info!(
                %service, endpoint.addr = address, registry.key = key, class, %code,
                "{use_}{rewritten}: {why}{also}{remedy}"
            );
        }
    }
}

/// An address that serves needs nobody, whatever its look; a duplicate neither.
fn needs_a_person(shown: &Shown, code: Code) -> bool {
    !shown.used && code != Code::R11 || code == Code::R08
}
