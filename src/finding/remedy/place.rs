//! What the words in capitals of a remedy stand for.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddrV4};

use super::Subject;

/// What is known of an instance's place, as far as it is safe to paste.
#[derive(Debug)]
pub(super) struct Place<'a> {
    service: Option<&'a str>,
    address: Option<&'a str>,
    key: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<u16>,
    /// Where others can dial it.
    pub(super) reach: Option<IpAddr>,
}

impl<'a> Place<'a> {
    pub(super) fn of(subject: &Subject<'a>) -> Self {
        let address = Some(subject.address).filter(|it| is_safe(it));
        let (host, port) = address.map_or((None, None), host_and_port);
        // An IPv6 address without its brackets is what is meant, and what can be registered.
        let unbracketed = || {
            host.filter(|_| !subject.address.contains('['))?
                .parse()
                .ok()
        };
        let reach = subject
            .host
            .or_else(|| unbracketed().filter(IpAddr::is_ipv6));
        Place {
            service: Some(subject.service).filter(|it| is_safe(it)),
            address,
            key: Some(subject.key).filter(|it| is_safe(it)),
            host,
            port,
            reach: reach.map(|ip| ip.to_canonical()),
        }
    }

    /// The text with all that is known filled in.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some(start) = rest.find(is_of_a_word) {
            filled.push_str(&rest[..start]);
            let word = &rest[start..];
            let (word, after) =
                word.split_at(word.find(|c| !is_of_a_word(c)).unwrap_or(word.len()));
            filled.push_str(&self.word(word, after).unwrap_or(Cow::Borrowed(word)));
            rest = after;
        }
        filled + rest
    }

    /// What the word stands for, if it is one that stands for something that is known.
    fn word(&self, word: &str, after: &str) -> Option<Cow<'a, str>> {
        // With a port behind it, an IPv6 address needs brackets.
        let ip = |ip: IpAddr| match ip {
            IpAddr::V6(ip) if after.starts_with(':') => format!("[{ip}]").into(),
            ip => ip.to_string().into(),
        };
        match word {
            "SERVICE" => self.service.map(Cow::Borrowed),
            "ADDRESS" | "URL" => self.address.map(Cow::Borrowed),
            "KEY" => self.key.map(Cow::Borrowed),
            "PATH" => path(self.address?).map(Cow::Borrowed),
            "HOST" => match self.host?.parse() {
                Ok(host) => Some(ip(host)),
                Err(_) => self.host.map(Cow::Borrowed),
            },
            "PORT" => self.port.map(|port| port.to_string().into()),
            "HOST_IP" => self.reach.map(ip),
            "HOST_IPV4" => self.reach.filter(IpAddr::is_ipv4).map(ip),
            _ => None,
        }
    }
}

/// Bytes of what is pasted: more than a key with the longest name and a host name in it.
const LONGEST: usize = 640;

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a text of a registry's may stand in a command, a program or a config without meaning anything there: no
/// blank, no quote, nothing that a shell expands, and no dash in front that would make it an option. What is too long to
/// be meant is not pasted either.
pub(super) fn is_safe(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:[]-_%/".contains(c);
    (1..=LONGEST).contains(&text.len()) && !text.starts_with('-') && text.chars().all(is_plain)
}

/// Whether a key ends as those of registrations do: in a host and a port, or in the very address that is registered.
pub(super) fn ends_in_address(key: &str, registered: &str) -> bool {
    let last = key.rsplit_once('/').map_or(key, |(_, last)| last);
    let is_registered = || {
        key.strip_suffix(registered)
            .is_some_and(|rest| !registered.is_empty() && rest.ends_with('/'))
    };
    matches!(host_and_port(last), (Some(_), Some(_))) || is_registered()
}

/// What a host calls itself, and nobody else.
const OWN: [&str; 5] = [
    "localhost",
    "localhost4",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
];

/// Whether the address begins with a host name that DNS or /etc/hosts may give to another host: one for localhost would
/// break this host.
pub(crate) fn has_a_name_of_its_own(address: &str) -> bool {
    let (Some(name), Some(_)) = host_and_port(address) else {
        return false;
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        !label.is_empty() && label.chars().all(is_of_it) && !OWN.contains(&label)
    };
    let is_number = |label: &str| label.bytes().all(|it| it.is_ascii_digit());
    name.split('.').all(is_label) && !name.rsplit('.').next().is_none_or(is_number)
}

/// Whether an address of a container network is the one that a bridge gives itself, as docker0 has 172.17.0.1: the host's
/// own, and no container's.
pub(crate) fn is_a_bridges_own(address: &str) -> bool {
    let address = address.parse::<SocketAddrV4>();
    address.is_ok_and(|it| it.ip().octets()[3] == 1)
}

/// Of `HOST:PORT`, `[IPV6]:PORT`, or a URL.
fn host_and_port(address: &str) -> (Option<&str>, Option<u16>) {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let Some((host, port)) = address.rsplit_once(':') else {
        return (is_host(address).then_some(address), None);
    };
    let host = host
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(host);
    let port = port
        .trim_end_matches('/')
        .parse()
        .ok()
        .filter(|port| *port != 0);
    (is_host(host).then_some(host), port)
}

fn is_host(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.starts_with('-') && !text.contains(['/', '[', ']'])
}

fn path(address: &str) -> Option<&str> {
    let path = address.strip_prefix("unix:").unwrap_or(address);
    path.starts_with('/').then_some(path)
}
