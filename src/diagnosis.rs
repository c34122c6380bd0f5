//! What is wrong with a registration: a pure judgement over what is registered, what was seen there, and where this host
//! stands. The same for `doctor` and for a tidegate that runs.

use std::time::Duration;

use crate::finding::Code;
use crate::probe::{Called, Connect, Idle, Seen};
use crate::registry::Class;

mod idle;
mod phrase;
#[cfg(test)]
mod tests;
mod watch;

pub use idle::{Closed, IDLE};
pub use phrase::{answers_there, code_of, phrase};
pub use watch::{Finding, Life, News, Origin, Watch, is_no_way};

/// Kitex's connect timeout where nothing else is set (`client.WithConnectTimeout`).
pub const KITEX_CONNECT_TIMEOUT: Duration = Duration::from_millis(50);

/// What is known of a registration.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The class that counts: of what is dialled.
    pub class: Class,
    /// The findings that the registration alone is, the gravest first.
    pub registered: &'a [Code],
    /// What was seen at the address that is dialled; `None` where nothing is dialled, or not yet.
    pub seen: Option<&'a Seen>,
    /// Its lease, where the registry has leases and it has one.
    pub lease: Lease,
    /// An interface of this host is in the address's network.
    pub on_link: bool,
    /// Whoever registers here shares this host: the registry is on it, or in a file. A loopback address is then no
    /// mistake, as long as something answers.
    pub alone: bool,
}

/// How long an entry of a registry stays if nobody renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lease {
    /// The registry has no leases, or this one's was not asked for.
    #[default]
    Unknown,
    /// It stays for ever.
    None,
    /// It has one.
    Held {
        /// What it was granted.
        granted: Duration,
        /// What is left of it.
        left: Duration,
    },
}

impl Lease {
    /// Whether nobody renews it. Kitex's registrar renews after a third, so that two thirds are always left; half of it
    /// gone means that a renewal has been missed.
    #[must_use]
    pub fn is_unrenewed(self) -> bool {
        matches!(self, Lease::Held { granted, left } if left * 2 < granted)
    }
}

/// The findings, the gravest first; none, or notes only, where a caller on this host can call it.
#[must_use]
pub fn findings(facts: &Facts<'_>) -> Vec<Code> {
    let connect = facts.seen.map(|seen| &seen.connect);
    let fails = connect.is_none_or(|it| !matches!(it, Connect::Open(_) | Connect::Ours(_)));
    let is_gone = matches!(connect, Some(Connect::Refused(_) | Connect::NoSocket(_)));
    let mut found = Vec::new();
    if facts.lease.is_unrenewed() {
        found.push(if is_gone { Code::R21 } else { Code::R12 });
    }
    let accused = facts
        .registered
        .iter()
        .filter(|code| accuses(**code, facts, fails));
    // On a lone host a loopback address is what people use: that nobody is there comes first.
    let (later, first): (Vec<Code>, Vec<Code>) =
        accused.partition(|code| code.is_note() || facts.alone && means_another_host(**code));
    found.extend(first);
    found.extend(
        facts
            .seen
            .into_iter()
            .flat_map(|seen| at_the_address(facts, seen)),
    );
    // Of what merely cannot be reached from here nobody knows whether it stopped.
    if facts.lease == Lease::None && is_gone {
        found.push(Code::R12);
    }
    found.extend(later);
    found
}

/// Whether a finding that the registration is by itself is held against it, now that it is known whether it fails: what
/// could not be tried does not.
fn accuses(code: Code, facts: &Facts<'_>, fails: bool) -> bool {
    match code {
        // A range says little once somebody answers there, and a refusal is an answer.
        Code::R04 | Code::R06 => fails && !is_refused(facts),
        Code::R18 => fails,
        code if means_another_host(code) => !facts.alone || fails,
        _ => true,
    }
}

fn is_refused(facts: &Facts<'_>) -> bool {
    facts
        .seen
        .is_some_and(|seen| matches!(seen.connect, Connect::Refused(_)))
}

/// Findings of an address that means something else on every host.
fn means_another_host(code: Code) -> bool {
    matches!(code, Code::R02 | Code::R03 | Code::R17)
}

fn at_the_address(facts: &Facts<'_>, seen: &Seen) -> Vec<Code> {
    match &seen.connect {
        Connect::Refused(_) => vec![Code::P01],
        Connect::TimedOut(_) => vec![Code::P02],
        Connect::Unreachable(_) if is_elsewhere(facts) => vec![Code::R05, Code::P03],
        Connect::Unreachable(_) => vec![Code::P03],
        Connect::Reset(_) => vec![Code::P04],
        Connect::NoSocket(_) => vec![Code::R19],
        Connect::Ours(_) => Vec::new(),
        Connect::Open(took) => at_the_server(seen, *took),
    }
}

/// A private address of a network that is not this host's, where nothing better is known of why there is no way.
fn is_elsewhere(facts: &Facts<'_>) -> bool {
    let is_told = |code| matches!(code, &Code::R06 | &Code::R18);
    facts.class == Class::Private && !facts.on_link && !facts.registered.iter().any(is_told)
}

fn at_the_server(seen: &Seen, connect: Duration) -> Vec<Code> {
    let spoke = seen.spoke.as_ref().map(code_of);
    let called = seen.call.as_ref().and_then(|call| match call {
        Called::Answered(..) => Some(Code::P10),
        Called::Silent(_) => Some(Code::P08),
        Called::Closed => None,
    });
    let far = (connect > KITEX_CONNECT_TIMEOUT).then_some(Code::P12);
    let idle = seen.idle.and_then(|idle| match idle {
        Idle::Closed(_) => Some(Code::P09),
        Idle::Open(_) => None,
    });
    let mut found: Vec<Code> = [spoke, called, far, idle].into_iter().flatten().collect();
    found.sort_by_key(|code| code.is_note());
    found
}
