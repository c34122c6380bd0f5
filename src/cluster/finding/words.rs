//! What callers are told of an endpoint that cannot be connected to.

use std::time::Duration;

use crate::diagnosis::phrase;
use crate::endpoint::Endpoint;
use crate::finding::Code;
use crate::outcome::{Failed, Outcome};
use crate::probe::Connect;
use crate::registry::DialAddr;

/// A connect to the endpoint has failed: tells of its service, of which so `many` endpoints are down, how. What its
/// registration is leads, where that explains it.
pub fn down(endpoint: &Endpoint, failed: Failed, many: &str) -> Failed {
    let detail = failed.detail.as_deref().unwrap_or_default();
    let Some(connect) = seen(&endpoint.addr, failed.outcome, detail) else {
        let how = how(endpoint, &failed);
        return failed.because(format!("{many}, last {} {how}", endpoint.name));
    };
    let how = how(endpoint, &failed);
    let codes = endpoint.watch.judge(&connect);
    let registered = codes.iter().copied().find(|code| is_registration(*code));
    match registered {
        Some(code) if codes.first() == Some(&code) => failed
            .because(format!("{many}, it {how}"))
            .led_by(Some(code)),
        Some(code) => {
            let also = format!("it {} ({code})", phrase(code));
            failed
                .because(format!("{many}, last {} {how}, {also}", endpoint.name))
                .ask_doctor(true)
        }
        None => failed
            .because(format!("{many}, last {} {how}", endpoint.name))
            .ask_doctor(true),
    }
}

/// What the endpoint's registration is, where that comes before all that a connect says which ended so.
pub(super) fn lead(endpoint: &Endpoint, connect: &Connect) -> Option<Code> {
    let first = endpoint.watch.judge(connect).first().copied();
    first.filter(|code| is_registration(*code))
}

/// The same for what was found there, where another one than that.
pub(super) fn lead_of(endpoint: &Endpoint, found: Code) -> Option<Code> {
    let at_once = Duration::ZERO;
    let connect = match found {
        Code::P01 => Connect::Refused(at_once),
        Code::P02 => Connect::TimedOut(at_once),
        Code::P03 => Connect::Unreachable(String::new()),
        Code::P04 => Connect::Reset(at_once),
        Code::P05 | Code::P06 | Code::P07 | Code::P08 | Code::P11 => Connect::Open(at_once),
        _ => return None,
    };
    lead(endpoint, &connect)
}

/// A finding about what is registered, and no mere note.
fn is_registration(code: Code) -> bool {
    code.label().starts_with('R') && !code.is_note()
}

/// What a connect saw that ended so; `None` where it says nothing of the endpoint.
pub(super) fn seen(addr: &DialAddr, outcome: Outcome, detail: &str) -> Option<Connect> {
    let at_once = Duration::ZERO;
    match (outcome, addr) {
        (Outcome::ConnectRefused | Outcome::Unreachable, DialAddr::Unix(_)) => {
            Some(Connect::NoSocket(detail.to_owned()))
        }
        (Outcome::ConnectRefused, _) => Some(Connect::Refused(at_once)),
        (Outcome::ConnectTimeout, _) => Some(Connect::TimedOut(at_once)),
        (Outcome::Unreachable, _) => Some(Connect::Unreachable(detail.to_owned())),
        _ => None,
    }
}

/// How a connect failed, with the code that `tidegate explain` knows.
fn how(endpoint: &Endpoint, failed: &Failed) -> String {
    match (failed.outcome, failed.detail.as_deref()) {
        (Outcome::ConnectRefused | Outcome::Unreachable, Some(said))
            if endpoint.addr.path().is_some() =>
        {
            format!("failed: {said}")
        }
        (Outcome::ConnectRefused, _) => "refused (P01)".to_owned(),
        (Outcome::ConnectTimeout, _) => match shows(endpoint, Code::P12) {
            Some(said) => format!("timed out (P12: {said})"),
            None => "timed out (P02)".to_owned(),
        },
        (Outcome::Unreachable, _) if shows(endpoint, Code::P04).is_some() => {
            "was reset (P04)".to_owned()
        }
        (Outcome::Unreachable, Some(said)) => format!("was unreachable (P03: {said})"),
        // A health check's own words.
        (Outcome::NoEndpoints, Some(said)) => said.to_owned(),
        (outcome, said) => format!("{}: {}", outcome.label(), said.unwrap_or("no reason given")),
    }
}

/// What was said of this finding, where the endpoint shows it.
fn shows(endpoint: &Endpoint, code: Code) -> Option<Box<str>> {
    let mut found = endpoint.watch.list().into_iter();
    found.find(|it| it.code == code).map(|it| it.said)
}
