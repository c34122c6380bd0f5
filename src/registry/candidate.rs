//! From a registered instance to the addresses that could be dialled for it, each with its class
//! and findings. What of them may be used is [`Membership`](super::Membership)'s to say.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::unanswered;
use super::rewrite::{Ip, Rule, Ruling, last_port};
use super::{
    Address, Class, Code, DialAddr, Found, Host, Instance, Malformed, Naming, Resolved, Rewrites,
    Rewritten, classify, fixed, parse, parse_path,
};
use crate::config::NewHost;
use crate::platform::MAX_SOCKET_PATH;

/// One address of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) instance: Arc<Instance>,
    /// The class of what is registered.
    pub(super) class: Class,
    /// What is registered, resolved where it is a name; `None` where it has no IP address, or none that is known.
    pub(super) registered: Option<SocketAddr>,
    /// What a rule made of it.
    pub(super) rewritten: Option<Rewritten>,
    /// The findings, the gravest first.
    pub(super) codes: Vec<Code>,
    /// What calls would go to; only where the class is dialable.
    pub(super) dial: Option<DialAddr>,
    /// How far it is known what its host name stands for.
    pub(super) naming: Naming,
    /// Why it is not dialled, or what is remarkable about it; may be empty.
    pub(super) why: String,
}

/// What decides over an instance besides itself.
pub(super) struct World<'a> {
    pub(super) host: &'a Host,
    pub(super) names: &'a Resolved,
    pub(super) rewrites: &'a Rewrites,
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
            registered: None,
            rewritten: None,
            codes,
            dial: None,
            naming: Naming::Settled,
            why: why.into(),
        }
    }

    /// The class that counts: that of what is dialled.
    pub(super) fn dialled_class(&self) -> Class {
        self.rewritten.as_ref().map_or(self.class, |it| it.class)
    }

    /// A host name that was not looked up yet.
    pub(super) fn is_pending(&self) -> bool {
        self.naming == Naming::Pending
    }

    /// Whether it counts as "something else is registered" beside a suspicious address: it could be
    /// dialled, or could once its name resolves. An entry that can never be dialled does not.
    pub(super) fn is_good(&self) -> bool {
        let class = self.dialled_class();
        !class.suspicious() && (self.dial.is_some() || class == Class::Unresolvable)
    }
}

/// All candidates of one instance: one, or one per address that its host name has. The names that must be resolved for
/// that are added to `wanted`.
pub(super) fn candidates(
    instance: &Arc<Instance>,
    world: &World<'_>,
    wanted: &mut BTreeSet<String>,
) -> Vec<Candidate> {
    let mut judge = Judge {
        instance,
        world,
        wanted,
    };
    match parse_as(instance) {
        Ok(Address::Socket(socket)) => judge.socket(socket, false),
        Ok(Address::Name(name, port)) => judge.name(&name, port),
        Ok(Address::Unix(path)) => judge.unix(path),
        Err(Unreadable::Address(malformed)) => judge.malformed(&malformed),
        Err(Unreadable::Network) => {
            let why = format!("its network is {:?}", instance.network);
            vec![Candidate::new(
                instance,
                Class::Malformed,
                Some(Code::R15),
                why,
            )]
        }
    }
}

enum Unreadable {
    Address(Malformed),
    Network,
}

/// Reads the address as its network says.
fn parse_as(instance: &Instance) -> Result<Address, Unreadable> {
    match instance.network.as_str() {
        "unix" => parse_path(&instance.address),
        "tcp" | "tcp4" | "tcp6" => parse(&instance.address),
        _ => return Err(Unreadable::Network),
    }
    .map_err(Unreadable::Address)
}

/// The unix sockets among the registered addresses.
pub(super) fn socket_path(instance: &Instance) -> Option<PathBuf> {
    match parse_as(instance) {
        Ok(Address::Unix(path)) => Some(path),
        _ => None,
    }
}

/// Looks at one instance.
struct Judge<'a> {
    instance: &'a Arc<Instance>,
    world: &'a World<'a>,
    wanted: &'a mut BTreeSet<String>,
}

/// What is registered, as far as a rule leaves it as it is.
#[derive(Clone, Copy)]
struct Registered {
    class: Class,
    socket: Option<SocketAddr>,
    /// Its host is a name.
    named: bool,
}

impl<'a> Judge<'a> {
    fn socket(&mut self, socket: SocketAddr, named: bool) -> Vec<Candidate> {
        let socket = canonical(socket);
        let registered = Registered {
            class: classify(&Address::Socket(socket), self.world.host),
            socket: Some(socket),
            named,
        };
        match self.ruling(Ip::Is(socket.ip())) {
            Ruling::By(rule) => {
                let kept = NewHost::Ip(socket.ip());
                let host = rule.host().unwrap_or(&kept);
                self.rewrite(registered, rule, host, rule.port().unwrap_or(socket.port()))
            }
            Ruling::None | Ruling::Resolve => {
                vec![self.judged(registered, socket, registered.class, None)]
            }
        }
    }

    fn name(&mut self, name: &str, port: u16) -> Vec<Candidate> {
        let registered = Registered {
            class: Class::Unresolvable,
            socket: None,
            named: true,
        };
        // A rule that sets the host needs not know what the name stands for, unless by a `cidr`.
        if let Some((rule, host)) = self.new_host(Ip::Unknown) {
            return self.rewrite(registered, rule, host, rule.port().unwrap_or(port));
        }
        self.wanted.insert(name.to_owned());
        let found = self.world.names.get(name);
        if let Some(Found::Failed(_) | Found::Unanswered(_)) = found
            && let Some((rule, host)) = self.new_host(Ip::Never)
        {
            return self.rewrite(registered, rule, host, rule.port().unwrap_or(port));
        }
        let unresolved = |naming, code, why: String| {
            let mut candidate = Candidate::new(self.instance, Class::Unresolvable, code, why);
            candidate.naming = naming;
            vec![candidate]
        };
        match found {
            None => unresolved(
                Naming::Pending,
                None,
                "its host name is being resolved".into(),
            ),
            Some(Found::Unanswered(why)) => {
                unresolved(Naming::Unanswered, None, unanswered("its host name", why))
            }
            Some(Found::Failed(why)) => unresolved(
                Naming::Settled,
                Some(Code::R17),
                format!("its host name does not resolve: {why}"),
            ),
            Some(Found::Addresses(ips)) => ips
                .iter()
                .flat_map(|&ip| self.socket(SocketAddr::new(ip, port), true))
                .collect(),
        }
    }

    /// A unix socket is used once it was there: those of other hosts never are.
    fn unix(&mut self, path: PathBuf) -> Vec<Candidate> {
        let address = Address::Unix(path);
        let class = classify(&address, self.world.host);
        let Address::Unix(path) = address else {
            return Vec::new();
        };
        let mut lacks = String::new();
        if let Ruling::By(rule) = self.ruling(Ip::Never) {
            if let (Some(host), Some(port)) = (rule.host(), rule.port()) {
                return self.rewrite(unread(class), rule, host, port);
            }
            lacks = format!("; {rule} does not set both host and port");
        }
        let (code, why) = self.socket_file(class, &path);
        let why = if code.is_some() {
            format!("{why}{lacks}")
        } else {
            why.to_owned()
        };
        let mut candidate = Candidate::new(self.instance, class, code, why);
        if class.dialable() && code.is_none() {
            candidate.dial = Some(DialAddr::Unix(path.into()));
        }
        vec![candidate]
    }

    /// Why the socket is not dialled.
    fn socket_file(&self, class: Class, path: &Path) -> (Option<Code>, &'static str) {
        // What stands in the config is meant.
        let meant = self.instance.key == fixed::KEY;
        match class {
            _ if MAX_SOCKET_PATH.is_none() => {
                (Some(Code::R19), "unix sockets are not supported on Windows")
            }
            Class::UnixSocket if !meant && !self.world.host.has_socket(path) => {
                let why = "there is no such socket on this host; it is used once there is";
                (Some(Code::R19), why)
            }
            class => (class.code(), class.code().map_or("", Code::cause)),
        }
    }

    fn malformed(&mut self, malformed: &Malformed) -> Vec<Candidate> {
        let mut why = malformed.to_string();
        if let Ruling::By(rule) = self.ruling(Ip::Never) {
            let port = rule
                .port()
                .or_else(|| last_port(&self.instance.address, malformed));
            if let (Some(host), Some(port)) = (rule.host(), port) {
                return self.rewrite(unread(Class::Malformed), rule, host, port);
            }
            let lacks = if rule.host().is_none() {
                "host"
            } else {
                "port"
            };
            why = format!("{why}; {rule} sets no {lacks}");
        }
        vec![Candidate::new(
            self.instance,
            Class::Malformed,
            Some(Code::R07),
            why,
        )]
    }

    fn ruling(&self, ip: Ip) -> Ruling<'a> {
        self.world.rewrites.ruling(self.instance, ip)
    }

    /// The rule that takes the instance, and the host that it sets.
    fn new_host(&self, ip: Ip) -> Option<(&'a Rule, &'a NewHost)> {
        match self.ruling(ip) {
            Ruling::By(rule) => Some((rule, rule.host()?)),
            Ruling::None | Ruling::Resolve => None,
        }
    }

    /// What a rule makes of it: one candidate for each address of the new host.
    fn rewrite(
        &mut self,
        registered: Registered,
        rule: &Rule,
        host: &NewHost,
        port: u16,
    ) -> Vec<Candidate> {
        let name = match host {
            NewHost::Ip(ip) => return vec![self.rewritten(registered, rule, host, *ip, port)],
            NewHost::Name(name) => &**name,
        };
        self.wanted.insert(name.to_owned());
        let unresolved = |naming, code, why: String| {
            let mut candidate = Candidate::new(self.instance, registered.class, code, why);
            candidate.naming = naming;
            candidate.registered = registered.socket;
            candidate.rewritten = Some(rule.rewritten(host, port, Class::Unresolvable));
            vec![candidate]
        };
        match self.world.names.get(name) {
            None => unresolved(Naming::Pending, None, format!("{name} is being resolved")),
            Some(Found::Unanswered(why)) => unresolved(
                Naming::Unanswered,
                None,
                format!("{}; {rule} leads there", unanswered(name, why)),
            ),
            Some(Found::Failed(why)) => unresolved(
                Naming::Settled,
                Some(Code::R17),
                format!("{name} does not resolve: {why}; {rule} leads there"),
            ),
            Some(Found::Addresses(ips)) => ips
                .iter()
                .map(|&ip| self.rewritten(registered, rule, host, ip, port))
                .collect(),
        }
    }

    fn rewritten(
        &self,
        registered: Registered,
        rule: &Rule,
        host: &NewHost,
        ip: IpAddr,
        port: u16,
    ) -> Candidate {
        let socket = canonical(SocketAddr::new(ip, port));
        let class = classify(&Address::Socket(socket), self.world.host);
        let mut candidate = self.judged(registered, socket, class, Some(rule));
        candidate.rewritten = Some(rule.rewritten(host, port, class));
        candidate
    }

    /// The candidate that is dialled at `socket`, which is of this class.
    fn judged(
        &self,
        registered: Registered,
        socket: SocketAddr,
        class: Class,
        rule: Option<&Rule>,
    ) -> Candidate {
        let host = self.world.host;
        // What stands in the config is meant.
        let meant = self.instance.key == fixed::KEY || rule.is_some_and(|it| it.host().is_some());
        let code = match host.code(class, socket.ip()) {
            Some(Code::R02 | Code::R03) if meant => None,
            Some(Code::R02) if registered.named => Some(Code::R17),
            code => code,
        };
        let mut why = match code {
            Some(Code::R17) => "its host name resolves to loopback",
            Some(code) => code.cause(),
            None => "",
        }
        .to_owned();
        if let (Some(rule), false) = (rule, why.is_empty()) {
            why = format!("{why}; {rule} leads there");
        }
        let mut candidate = Candidate::new(self.instance, registered.class, code, why);
        candidate.registered = registered.socket;
        candidate.dial = class.dialable().then_some(socket.into());
        candidate
    }
}

/// A registration without an IP address.
fn unread(class: Class) -> Registered {
    Registered {
        class,
        socket: None,
        named: false,
    }
}

/// An IPv4 address in IPv6 clothes is the IPv4 address: one endpoint, not two.
fn canonical(socket: SocketAddr) -> SocketAddr {
    match socket.ip().to_canonical() {
        ip if ip == socket.ip() => socket,
        ip => SocketAddr::new(ip, socket.port()),
    }
}
