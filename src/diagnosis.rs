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
pub use phrase::{answers_there, code_of, phrase, proves};
pub use watch::{Finding, Life, News, Origin, Watch, is_no_way};

/// Kitex's connect timeout where nothing else is set (`client.WithConnectTimeout`).
pub const KITEX_CONNECT_TIMEOUT: Duration = Duration::from_millis(50);
/// So long clients commonly keep an idle connection: Kitex's long pool one minute, `client.WithLongConnection` half of it
/// where nothing else is set. A server that closes later, as Kitex does after ten minutes, is met by none of them.
pub const KEPT: Duration = Duration::from_secs(60);

/// So what tidegate itself answers begins, in the place of an instance.
const OWN_ANSWERS: &str = "tidegate: ";

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
    /// The longest that a connect of its callers may take: the policy's `connect_timeout`; where nothing is configured,
    /// [`KITEX_CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
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
    // A refusal by another host than the one that is meant says nothing about the process.
    let is_misplaced = is_misplaced(facts);
    let lease = facts.lease.is_unrenewed().then_some(match is_gone {
        true if !is_misplaced => Code::R21,
        _ => Code::R12,
    });
    let mut found: Vec<Code> = lease.filter(|_| !is_misplaced).into_iter().collect();
    let accused = on_a_bridge(facts).iter().chain(facts.registered);
    let accused = accused.filter(|code| accuses(**code, facts, fails));
    // On a lone host a loopback address is what people use: that nobody is there comes first.
    let is_of_this_host = |code| means_another_host(code) || on_a_bridge(facts).contains(&code);
    let (later, first): (Vec<Code>, Vec<Code>) =
        accused.partition(|code| code.is_note() || facts.alone && is_of_this_host(**code));
    found.extend(first);
    found.extend(lease.filter(|_| is_misplaced));
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
        // A refusal, silence and another program are what such an address leads to here. What answers calls may be meant.
        Code::R04 if !on_a_bridge(facts).is_empty() => {
            fails || !facts.alone && is_a_stranger(facts)
        }
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

/// The finding of an address in the network of a container bridge that is here as well, once it was tried: each host
/// with Docker has a 172.17.0.1 and a 172.17.0.2 of its own, so that nobody knows whose is registered.
fn on_a_bridge(facts: &Facts<'_>) -> &'static [Code] {
    match facts.class == Class::ContainerNetwork && facts.on_link && facts.seen.is_some() {
        true => &[Code::R04],
        false => &[],
    }
}

/// Whether the address means another host on every host that reads it, and not just this one shares the registry.
fn is_misplaced(facts: &Facts<'_>) -> bool {
    let is_read_off = facts.registered.iter().copied().any(means_another_host);
    !facts.alone && (is_read_off || !on_a_bridge(facts).is_empty())
}

/// Whether a server answers there that is none of RPC.
fn is_a_stranger(facts: &Facts<'_>) -> bool {
    let spoke = facts.seen.and_then(|seen| seen.spoke.as_ref());
    spoke.is_some_and(|it| !code_of(it).is_note())
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
        Connect::Open(took) => at_the_server(seen, *took > facts.connect_timeout),
    }
}

/// A private address of a network that is not this host's, where nothing better is known of why there is no way.
fn is_elsewhere(facts: &Facts<'_>) -> bool {
    let is_told = |code| matches!(code, &Code::R06 | &Code::R18);
    is_of_another_network(facts.class, facts.on_link) && !facts.registered.iter().any(is_told)
}

/// Whether the address is private and no interface of this host is in its network: it may lie behind a route, and as
/// well nowhere that can be reached from here, since a default route takes what is sent to either.
#[must_use]
pub fn is_of_another_network(class: Class, on_link: bool) -> bool {
    class == Class::Private && !on_link
}

fn at_the_server(seen: &Seen, is_far: bool) -> Vec<Code> {
    let spoke = seen.spoke.as_ref().map(code_of);
    let called = seen.call.as_ref().and_then(|call| match call {
        Called::Answered(_, said) if said.starts_with(OWN_ANSWERS) => Some(Code::R16),
        Called::Answered(..) => Some(Code::P10),
        Called::Silent(_) => Some(Code::P08),
        Called::Closed => None,
    });
    let far = is_far.then_some(Code::P12);
    let idle = seen.idle.and_then(|idle| match idle {
        // To the second: who closes just when the client would may be a moment earlier.
        Idle::Closed(after) if after.as_secs() <= KEPT.as_secs() => Some(Code::P09),
        Idle::Closed(_) | Idle::Open(_) => None,
    });
    let mut found: Vec<Code> = [spoke, called, far, idle].into_iter().flatten().collect();
    found.sort_by_key(|code| code.is_note());
    found
}
