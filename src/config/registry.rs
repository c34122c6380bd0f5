//! Registries as configured: where the instances of services are found.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::units;

/// Where instances are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Registry {
    /// An etcd cluster.
    Etcd(Etcd),
    /// A watched file.
    File(File),
}

impl Registry {
    /// The name services refer to; unique among the registries.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Etcd(etcd) => &etcd.name,
            Self::File(file) => &file.name,
        }
    }
}

/// An etcd cluster that holds registrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Etcd {
    /// Unique among the registries.
    #[serde(serialize_with = "units::text")]
    pub name: Arc<str>,
    /// URLs of its members, `http://host:port` or `https://host:port`, of one scheme; at least one.
    pub endpoints: Vec<String>,
    /// How its keys and values read.
    pub layout: Layout,
    /// What stands before `/{service}/` in its keys, exactly; may be empty.
    pub prefix: String,
    /// The user to sign in as; with a password or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// One connect to a member. 1 ms to 1 h; 3 s.
    #[serde(serialize_with = "units::duration")]
    pub connect_timeout: Duration,
    /// One request; a watch is not cut by it. 1 ms to 1 h; 3 s.
    #[serde(serialize_with = "units::duration")]
    pub timeout: Duration,
    /// Certificates, where the URLs are `https`. `None` there: the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// A file that holds registrations, read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Unique among the registries.
    #[serde(serialize_with = "units::text")]
    pub name: Arc<str>,
    /// A relative path is meant from the folder of the config file that names it.
    pub path: PathBuf,
}

/// Certificates towards etcd, PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Who may have signed etcd's certificate; `None`: the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Our own certificate; with a key or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Our own certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name etcd's certificate must bear, where it is not the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// How etcd's keys and values read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Kitex's registry-etcd: `{prefix}/{service}/{address}` holds JSON.
    #[default]
    Kitex,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}
