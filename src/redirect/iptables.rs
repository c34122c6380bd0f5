//! The rules in the words of iptables and ip6tables.
//!
//! All but one stand in a chain of their own, whose content `iptables-restore` exchanges at once; the one in `OUTPUT`
//! that jumps there comes last, and never changes. (`iptables-restore --noflush` would add it again each time.)

use std::fmt::Write;
use std::time::Duration;

use super::ports::show_range;
use super::{Net, Ports, Rules, Run, Step};

/// The chain's name.
pub const CHAIN: &str = "TIDEGATE";

/// How many ports one rule can name; a range counts as two.
const MOST_PORTS: usize = 15;

/// IPv4 or IPv6: each has a tool and tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// iptables.
    V4,
    /// ip6tables.
    V6,
}

impl Family {
    /// The tool that changes single rules.
    pub fn tool(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    fn restore(self) -> Run {
        let program = match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        };
        Run::new(program, "-w --noflush")
    }

    fn loopback(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.0/8",
            Self::V6 => "::1/128",
        }
    }

    fn has(self, net: &Net) -> bool {
        net.is_ipv4() == (self == Self::V4)
    }

    fn nat(self, args: &str) -> Run {
        Run::new(self.tool(), &format!("-w -t nat {args}"))
    }

    fn jump(self, how: &str) -> Run {
        self.nat(&format!("{how} OUTPUT -p tcp -j {CHAIN}"))
    }

    /// Whether the chain is there.
    pub(super) fn chain_is_there(self) -> Run {
        self.nat(&format!("-S {CHAIN}"))
    }

    /// Whether there is a nat table to put it in.
    pub(super) fn nat_is_there(self) -> Run {
        self.nat("-S OUTPUT")
    }
}

/// Puts the rules in place, whatever rules of tidegate's were there before. Both chains stand before either is used.
/// Leave out [`Family::V6`] where there is none.
pub fn apply(rules: &Rules, families: &[Family]) -> Vec<Step> {
    let (mut chains, mut jumps) = (Vec::new(), Vec::new());
    for &family in families {
        if rules.ipv4_only && family == Family::V6 {
            // An earlier apply may have caught it.
            jumps.extend(remove(&[family], None));
        } else {
            chains.push(Step::Feed(family.restore(), chain(rules, family)));
            jumps.push(Step::Unless(family.jump("-C"), family.jump("-A")));
        }
    }
    chains.append(&mut jumps);
    chains
}

/// Takes everything away. The jumps go first: from then on nothing new is caught, while the connections that were are
/// still translated. The last nat rule of the host takes those with it, so they can be waited for in between.
pub fn remove(families: &[Family], drain: Option<(u16, Duration)>) -> Vec<Step> {
    let only_where_there = |family: Family, steps| Step::If(family.chain_is_there(), steps);
    let jumps = families
        .iter()
        .map(|&it| only_where_there(it, vec![Step::While(it.jump("-D"))]));
    let chains = families.iter().map(|&it| {
        let steps = ["-F", "-X"].map(|how| Step::Run(it.nat(&format!("{how} {CHAIN}"))));
        only_where_there(it, steps.into())
    });
    let drain = drain.map(|(to, at_most)| Step::Drain { to, at_most });
    jumps.chain(drain).chain(chains).collect()
}

/// The chain as `iptables-restore` reads it. The line with the colon creates or empties it.
fn chain(rules: &Rules, family: Family) -> String {
    let mut lines = Vec::new();
    let own = rules.own;
    lines.extend(
        own.uid
            .map(|uid| format!("-m owner --uid-owner {uid} -j RETURN")),
    );
    lines.extend(
        own.gid
            .map(|gid| format!("-m owner --gid-owner {gid} -j RETURN")),
    );
    lines.extend(
        own.mark
            .map(|mark| format!("-m mark --mark {mark:#x} -j RETURN")),
    );
    for net in rules.passed.iter().filter(|net| family.has(net)) {
        lines.push(format!("-d {net} -j RETURN"));
    }
    let loopback = family.loopback();
    if rules.loopback {
        for ports in multiport(&rules.here) {
            lines.push(format!("-d {loopback} -p tcp {ports} -j RETURN"));
        }
    } else {
        lines.push(format!("-d {loopback} -j RETURN"));
    }
    for ports in multiport(&rules.caught) {
        let to = rules.to;
        lines.push(format!("-p tcp --syn {ports} -j REDIRECT --to-ports {to}"));
    }
    let mut script = format!("*nat\n:{CHAIN} - [0:0]\n");
    for line in lines {
        // Writing to a text cannot fail.
        let _ = writeln!(script, "-A {CHAIN} {line}");
    }
    script + "COMMIT\n"
}

/// Matches for these ports, as many as it takes.
fn multiport(ports: &Ports) -> Vec<String> {
    let mut matches: Vec<(usize, String)> = Vec::new();
    for range in ports.ranges() {
        let slots = if range.start() == range.end() { 1 } else { 2 };
        let text = show_range(&range, ":");
        match matches.last_mut() {
            Some((used, list)) if *used + slots <= MOST_PORTS => {
                *used += slots;
                *list += &format!(",{text}");
            }
            _ => matches.push((slots, text)),
        }
    }
    let matches = matches.into_iter();
    matches
        .map(|(_, list)| format!("-m multiport --dports {list}"))
        .collect()
}
