//! From a registered instance to the addresses that could be dialled for it, each with its class
//! and findings. What of them may be used is [`Membership`](super::Membership)'s to say.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{
    Address, Class, Code, DialAddr, Found, Host, Instance, Resolved, classify, fixed, parse,
};

/// One address of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) instance: Arc<Instance>,
    pub(super) class: Class,
    /// The findings, the gravest first.
    pub(super) codes: Vec<Code>,
    /// What calls would go to; only where the class is dialable.
    pub(super) dial: Option<DialAddr>,
    /// Why it is not dialled, or what is remarkable about it; may be empty.
    pub(super) why: String,
}

impl Candidate {
    fn new(
        instance: &Arc<Instance>,
        class: Class,
        code: Option<Code>,
        why: impl Into<String>,
    ) -> Self {
        let mut codes: Vec<Code> = code.into_iter().collect();
        codes.extend(instance.notes.iter().filter(|note| Some(**note) != code));
        Candidate {
            instance: Arc::clone(instance),
            class,
            codes,
            dial: None,
            why: why.into(),
        }
    }

    /// Whether it counts as "something else is registered" beside a suspicious address: it could be
    /// dialled, or could once its name resolves. An entry that can never be dialled does not.
    pub(super) fn is_good(&self) -> bool {
        !self.class.suspicious() && (self.dial.is_some() || self.class == Class::Unresolvable)
    }
}

/// All candidates of one instance: one, or one per address that its host name has.
pub(super) fn candidates(
    instance: &Arc<Instance>,
    host: &Host,
    names: &Resolved,
) -> Vec<Candidate> {
    match parse_as(instance) {
        Ok(Address::Socket(socket)) => vec![of_socket(instance, socket, host, false)],
        Ok(Address::Name(name, port)) => of_name(instance, &name, port, host, names),
        Ok(address @ Address::Unix(_)) => {
            let class = classify(&address, host);
            vec![Candidate::new(
                instance,
                class,
                class.code(),
                "unix sockets are not dialled in this version",
            )]
        }
        Err((code, why)) => vec![Candidate::new(instance, Class::Malformed, Some(code), why)],
    }
}

/// Reads the address as its network says.
fn parse_as(instance: &Instance) -> Result<Address, (Code, String)> {
    match instance.network.as_str() {
        "unix" => Ok(Address::Unix(instance.address.clone().into())),
        "tcp" | "tcp4" | "tcp6" => {
            parse(&instance.address).map_err(|error| (Code::R07, error.to_string()))
        }
        other => Err((Code::R15, format!("its network is {other:?}"))),
    }
}

fn of_socket(instance: &Arc<Instance>, socket: SocketAddr, host: &Host, named: bool) -> Candidate {
    let socket = canonical(socket);
    let class = classify(&Address::Socket(socket), host);
    let code = match host.code(class, socket.ip()) {
        // What stands in the config is meant.
        Some(Code::R02 | Code::R03) if instance.key == fixed::KEY => None,
        Some(Code::R02) if named => Some(Code::R17),
        code => code,
    };
    let why = match code {
        Some(Code::R17) => "its host name resolves to loopback",
        Some(code) => code.cause(),
        None => "",
    };
    let mut candidate = Candidate::new(instance, class, code, why);
    candidate.dial = class.dialable().then_some(socket.into());
    candidate
}

fn of_name(
    instance: &Arc<Instance>,
    name: &str,
    port: u16,
    host: &Host,
    names: &Resolved,
) -> Vec<Candidate> {
    let unresolved =
        |code, why: String| vec![Candidate::new(instance, Class::Unresolvable, code, why)];
    match names.get(name) {
        None => unresolved(None, "its host name is being resolved".to_owned()),
        Some(Found::Failed(why)) => unresolved(
            Some(Code::R17),
            format!("its host name does not resolve: {why}"),
        ),
        Some(Found::Addresses(ips)) => ips
            .iter()
            .map(|&ip| of_socket(instance, SocketAddr::new(ip, port), host, true))
            .collect(),
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address: one endpoint, not two.
fn canonical(socket: SocketAddr) -> SocketAddr {
    match socket.ip().to_canonical() {
        ip if ip == socket.ip() => socket,
        ip => SocketAddr::new(ip, socket.port()),
    }
}
