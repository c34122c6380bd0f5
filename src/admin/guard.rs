//! Who may ask: the host that a request names, and the origin that a `POST` comes from.
//!
//! A browser is the only way for a stranger to reach a loopback address. It names the host of the
//! page's address in `Host`, even where a foreign name resolves to loopback, and it says in `Origin`
//! and `Sec-Fetch-Site` (Fetch, and Fetch Metadata) whose page it acts for. Programs send neither.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host names under which the server answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hosts {
    /// Any.
    Any,
    /// This address, any loopback address, `localhost`. Any port: it may be forwarded.
    Own(IpAddr),
}

impl Hosts {
    /// Whether the request names one of them.
    pub(super) fn allow(self, request: &Parts) -> bool {
        match self {
            Self::Any => true,
            Self::Own(own) => named(request).is_some_and(|host| is_own(&host, own)),
        }
    }
}

fn is_own(host: &Authority, own: IpAddr) -> bool {
    let name = host.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == own.to_canonical(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// The host that the request is for: the target's, which wins over the header's (RFC 9112, 3.2.2).
/// `None` where there is none, or where it is no host.
fn named(request: &Parts) -> Option<Authority> {
    let host = match request.uri.authority() {
        Some(authority) => authority.clone(),
        None => only(&request.headers, &HOST)?.to_str().ok()?.parse().ok()?,
    };
    let has_user = host.as_str().contains('@');
    (!has_user).then_some(host)
}

/// The header's value where it is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether nothing says that the request comes from a page of another origin. Another port of this
/// host is another origin, too.
pub(super) fn same_origin(request: &Parts) -> bool {
    let headers = &request.headers;
    let site = !headers.contains_key(FETCH_SITE)
        || only(headers, &FETCH_SITE).is_some_and(|site| site == "same-origin" || site == "none");
    site && (!headers.contains_key(ORIGIN)
        || only(headers, &ORIGIN).is_some_and(|origin| is_named(origin, request)))
}

fn is_named(origin: &HeaderValue, request: &Parts) -> bool {
    let origin = origin.to_str().ok().and_then(|o| o.strip_prefix("http://"));
    let origin = origin.and_then(|origin| origin.parse::<Authority>().ok());
    // Equal without regard to case.
    origin.is_some_and(|origin| named(request).is_some_and(|host| host == origin))
}
