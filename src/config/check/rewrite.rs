//! `[[rewrite]]`: which registered addresses are another one from here.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::config::load::source::Place;
use crate::config::patterns::Pattern;
use crate::config::rewrite::{Line, NewHost, Rewrite};
use crate::metadata::forbidden;

use super::address::not_dialable;
use super::{Section, Taken, Text};

const CONDITIONS: [&str; 4] = ["cidr", "address", "service", "tag"];

/// All rules, in the order in which they are tried.
pub(super) fn rewrites(file: &mut Section<'_>) -> Vec<Rewrite> {
    let mut taken = Taken::default();
    let mut rules: Vec<(Rewrite, Place)> = Vec::new();
    file.tables("rewrite", |table| {
        if let Some(rule) = rule(table, &mut taken) {
            doubts(table, &rule, &rules);
            rules.push((rule, table.at));
        }
    });
    rules.into_iter().map(|(rule, _)| rule).collect()
}

/// One rule; `None` where what is wrong with it was reported.
fn rule(table: &mut Section<'_>, taken: &mut Taken) -> Option<Rewrite> {
    let name = table.text("name", "a name");
    if let Some(name) = name {
        taken.take(table, "a rewrite name", name);
    }
    let at = table.report.sources().brief(table.at);
    let rule = Rewrite {
        name: name.map(|it| it.text.into()),
        cidr: read(table, "cidr", "a network such as \"172.17.0.0/16\"", |it| {
            it.parse()
        }),
        address: table
            .text("address", "an address exactly as it is registered")
            .map(|it| it.text.into()),
        service: read(
            table,
            "service",
            "a service's name or a pattern of names",
            Pattern::new,
        ),
        tag: table.labels("tag").into_iter().collect(),
        host: host(table),
        port: table
            .count("port", 1..=usize::from(u16::MAX))
            .and_then(|port| u16::try_from(port).ok()),
        at: Line(at.into()),
    };
    let whole = complete(table, &rule);
    let understood = |key: &str, is_there: bool| is_there || table.place(key).is_none();
    let all = understood("cidr", rule.cidr.is_some())
        && understood("service", rule.service.is_some())
        && understood("host", rule.host.is_some())
        && understood("port", rule.port.is_some());
    (whole && all).then_some(rule)
}

/// A text that `parse` understands, or is reported with what it says.
fn read<T, E: std::fmt::Display>(
    table: &mut Section<'_>,
    key: &'static str,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let text = table.text(key, expected)?;
    let value = parse(text.text);
    if let Err(error) = &value {
        let message = format!("{error}; found \"{}\"", text.text.escape_debug());
        table.report.error(text.at, message);
    }
    value.ok()
}

fn host(table: &mut Section<'_>) -> Option<NewHost> {
    let text = table.text("host", "an IP address or a host name")?;
    let problem: Cow<'_, str> = match text.text.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_unspecified() => {
            "the unspecified address names no host".into()
        }
        Ok(ip) if forbidden(ip.to_canonical()) => {
            "it is a cloud's metadata address, which is never dialled".into()
        }
        Ok(ip) => return Some(NewHost::Ip(ip.to_canonical())),
        Err(_) => match why_no_name(text) {
            None => return Some(NewHost::Name(text.text.into())),
            Some(problem) => problem,
        },
    };
    let message = format!(
        "expected a host that can be dialled, found \"{}\"",
        text.text.escape_debug()
    );
    table.report.error_with(text.at, message, problem);
    None
}

/// Words of a rule as remedies give it.
const TO_FILL_IN: [&str; 4] = ["HOST_IP", "HOST_IPV4", "HOST_IP:PORT", "PORT"];

fn why_no_name(text: Text<'_>) -> Option<Cow<'static, str>> {
    if TO_FILL_IN.contains(&text.text) {
        return Some("it is to be filled in: where the instance can be dialled from here".into());
    }
    if text.text.parse::<SocketAddr>().is_ok() {
        return Some("the port is a key of its own: `port`".into());
    }
    if text.text.starts_with('[') {
        return Some("an IPv6 address stands here without brackets".into());
    }
    let last = text.text.trim_end_matches('.').rsplit('.').next()?;
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("it is neither an IP address nor a host name".into());
    }
    not_dialable(&format!("{}:1", text.text))
}

/// Whether the rule has a condition and sets something; reported if not.
fn complete(table: &Section<'_>, rule: &Rewrite) -> bool {
    let conditions = CONDITIONS.iter().any(|key| table.place(key).is_some());
    let matches_all = table.place("tag").is_some() && rule.tag.is_empty();
    let only_tag = CONDITIONS[..3].iter().all(|key| table.place(key).is_none());
    if !conditions || matches_all && only_tag {
        let message = "expected at least one of `cidr`, `address`, `service` and `tag` in [[rewrite]], found none";
        let help = "for every address: cidr = \"0.0.0.0/0\", or service = \"*\"";
        table.report.error_with(table.at, message, help);
    }
    let sets = ["host", "port"]
        .iter()
        .any(|key| table.place(key).is_some());
    if !sets {
        let message = "expected `host`, `port` or both in [[rewrite]], found neither";
        let help = "for example: host = \"127.0.0.1\"";
        table.report.error_with(table.at, message, help);
    }
    conditions && sets
}

/// Warns of a rule that can never match.
fn doubts(table: &Section<'_>, rule: &Rewrite, earlier: &[(Rewrite, Place)]) {
    if let (Some(cidr), Some(address)) = (rule.cidr, &rule.address)
        && (is_path(address) || literal_ip(address).is_some_and(|ip| !cidr.contains(ip)))
    {
        let message = format!("the rule never matches: its `address` is not in its `cidr` {cidr}");
        table.report.warning(table.at, message);
        return;
    }
    if let Some((first, at)) = earlier.iter().find(|(first, _)| takes_all_of(first, rule)) {
        let named = first
            .name
            .as_ref()
            .map_or(String::new(), |it| format!(" \"{it}\""));
        let at = table.report.sources().brief(*at);
        let message =
            format!("the rule never matches: the one{named} at {at} takes all that it would");
        table.report.warning(table.at, message);
    }
}

/// Whether every condition of `first` holds wherever those of `rule` do.
fn takes_all_of(first: &Rewrite, rule: &Rewrite) -> bool {
    let in_cidr = first.cidr.is_none_or(|wide| {
        let covered = rule.cidr.is_some_and(|narrow| wide.covers(&narrow));
        let ip = rule.address.as_deref().and_then(literal_ip);
        covered || ip.is_some_and(|ip| wide.contains(ip))
    });
    let address = first.address.is_none() || first.address == rule.address;
    // A star of `rule` is a character that only a star of `first` takes.
    let service = first.service.as_ref().is_none_or(|wide| {
        let narrow = rule.service.as_ref();
        narrow.is_some_and(|narrow| wide.matches(&narrow.to_string()))
    });
    let tags = first
        .tag
        .iter()
        .all(|(key, value)| rule.tag.get(key) == Some(value));
    in_cidr && address && service && tags
}

/// The IP address of a registered text that holds one. `:8888` is 0.0.0.0.
fn literal_ip(address: &str) -> Option<IpAddr> {
    let whole = address
        .strip_prefix(':')
        .map(|port| format!("0.0.0.0:{port}"));
    let socket = whole.as_deref().unwrap_or(address).parse::<SocketAddr>();
    socket.ok().map(|socket| socket.ip())
}

fn is_path(address: &str) -> bool {
    address.starts_with(['/', '@']) || address.starts_with("unix:")
}
