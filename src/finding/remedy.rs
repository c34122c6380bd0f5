//! What helps with one registration, with its address filled in, to be pasted.

use std::net::IpAddr;

use super::{Code, Lang, plain};

/// What a finding is about. Texts of a registry stand here as they are; what is made of them is safe to print and to
/// paste.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The service.
    pub service: &'a str,
    /// The address as it is registered; of a finding about etcd (`E…`), the member's URL.
    pub address: &'a str,
    /// The key of the registration; of `E03`, the range that is to be read.
    pub key: &'a str,
    /// An address of the instance's host that others can dial, where one is known; else texts say `HOST_IP`.
    pub host: Option<IpAddr>,
    /// `R13`: the nearest name there is. `R20`: the longer name.
    pub nearest: Option<&'a str>,
    /// `R13`: the prefix under which the service stands.
    pub prefix: Option<&'a str>,
}

/// One thing that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, as a sentence.
    pub what: String,
    /// Lines exactly as they are to be pasted.
    pub paste: Option<String>,
}

/// What helps with a finding, the most important first; at most five, the same for the same subject.
#[must_use]
pub fn remedies(code: Code, subject: &Subject<'_>, lang: Lang) -> Vec<Remedy> {
    let _ = lang;
    vec![Remedy {
        what: format!("{}: {}", plain(subject.address), code.cause()),
        paste: None,
    }]
}
