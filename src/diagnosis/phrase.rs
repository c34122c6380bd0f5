//! Findings in the words of a sentence about one endpoint, and what servers of other protocols are called.

use crate::finding::Code;
use crate::probe::Spoke;

/// What a finding says of an endpoint: follows its address, or "it".
#[must_use]
pub const fn phrase(code: Code) -> &'static str {
    match code {
        Code::R01 => "is registered as the unspecified address",
        Code::R02 => "is registered as a loopback address",
        Code::R03 => "is registered as a link-local address",
        Code::R04 => "is registered as a container's address",
        Code::R05 => "is registered as a private address without a route from here",
        Code::R06 => "is registered as an address of a carrier-grade NAT or a VPN",
        Code::R07 => "is registered in a form that cannot be read",
        Code::R08 => "is registered under a key that names another address",
        Code::R09 => "is registered with a value that cannot be read",
        Code::R10 => "is registered with a weight of 0 or less",
        Code::R11 => "is registered more than once",
        Code::R12 => "is registered with a lease that nobody renews",
        Code::R13 => "is not registered under this name",
        Code::R14 => "is registered as a cloud's metadata address",
        Code::R15 => "is registered with a network that is neither tcp nor unix",
        Code::R16 => "is registered as an address that tidegate itself listens on",
        Code::R17 => "is registered by a host name that does not lead to its host",
        Code::R18 => "is registered as an IPv6 address, and this host has no IPv6",
        Code::R19 => "is registered as a unix socket that nobody here listens on",
        Code::R20 => "is registered under a name that begins another service's",
        Code::R21 => "is left over from a process that has stopped",
        Code::R22 => "listens and is registered no more",
        Code::P01 => "refuses connections",
        Code::P02 => "does not answer connects",
        Code::P03 => "cannot be reached",
        Code::P04 => "resets connections as soon as they are made",
        Code::P05 => "is an HTTP server",
        Code::P06 => "is a TLS server, and the calls are plain",
        Code::P07 => "is an HTTP/2 server",
        Code::P08 => "accepts connections and does not answer calls",
        Code::P09 => "closes connections that are idle",
        Code::P10 => "speaks Thrift and does not know the method asked for",
        Code::P11 => "speaks another protocol",
        Code::P12 => "takes longer to connect to than connect_timeout allows",
        Code::P13 => "answers calls, but takes longer than they may",
        Code::E01 => "is read from an etcd that cannot be reached",
        Code::E02 => "is read from an etcd that refuses the user",
        Code::E03 => "is in a range that the etcd user may not read",
        Code::E04 => "is read from an etcd that advertises a loopback address",
        Code::E05 => "is read from an etcd that was compacted",
        Code::E06 => "is read from a slow etcd",
        Code::E07 => "is read from an etcd whose TLS handshake fails",
    }
}

/// The finding that a server of another protocol is.
#[must_use]
pub const fn code_of(spoke: &Spoke) -> Code {
    match spoke {
        Spoke::Http(_) => Code::P05,
        Spoke::Tls => Code::P06,
        Spoke::Http2 => Code::P07,
        Spoke::Redis | Spoke::MySql | Spoke::Ssh(_) | Spoke::Other(_) => Code::P11,
    }
}

/// What proves it, beside a phrase that says what the server is: `it says HTTP/1.1 400 Bad Request`.
#[must_use]
pub fn proves(spoke: &Spoke) -> String {
    let whose = match spoke {
        Spoke::Http(line) | Spoke::Ssh(line) if !line.is_empty() => {
            return format!("it says {line}");
        }
        Spoke::Http(_) => "HTTP's",
        Spoke::Tls => "TLS's",
        Spoke::Http2 => "HTTP/2's",
        Spoke::Redis => "Redis's",
        Spoke::MySql => "MySQL's",
        Spoke::Ssh(_) => "SSH's",
        Spoke::Other(bytes) => return format!("it says {bytes}"),
    };
    format!("its first bytes are {whose}")
}

/// `an HTTP server answers there (P05): HTTP/1.1 400 Bad Request`.
#[must_use]
pub fn answers_there(spoke: &Spoke) -> String {
    let (what, said) = match spoke {
        Spoke::Http(line) => ("an HTTP server", line.as_str()),
        Spoke::Tls => ("a TLS server", ""),
        Spoke::Http2 => ("an HTTP/2 server, such as gRPC,", ""),
        Spoke::Redis => ("Redis", ""),
        Spoke::MySql => ("MySQL", ""),
        Spoke::Ssh(greeting) => ("an SSH server", greeting.as_str()),
        Spoke::Other(bytes) => ("another protocol", bytes.as_str()),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    format!("{what} answers there ({}){colon}{said}", code_of(spoke))
}
