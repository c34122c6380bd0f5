//! The rules in the words of nft: one script, one transaction, one table that is tidegate's own.

use std::time::Duration;

use super::{Rules, Run, Step};

/// The kind of nft table that tidegate's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6 in one table.
    Inet,
    /// IPv4, where the kernel has no IPv6: it then has no common tables either.
    Ip,
}

impl Family {
    fn table(self) -> &'static str {
        match self {
            Self::Inet => "inet tidegate",
            Self::Ip => "ip tidegate",
        }
    }

    /// Whether the table is there.
    pub(super) fn table_is_there(self) -> Run {
        Run::new("nft", &format!("list table {}", self.table()))
    }
}

/// Puts the rules in place, whatever rules of tidegate's were there before.
pub fn apply(rules: &Rules, family: Family) -> Vec<Step> {
    vec![feed(script(rules, family))]
}

/// Takes everything away. First what catches new connections goes; with the table go the connections that were
/// redirected, if it holds the host's last nat rule, so they can be waited for in between.
pub fn remove(family: Family, drain: Option<(u16, Duration)>) -> Vec<Step> {
    let table = family.table();
    // `add` does nothing where it is there, and lets the others succeed where it isn't.
    let quiet = format!("add chain {table} output\nflush chain {table} output\n");
    let delete = Run::new("nft", &format!("delete table {table}"));
    let drain = drain.map(|(to, at_most)| Step::Drain { to, at_most });
    let steps = [feed(quiet)].into_iter().chain(drain);
    vec![Step::If(
        family.table_is_there(),
        steps.chain([Step::Run(delete)]).collect(),
    )]
}

fn feed(script: String) -> Step {
    Step::Feed(Run::new("nft", "-f -"), script)
}

/// What `nft -f` reads. To delete a table that isn't there would be an error, so it is added first.
pub fn script(rules: &Rules, family: Family) -> String {
    let table = family.table();
    let jump = match (rules.ipv4_only, family) {
        (true, Family::Inet) => "meta nfproto ipv4 meta l4proto tcp jump tidegate",
        _ => "meta l4proto tcp jump tidegate",
    };
    let rules: String = statements(rules, family)
        .into_iter()
        .map(|it| format!("        {it}\n"))
        .collect();
    format!(
        "add table {table}\n\
         delete table {table}\n\
         table {table} {{\n    \
             chain tidegate {{\n\
                 {rules}    \
             }}\n    \
             chain output {{\n        \
                 type nat hook output priority -100; policy accept;\n        \
                 {jump}\n    \
             }}\n\
         }}\n"
    )
}

/// The rules, one a line.
fn statements(rules: &Rules, family: Family) -> Vec<String> {
    let both = family == Family::Inet && !rules.ipv4_only;
    let mut lines = Vec::new();
    let own = rules.own;
    lines.extend(own.uid.map(|uid| format!("meta skuid {uid} return")));
    lines.extend(own.gid.map(|gid| format!("meta skgid {gid} return")));
    lines.extend(own.mark.map(|mark| format!("meta mark {mark:#x} return")));
    for net in rules.passed.iter().filter(|net| both || net.is_ipv4()) {
        let ip = if net.is_ipv4() { "ip" } else { "ip6" };
        lines.push(format!("{ip} daddr {net} return"));
    }
    let here = match rules.here.show("-", ", ") {
        _ if !rules.loopback => Some(String::new()),
        none if none.is_empty() => None,
        ports => Some(format!("tcp dport {{ {ports} }} ")),
    };
    if let Some(ports) = here {
        lines.push(format!("ip daddr 127.0.0.0/8 {ports}return"));
        lines.extend(both.then(|| format!("ip6 daddr ::1 {ports}return")));
    }
    let (caught, to) = (rules.caught.show("-", ", "), rules.to);
    lines.push(format!(
        "tcp dport {{ {caught} }} tcp flags & (fin | syn | rst | ack) == syn redirect to :{to}"
    ));
    lines
}
