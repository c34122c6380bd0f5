//! How to reach etcd.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::registry::{Layout, StateDir};

/// How to reach one etcd cluster, and what to read there.
#[derive(Clone)]
pub struct EtcdOptions {
    /// The name the config gives this registry.
    pub name: String,
    /// URLs of the members; without a scheme, `https` if any TLS file is given, else `http`.
    pub endpoints: Vec<String>,
    /// How keys and values read.
    pub layout: Layout,
    /// Signs in as this user, if etcd has authentication enabled.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// PEM file of the authority that signed etcd's certificate; the system's where it is left out.
    pub ca: Option<PathBuf>,
    /// PEM file of our own certificate.
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// The name in etcd's certificate, if it is not the one in the URL.
    pub domain: Option<String>,
    /// The longest that one connect may take.
    pub connect_timeout: Duration,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// How often everything is read anew though nothing seems wrong, ±10 %.
    pub relist_every: Duration,
    /// How often a refusal that only a person can lift is tried again.
    pub retry_refused_every: Duration,
    /// Keeps the last good sets here, over a restart of tidegate.
    pub state_dir: Option<PathBuf>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions {
            name: "etcd".to_owned(),
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            layout: Layout::default(),
            user: None,
            password: None,
            ca: None,
            cert: None,
            key: None,
            domain: None,
            connect_timeout: Duration::from_millis(1500),
            request_timeout: Duration::from_secs(3),
            relist_every: Duration::from_secs(300),
            retry_refused_every: Duration::from_secs(15),
            state_dir: None,
        }
    }
}

/// Without the password.
impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdOptions")
            .field("name", &self.name)
            .field("endpoints", &self.endpoints)
            .field("layout", &self.layout)
            .field("user", &self.user)
            .field("ca", &self.ca)
            .field("cert", &self.cert)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// Options that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdOptionsError {
    /// There is no endpoint.
    #[error("endpoints is empty: name at least one, such as http://127.0.0.1:2379")]
    NoEndpoints,
    /// An endpoint is no URL of a host.
    #[error("endpoint {0:?} is no URL: write http://HOST:PORT or https://HOST:PORT")]
    BadEndpoint(String),
    /// TLS files beside a plain URL.
    #[error(
        "endpoint {0:?} is plain http, but ca, cert, key or domain is given: write https:// or leave them out"
    )]
    TlsOverHttp(String),
    /// One of the pair is missing.
    #[error("cert and key belong together: give both or neither")]
    HalfCertificate,
    /// One of the pair is missing.
    #[error("user and password belong together: give both or neither")]
    HalfUser,
}

impl EtcdOptions {
    /// Where the last good sets are kept.
    pub(super) fn state(&self) -> Option<StateDir> {
        let dir = self.state_dir.as_ref()?;
        Some(StateDir::new(dir, &self.name))
    }

    /// Whether anything about TLS is configured.
    pub(super) fn has_tls(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some() || self.domain.is_some()
    }

    /// Endpoints with their scheme, and no contradictions.
    pub(super) fn checked(mut self) -> Result<Self, EtcdOptionsError> {
        if self.endpoints.is_empty() {
            return Err(EtcdOptionsError::NoEndpoints);
        }
        if self.cert.is_some() != self.key.is_some() {
            return Err(EtcdOptionsError::HalfCertificate);
        }
        if self.user.is_some() != self.password.is_some() {
            return Err(EtcdOptionsError::HalfUser);
        }
        let tls = self.has_tls();
        let endpoints = self
            .endpoints
            .iter()
            .map(|endpoint| check_endpoint(endpoint, tls));
        self.endpoints = endpoints.collect::<Result<_, _>>()?;
        Ok(self)
    }
}

fn check_endpoint(endpoint: &str, tls: bool) -> Result<String, EtcdOptionsError> {
    let url = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false => format!("{}://{endpoint}", if tls { "https" } else { "http" }),
    };
    let bad = || EtcdOptionsError::BadEndpoint(endpoint.to_owned());
    let uri: hyper::Uri = url.parse().map_err(|_| bad())?;
    match uri.scheme_str() {
        Some("http") if tls => Err(EtcdOptionsError::TlsOverHttp(endpoint.to_owned())),
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(url),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests;
