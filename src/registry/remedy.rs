//! What the owner of a registration can do about a finding, in one sentence that is complete by itself: for the log. What
//! is to be pasted, and all else that helps, is [`finding::remedy`](crate::finding::remedy)'s to say.

use super::{Instance, Rewritten, brief};
use crate::finding::Code;
use crate::finding::remedy::{self, Subject};

#[cfg(test)]
mod tests;

impl Code {
    /// Whether it is about the address itself, so that a rule which makes another of it is what can be changed.
    pub(crate) fn is_of_the_address(self) -> bool {
        use Code::{R01, R02, R03, R04, R05, R06, R14, R16, R17, R18};
        matches!(
            self,
            R01 | R02 | R03 | R04 | R05 | R06 | R14 | R16 | R17 | R18
        )
    }

    /// What the owner of `instance` can do about this finding, as one sentence without its full stop.
    #[must_use]
    pub fn remedy(self, instance: &Instance) -> String {
        self.remedy_at(&instance.address, &instance.key)
    }

    /// The same where a rule may have made another address of the registered one.
    pub(crate) fn remedy_of(self, instance: &Instance, rewritten: Option<&Rewritten>) -> String {
        match rewritten {
            Some(rewritten) if self.is_of_the_address() => format!(
                "let {} lead to an address that can be dialled from here",
                rewritten.rule
            ),
            _ => self.remedy(instance),
        }
    }

    /// The same for what is registered as `address` at `key`.
    pub(crate) fn remedy_at(self, address: &str, key: &str) -> String {
        let (shown, at) = (brief(address), brief(key));
        match self {
            Code::R01 | Code::R02 | Code::R03 => register_reachable(address),
            Code::R17 if !remedy::has_a_name_of_its_own(address) => register_reachable(address),
            Code::R04 if remedy::is_a_bridges_own(address) => register_reachable(address),
            Code::R04 => format!(
                "join the container network of {shown}, or publish the container's port and {}",
                register_reachable(address)
            ),
            Code::R05 | Code::R06 => {
                format!(
                    "join the network of {shown}, or {}",
                    register_reachable(address)
                )
            }
            Code::R07 => super::address::remedy(&shown),
            Code::R08 => format!(
                "register one address in both places, the key and the value of {at}, or delete it if it is a leftover"
            ),
            Code::R09 => format!(
                "see whether {at} is another program's; else write there what registry-etcd writes, or delete it"
            ),
            Code::R10 => format!("give the instance at {at} a weight of 1 or more"),
            Code::R11 => format!("delete {at} if it is a leftover"),
            Code::R14 => format!("delete {at}; no service can listen on {shown}"),
            Code::R15 => format!("register {at} with network tcp, or unix for a path"),
            Code::R16 => format!(
                "register the instance's own port instead of tidegate's {shown}, or let tidegate listen elsewhere"
            ),
            Code::R17 => format!(
                "make the host name of {shown} resolve here to an address other hosts can dial (DNS or /etc/hosts), or \
                 register an IP address"
            ),
            Code::R18 => {
                format!("register an IPv4 address instead of {shown}, or give this host IPv6")
            }
            Code::R19 => format!(
                "start the instance here, if this is its host; else register a TCP address instead of {shown}"
            ),
            Code::R21 => format!("wait until its lease ends, or delete {at} at once"),
            code => remedy::fill(in_general(code), &subject(address)),
        }
    }
}

fn subject(address: &str) -> Subject<'_> {
    Subject {
        address,
        ..Subject::default()
    }
}

/// How a Kitex server is made to register an address that others can dial.
fn register_reachable(address: &str) -> String {
    let ways = "let the server listen by \
                server.WithServiceAddr(&net.TCPAddr{IP: net.ParseIP(\"HOST_IP\"), Port: PORT}), or, where it listens on \
                all addresses, set KITEX_IP_TO_REGISTRY=HOST_IP and KITEX_PORT_TO_REGISTRY=PORT in its environment; or \
                map it from here with a [[rewrite]] rule";
    format!(
        "register an address that other hosts can dial instead of {}: {}",
        brief(address),
        remedy::fill(ways, &subject(address))
    )
}

/// What helps with a finding that needs no more of the registration than its port.
fn in_general(code: Code) -> &'static str {
    match code {
        Code::R12 => {
            "see whether the server's process runs, or is stopped or cut off from etcd, and restart it: after five \
             failed looks its registrar gives up for good"
        }
        Code::R13 => {
            "correct the name, letter for letter as in server.WithServerBasicInfo, or the prefix in the [[registry]]"
        }
        Code::R20 => {
            "rename one of them, so that neither name begins the other, or call through tidegate, which asks with the \
             slash"
        }
        Code::R22 => "restart the server: it registers 1 s after its start",
        Code::P01 => {
            "start the server, or see on its host which address it listens on: 127.0.0.1 is reached by nobody else"
        }
        Code::P02 => {
            "let the cloud's security group and the firewall of its host take inbound TCP on port PORT from this host"
        }
        Code::P03 => "connect the VPN, or add the route or the peering that is missing",
        Code::P04 => {
            "see the server's log and its limit of connections, and what a load balancer or sidecar there leads to"
        }
        Code::P05 | Code::P11 => {
            "register the port of the RPC server (KITEX_PORT_TO_REGISTRY), or restart the service if another program \
             has taken its port"
        }
        Code::P06 => {
            "register the plain port (KITEX_PORT_TO_REGISTRY), or exempt this one from the mesh's or load balancer's \
             TLS"
        }
        Code::P07 => {
            "nothing where callers speak gRPC; where they speak Thrift, register the port of the Thrift server"
        }
        Code::P08 => {
            "it hangs, or its calls take longer than they may (doctor --call tells which): of slow calls raise \
             read_deadline and the callers' WithRPCTimeout; of a hung process see what it does (kill -QUIT prints a Go \
             program's goroutines and ends it), and restart it"
        }
        Code::P09 => {
            "upgrade the server to Kitex v0.14.0 or later, or let it wait longer by \
             server.WithReadWriteTimeout(10*time.Minute)"
        }
        Code::P10 => "nothing: it is what a sound instance answers",
        Code::P12 => {
            "set a longer connect_timeout here, and client.WithConnectTimeout where callers dial for themselves"
        }
        Code::P13 => {
            "see what the server waits for, or give its callers and read_deadline the time that the method takes"
        }
        Code::E01 => {
            "correct the endpoints of the [[registry]], or see whether etcd runs and listens for others"
        }
        Code::E02 => "correct user and password of the [[registry]]",
        Code::E03 => "grant the user's role the reading of the range",
        Code::E04 => "start etcd with the address that others dial in --advertise-client-urls",
        Code::E05 => "nothing: tidegate reads everything anew",
        Code::E06 => "see the disks of etcd's members, and how far they are from each other",
        Code::E07 => {
            "name etcd's authority and the name in its certificate in the [[registry]]'s tls"
        }
        // The others name what is registered.
        _ => "see tidegate explain",
    }
}
