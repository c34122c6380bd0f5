//! Finding codes: the stable names of what can be wrong with a registration, with what answers there, or with etcd.
//!
//! Logs, metrics, `/services`, the answers that callers get, `doctor` and `tidegate explain` share them. A code never
//! changes its meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

mod lang;
mod plain;
pub mod remedy;
#[cfg(test)]
mod tests;
mod text;
mod wrap;

pub use lang::Lang;
pub use plain::plain;
pub use text::Text;
pub use wrap::wrap;

macro_rules! codes {
    ($($name:ident $cause:literal,)*) => {
        /// A finding: `R…` about what is registered, `P…` about what answers there, `E…` about etcd.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $name,)*
        }

        impl Code {
            /// All codes, in their order.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code as people write it, `R02`.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Code::$name => stringify!($name),)* }
            }

            /// What is wrong, in one line.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Code::$name => $cause,)* }
            }

            /// Its cause, proof and remedies in words.
            #[must_use]
            pub const fn text(self, lang: Lang) -> Text {
                match lang {
                    Lang::En => match self { $(Code::$name => text::en::$name,)* },
                    Lang::Zh => match self { $(Code::$name => text::zh::$name,)* },
                }
            }
        }
    };
}

codes! {
    R01 "the unspecified address (0.0.0.0 or ::) or port 0: it names no host",
    R02 "a loopback address: every host that reads it finds itself",
    R03 "a link-local address: it means something else on every network",
    R04 "an address of a container network: from other hosts it leads nowhere, or to one of their own",
    R05 "a private address without a route from here",
    R06 "an address of a carrier-grade NAT or VPN range that no interface here belongs to",
    R07 "an address that cannot be read",
    R08 "the key names another address than the value; the value counts",
    R09 "a value that cannot be read",
    R10 "a weight of 0 or less; 10 is used, as Kitex does",
    R11 "the same address stands in another entry as well",
    R12 "its lease is not renewed: the entry goes when the lease ends, or, without one, never",
    R13 "the wrong prefix, no such service, or its instances are gone",
    R14 "a cloud's metadata address, which is never dialled",
    R15 "a network that is neither tcp nor unix",
    R16 "a listener of tidegate and no instance: dialling it would be a loop",
    R17 "a host name that does not resolve here, or resolves to loopback",
    R18 "an IPv6 address, and this host has no IPv6",
    R19 "a unix socket that does not exist on this host, or that nobody listens on",
    R20 "the service's name begins another service's name, and Kitex's resolver mixes the two",
    R21 "left over: its process has stopped, and its entry stays until its lease ends",
    R22 "it listens on this host, but is registered no more",
    P01 "the host refuses the connection: it is there, and nobody listens on that port",
    P02 "no answer to the connect: a firewall or a security group drops it, or nobody has the address",
    P03 "no way there: this host has no route, or a router or a firewall says so",
    P04 "the connection is reset as soon as it is made",
    P05 "an HTTP server answers there",
    P06 "a TLS server answers there, and the calls are plain",
    P07 "an HTTP/2 server answers there, such as gRPC",
    P08 "it accepts connections and does not answer calls",
    P09 "it closes connections that are idle",
    P10 "it speaks Thrift and does not know the method asked for: it is alive",
    P11 "another protocol answers there",
    P12 "the round trip is too long for the timeouts of its callers",
    P13 "it answers calls, but takes longer than they may",
    E01 "etcd, or one of its members, cannot be reached",
    E02 "etcd refuses the user, the password or the token",
    E03 "the etcd user may not read this range",
    E04 "etcd advertises a loopback address to its clients",
    E05 "etcd compacted the revision that was being followed; it is read again",
    E06 "etcd is slow",
    E07 "the TLS handshake with etcd failed",
}

impl Code {
    /// Whether it is worth knowing and nothing that a person must change: it is no reason for `doctor` to exit with 1.
    #[must_use]
    pub fn is_note(self) -> bool {
        matches!(
            self,
            Code::R10 | Code::R11 | Code::P07 | Code::P10 | Code::E05
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// No such code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", self.said(Lang::En))]
pub struct NoSuchCode {
    word: String,
    /// Those that differ in one character.
    near: Vec<Code>,
}

impl NoSuchCode {
    /// In words.
    #[must_use]
    pub fn said(&self, lang: Lang) -> String {
        let word = &self.word;
        let near: Vec<_> = self.near.iter().map(|code| code.label()).collect();
        let near = near.join(", ");
        match (lang, near.as_str()) {
            (Lang::En, "") => format!(
                "there is no finding {word:?}: codes are a letter and two digits, such as R02 or P01; tidegate explain \
                 lists them"
            ),
            (Lang::En, near) => format!(
                "there is no finding {word:?}, the nearest: {near}; tidegate explain lists them"
            ),
            (Lang::Zh, "") => format!(
                "没有 {word:?} 这个代码：代码是一个字母加两位数字，例如 R02 或 P01；tidegate explain 会列出全部"
            ),
            (Lang::Zh, near) => {
                format!("没有 {word:?} 这个代码，最接近的是：{near}；tidegate explain 会列出全部")
            }
        }
    }
}

impl FromStr for Code {
    type Err = NoSuchCode;

    fn from_str(text: &str) -> Result<Self, NoSuchCode> {
        // `R2` is short for `R02`.
        let full = match text.as_bytes() {
            [letter, digit @ b'0'..=b'9'] => {
                format!("{}0{}", char::from(*letter), char::from(*digit))
            }
            _ => text.to_owned(),
        };
        let is_it = |code: &&Code| code.label().eq_ignore_ascii_case(&full);
        let near = |code: &&Code| differ_in_one(code.label(), &text.to_ascii_uppercase());
        let no_such = || NoSuchCode {
            word: text.to_owned(),
            near: Code::ALL.iter().filter(near).take(3).copied().collect(),
        };
        Code::ALL.iter().find(is_it).copied().ok_or_else(no_such)
    }
}

/// Whether one word becomes the other by a character that is replaced, added or left out.
fn differ_in_one(one: &str, other: &str) -> bool {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let same = same.map(|(a, _)| a.len_utf8()).sum();
    let skip = |text: &str| text[same..].chars().skip(1).collect::<String>();
    let (rest, other_rest) = (skip(one), skip(other));
    rest == other_rest || rest == other[same..] || one[same..] == other_rest
}
