//! What `etcdctl` must be told besides what it is to do.

use super::place::is_safe;

/// How the etcd of a registry is reached, as flags of `etcdctl`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Etcdctl {
    /// The URL of a member.
    pub endpoint: String,
    /// The user that reads the registry; `None` where etcd asks for none.
    pub user: Option<String>,
    /// The file of who may have signed etcd's certificate.
    pub cacert: Option<String>,
    /// The file of the certificate to show.
    pub cert: Option<String>,
    /// The file of its key.
    pub key: Option<String>,
}

impl Etcdctl {
    /// A command line with the flags that it lacks; another line as it is. What is not safe to paste is left to be filled
    /// in. `etcdctl` asks for the password.
    pub(super) fn tell(&self, line: &str) -> String {
        let Some(command) = line.strip_prefix("etcdctl ") else {
            return line.to_owned();
        };
        let endpoint = Some(self.endpoint.as_str()).filter(|url| is_safe(url));
        let user = self.user.as_deref().map(|reader| who(command, reader));
        let mut told = "etcdctl ".to_owned();
        for (flag, value) in [
            ("--endpoints", endpoint),
            ("--cacert", file(self.cacert.as_deref(), "CA_FILE")),
            ("--cert", file(self.cert.as_deref(), "CERT_FILE")),
            ("--key", file(self.key.as_deref(), "KEY_FILE")),
            ("--user", user),
        ] {
            if let Some(value) = value.filter(|_| !command.contains(&format!("{flag}="))) {
                told += &format!("{flag}='{value}' ");
            }
        }
        let reader = self.user.as_deref().filter(|user| is_safe(user));
        let granted = format!("grant-role {}", reader.unwrap_or("USER"));
        told + &command.replace("grant-role USER", &granted)
    }
}

/// As whom. Roles and users are root's, which every etcd with authentication has; the reader of a registry may rarely
/// write to it.
fn who<'a>(command: &str, reader: &'a str) -> &'a str {
    match command.split(' ').next() {
        Some("role" | "user") => "root",
        Some("put" | "del") => "USER",
        _ if is_safe(reader) => reader,
        _ => "USER",
    }
}

fn file<'a>(path: Option<&'a str>, word: &'a str) -> Option<&'a str> {
    path.map(|path| if is_safe(path) { path } else { word })
}
