//! Addresses as a config writes them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Section, Text};

use crate::platform::MAX_SOCKET_PATH;

/// An IP address and a port to listen on.
pub(super) fn socket(table: &Section<'_>, text: Text<'_>) -> Option<SocketAddr> {
    let problem = match text.text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() > 0 => return Some(addr),
        Ok(_) => "port 0 is none to listen on".into(),
        Err(_) => why_no_socket(text.text),
    };
    let message = format!(
        "expected an IP address and a port such as \"127.0.0.1:18890\", found \"{}\"",
        text.text
    );
    table.report.error_with(text.at, message, problem);
    None
}

fn why_no_socket(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    if text.starts_with("unix:") {
        "no unix socket is possible here".into()
    } else if host == "localhost" {
        format!("write \"127.0.0.1:{port}\"")
    } else if host.is_empty() {
        format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface")
    } else if text.parse::<std::net::IpAddr>().is_ok() {
        "the port is missing".into()
    } else if host.contains(':') && !host.starts_with('[') {
        "an IPv6 address stands in brackets: \"[::1]:18890\"".into()
    } else {
        "names and ranges are not possible here".into()
    }
}

/// The path of `unix:/path`, where this system has such sockets.
pub(super) fn unix_path(table: &Section<'_>, text: Text<'_>, path: &str) -> Option<PathBuf> {
    let Some(why) = no_unix_path(path) else {
        return Some(path.into());
    };
    table.report.error(text.at, why);
    None
}

/// Why a text is no path of a unix socket on this system; `None`: it is one.
fn no_unix_path(path: &str) -> Option<String> {
    let Some(max) = MAX_SOCKET_PATH else {
        return Some("unix sockets are not supported on Windows".to_owned());
    };
    if !path.starts_with('/') || path.starts_with("//") || path.contains('\0') {
        return Some(format!(
            "expected an absolute path after \"unix:\", found \"{}\"",
            path.escape_debug()
        ));
    }
    (path.len() > max).then(|| {
        format!(
            "expected a path of at most {max} bytes after \"unix:\", the system's limit for a socket, found {} bytes",
            path.len()
        )
    })
}

/// Why a text is neither `host:port` nor `unix:/path`; `None`: it is one.
pub(super) fn not_dialable(text: &str) -> Option<Cow<'static, str>> {
    match text.strip_prefix("unix:") {
        // An abstract name (Linux) has no file.
        Some(path) if cfg!(target_os = "linux") && path.len() > 1 && path.starts_with('@') => {
            no_unix_path(&path.replacen('@', "/", 1)).map(Cow::Owned)
        }
        Some(path) => no_unix_path(path).map(Cow::Owned),
        None if text.starts_with('/') => Some(format!("write \"unix:{text}\"").into()),
        None => no_host_and_port(text).map(Cow::Borrowed),
    }
}

fn no_host_and_port(text: &str) -> Option<&'static str> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Some("the port is missing");
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Some("a port is a number from 1 to 65535");
    }
    if host.is_empty() {
        return Some("the host is missing");
    }
    if host.contains(':') {
        let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address = inner.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
        return (!address).then_some("an IPv6 address stands in brackets: \"[::1]:8888\"");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!host.chars().all(plain)).then_some("a host name has letters, digits, `-`, `_` and `.` only")
}
