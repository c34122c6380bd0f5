//! What the owner of a registration can do about a finding, in one sentence: for the log and `/services`. What is to be
//! pasted is [`finding::remedy`](crate::finding::remedy)'s, which this shares the words of the rarer findings with.

use super::Instance;
use crate::finding::remedy::{self, Subject};
use crate::finding::{Code, Lang};

impl Code {
    /// Whether it is about the address itself, so that a rule which makes another of it is what can be changed.
    pub(super) fn is_of_the_address(self) -> bool {
        use Code::{R01, R02, R03, R04, R05, R06, R14, R16, R17, R18};
        matches!(
            self,
            R01 | R02 | R03 | R04 | R05 | R06 | R14 | R16 | R17 | R18
        )
    }

    /// What the owner of `instance` can do about this finding, as one sentence.
    #[must_use]
    pub fn remedy(self, instance: &Instance) -> String {
        let (address, key) = (instance.address.as_str(), instance.key.as_str());
        match self {
            Code::R01 | Code::R02 | Code::R03 => register_reachable(instance),
            Code::R04 | Code::R05 | Code::R06 => format!(
                "join the network of {address}, or {}",
                register_reachable(instance)
            ),
            Code::R07 => super::address::remedy(address),
            Code::R08 => format!(
                "register one address in both places: where Kitex wrote {key}, pass the address that others \
                 can dial to both server.WithServiceAddr and the registry, or delete the key if it is a leftover"
            ),
            Code::R10 => format!("give the instance at {key} a weight of 1 or more"),
            Code::R11 => format!("delete {key} if it is a leftover"),
            Code::R14 => format!("delete {key}; no service can listen on {address}"),
            Code::R15 => format!("register {key} with network tcp"),
            Code::R16 => format!(
                "register the instance's own port instead of tidegate's {address}, or let tidegate listen elsewhere"
            ),
            Code::R17 => format!(
                "make the host name of {address} resolve here to an address other hosts can dial (DNS or \
                 /etc/hosts), or register an IP address"
            ),
            Code::R18 => {
                format!("give this host IPv6, or register an IPv4 address instead of {address}")
            }
            Code::R19 => format!(
                "start the instance here, if this is its host; else register a TCP address instead of {address}"
            ),
            code => most_likely(code, instance),
        }
    }
}

fn subject(instance: &Instance) -> Subject<'_> {
    Subject {
        address: &instance.address,
        key: &instance.key,
        ..Subject::default()
    }
}

/// How a Kitex server is made to register an address that others can dial.
fn register_reachable(instance: &Instance) -> String {
    let ways = "set KITEX_IP_TO_REGISTRY=HOST_IP (and KITEX_PORT_TO_REGISTRY=PORT) in the server's environment, or let it \
                listen on server.WithServiceAddr(HOST_IP:PORT), or pass server.WithRegistryInfo(&registry.Info{Addr: \
                HOST_IP:PORT, SkipListenAddr: true}); or map it from here with a [[rewrite]] rule";
    format!(
        "register an address that other hosts can dial instead of {}: {}",
        instance.address,
        remedy::fill(ways, &subject(instance))
    )
}

/// The first remedy there is, its lines to paste behind it.
fn most_likely(code: Code, instance: &Instance) -> String {
    let remedies = remedy::remedies(code, &subject(instance), Lang::En);
    let Some(first) = remedies.into_iter().next() else {
        return format!("look at {}: {}", instance.key, code.cause());
    };
    let mut sentence = first.what.trim_end_matches('.').to_owned();
    // A sentence within a sentence: no capital, but for a name's.
    if let Some(initial) = sentence.get_mut(..1) {
        initial.make_ascii_lowercase();
    }
    for line in first.paste.iter().flat_map(|paste| paste.lines()) {
        sentence = format!("{sentence} {line}");
    }
    sentence
}
