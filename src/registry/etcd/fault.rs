//! What an error of etcd's means for what to do next.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;

use etcd_client::Error;

use crate::registry::Code;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is not there, or not well: another endpoint, or later.
    Away,
    /// The token died, or the users changed: sign in again.
    Token,
    /// It refuses the user or the password, or wants one: a person must act.
    Credentials,
    /// The user may not read the range: a person must act.
    Denied,
    /// A user is configured, but etcd has authentication disabled: go on without.
    AuthOff,
    /// The revision is gone: read anew.
    Compacted,
    /// The answer was larger than we take: ask for less at a time.
    TooLarge,
}

/// An error, understood.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) text: Arc<str>,
}

impl Fault {
    pub(super) fn new(kind: Kind, text: impl Into<Arc<str>>) -> Self {
        Fault {
            kind,
            text: text.into(),
        }
    }

    pub(super) fn timeout(what: &str, after: std::time::Duration) -> Self {
        Fault::new(Kind::Away, format!("no answer to {what} within {after:?}"))
    }

    /// The same with the endpoint it came from.
    pub(super) fn at(self, endpoint: &str, has_certificate: bool) -> Self {
        let hinted = self.hinted(endpoint, has_certificate);
        Fault::new(hinted.kind, format!("{endpoint}: {}", hinted.text))
    }

    /// An etcd that misses a client certificate accepts the connection and closes it, most often without a word: the
    /// hint is ours.
    pub(super) fn hinted(self, endpoint: &str, has_certificate: bool) -> Self {
        const CLOSED: [&str; 4] = ["broken pipe", "closed", "reset", "fatal alert"];
        let closed = self.kind == Kind::Away && CLOSED.iter().any(|word| self.text.contains(word));
        match endpoint.starts_with("https://") && closed && !has_certificate {
            true => Fault::new(
                self.kind,
                format!(
                    "{} (does etcd want a client certificate? give cert and key)",
                    self.text
                ),
            ),
            false => self,
        }
    }

    /// Only a person can change it.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.kind, Kind::Credentials | Kind::Denied)
    }

    /// The word for metrics when a watch ends by it.
    pub(super) fn cause(&self) -> &'static str {
        match self.kind {
            Kind::Away if self.text.contains("no leader") => "no_leader",
            Kind::Away => "unreachable",
            Kind::Token => "token",
            Kind::Credentials => "credentials",
            Kind::Denied => "denied",
            Kind::AuthOff => "auth_off",
            Kind::Compacted => "compacted",
            Kind::TooLarge => "too_large",
        }
    }

    /// The finding it is.
    pub(super) fn code(&self) -> Code {
        match self.kind {
            Kind::Credentials | Kind::Token | Kind::AuthOff => Code::E02,
            Kind::Denied => Code::E03,
            Kind::Compacted => Code::E05,
            Kind::Away if is_tls(&self.text) => Code::E07,
            Kind::Away | Kind::TooLarge => Code::E01,
        }
    }

    /// A watch that etcd cancelled says why in words only.
    pub(super) fn canceled(reason: &str, compact_revision: i64) -> Self {
        let kind = match kind_of_message(reason) {
            _ if compact_revision > 0 => Kind::Compacted,
            Some(kind) => kind,
            None => Kind::Away,
        };
        let reason = if reason.is_empty() {
            "no reason given"
        } else {
            reason
        };
        Fault::new(kind, format!("etcd cancelled the watch: {reason}"))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::GRpcStatus(status) => kind_of_message(status.message()),
            _ => None,
        };
        Fault::new(kind.unwrap_or(Kind::Away), chain(&error))
    }
}

/// etcd's own words: codes alone do not tell (OutOfRange is both a compacted revision and a message
/// that is too long), and a cancelled watch has no code.
fn kind_of_message(message: &str) -> Option<Kind> {
    const WORDS: [(&str, Kind); 10] = [
        ("permission denied", Kind::Denied),
        ("invalid auth token", Kind::Token),
        ("revision of auth store is old", Kind::Token),
        ("user name is empty", Kind::Token),
        ("invalid user ID or password", Kind::Credentials),
        ("user name not found", Kind::Credentials),
        ("authentication is not enabled", Kind::AuthOff),
        ("revision has been compacted", Kind::Compacted),
        ("is a future revision", Kind::Compacted),
        ("message length too large", Kind::TooLarge),
    ];
    WORDS
        .iter()
        .find(|(words, _)| message.contains(words))
        .map(|(_, kind)| *kind)
}

/// The error and all its sources, each once, in one line. (The client's error type hides them.)
fn chain(error: &Error) -> String {
    let (mut text, mut source) = match error {
        Error::GRpcStatus(status) => (status.message().to_owned(), status.source()),
        Error::TransportError(error) => (error.to_string(), error.source()),
        other => (other.to_string(), other.source()),
    };
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            let _ = write!(text, ": {part}");
        }
        source = error.source();
    }
    text
}

fn is_tls(text: &str) -> bool {
    const WORDS: [&str; 6] = [
        "certificate",
        "Certificate",
        "handshake",
        "tls",
        "TLS",
        "received fatal alert",
    ];
    WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests;
