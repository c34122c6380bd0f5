//! Everything that the demo shows, set up on loopback and struck again: instances, registry file, proxy, callers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, io};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::client::{CALLERS, Caller};
use super::instance::{Manner, serve};
use super::tally::Tally;
use super::wire::Speech;
use crate::app::{App, StartError};
use crate::config::{Config, ConfigErrors};

/// The service.
pub(super) const SERVICE: &str = "demo.echo";
/// How much later the slow instance answers.
const SLOW: Duration = Duration::from_millis(25);
/// How often other ports are tried where somebody took one first.
const ATTEMPTS: u32 = 5;

/// Who is registered. The order of [`Stage::cast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Answers at once.
    Healthy,
    /// The same, and is taken out of the registry for a while.
    Leaving,
    /// Answers late.
    Slow,
    /// Nobody listens.
    Nobody,
    /// Accepts, and never answers.
    Silent,
}

impl Role {
    const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Leaving,
        Self::Slow,
        Self::Nobody,
        Self::Silent,
    ];

    /// For the table.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Leaving => "healthy too",
            Self::Slow => "25 ms later",
            Self::Nobody => "nobody there",
            Self::Silent => "never answers",
        }
    }

    fn manner(self) -> Option<Manner> {
        match self {
            Self::Healthy | Self::Leaving => Some(Manner::Answers(Duration::ZERO)),
            Self::Slow => Some(Manner::Answers(SLOW)),
            Self::Nobody => None,
            Self::Silent => Some(Manner::Silent),
        }
    }
}

/// One registered address.
pub(super) struct Actor {
    pub(super) role: Role,
    pub(super) addr: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Actor {
    /// Calls that its instance has received.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    #[error("cannot set the demo up on loopback: {0}; see whether this user may open sockets")]
    Sockets(#[source] io::Error),
    #[error(
        "cannot write the demo's registry file {path}: {error}; set TMPDIR to a folder that can be written"
    )]
    Registry { path: PathBuf, error: io::Error },
    #[error("the demo's own config is refused: {0}")]
    Config(#[from] ConfigErrors),
    #[error("the proxy cannot start: {0}")]
    Proxy(#[from] StartError),
}

/// The whole, running.
pub(super) struct Stage {
    pub(super) app: Arc<App>,
    pub(super) cast: Vec<Actor>,
    pub(super) tally: Arc<Mutex<Tally>>,
    /// Where every call is the service's.
    pub(super) fixed: SocketAddr,
    /// Where each call names its service.
    pub(super) named: SocketAddr,
    registry: Folder,
    callers: JoinSet<()>,
    instances: JoinSet<()>,
    /// Bound and never listened on: nobody else gets the port.
    _nobody: Vec<TcpSocket>,
}

impl Stage {
    /// Starts instances, registry and proxy; no call yet.
    pub(super) async fn set() -> Result<Self, StageError> {
        let (mut instances, mut nobody, mut cast) = (JoinSet::new(), Vec::new(), Vec::new());
        for role in Role::ALL {
            let received = Arc::new(AtomicU64::new(0));
            let addr = take_place(role, &received, &mut instances, &mut nobody).await;
            cast.push(Actor {
                role,
                addr: addr.map_err(StageError::Sockets)?,
                received,
            });
        }
        let registry = Folder::new()?;
        registry.write(&cast)?;
        let (app, fixed, named) = start(&registry)?;
        Ok(Self {
            app,
            cast,
            tally: Arc::default(),
            fixed,
            named,
            registry,
            callers: JoinSet::new(),
            instances,
            _nobody: nobody,
        })
    }

    /// The registry file.
    pub(super) fn registry(&self) -> PathBuf {
        self.registry.file()
    }

    /// Lets the callers begin: half of them framed, the others in TTHeader, naming the service themselves.
    pub(super) fn begin(&mut self) {
        for turn in 0..CALLERS {
            let (proxy, speech) = match turn % 2 {
                0 => (self.fixed, Speech::Framed),
                _ => (self.named, Speech::TtHeader),
            };
            let caller = Caller {
                proxy,
                speech,
                service: SERVICE,
                known: self.cast.iter().map(|actor| actor.addr).collect(),
                tally: self.tally.clone(),
            };
            self.callers.spawn(caller.run(turn));
        }
    }

    /// Registers everyone, or everyone but the one who leaves.
    pub(super) fn register(&self, leaving: bool) -> Result<(), StageError> {
        let there = |actor: &&Actor| leaving || actor.role != Role::Leaving;
        self.registry.write(self.cast.iter().filter(there))
    }

    /// Ends everything: callers first, then the proxy, then the instances. Returns how many connections were cut.
    pub(super) async fn strike(mut self) -> usize {
        self.callers.shutdown().await;
        let cut = self.app.drain().await;
        self.instances.shutdown().await;
        cut
    }
}

/// Binds an actor's address, and serves it where somebody does.
async fn take_place(
    role: Role,
    received: &Arc<AtomicU64>,
    instances: &mut JoinSet<()>,
    nobody: &mut Vec<TcpSocket>,
) -> io::Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if let Some(manner) = role.manner() {
        let listener = TcpListener::bind(any).await?;
        let addr = listener.local_addr()?;
        instances.spawn(serve(listener, manner, received.clone()));
        return Ok(addr);
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(any)?;
    let addr = socket.local_addr()?;
    nobody.push(socket);
    Ok(addr)
}

/// Starts the proxy on two free ports; on others if somebody takes one meanwhile.
fn start(registry: &Folder) -> Result<(Arc<App>, SocketAddr, SocketAddr), StageError> {
    let mut attempt = 1;
    loop {
        let [fixed, named] = free_ports().map_err(StageError::Sockets)?;
        let config = Config::from_str("demo.toml", &config(registry, fixed, named))?;
        match App::start(config) {
            Ok(app) => return Ok((app, fixed, named)),
            Err(StartError::Bind { error, .. })
                if error.kind() == io::ErrorKind::AddrInUse && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> io::Result<[SocketAddr; 2]> {
    let bind = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (a, b) = (bind()?, bind()?);
    Ok([a.local_addr()?, b.local_addr()?])
}

/// How long the proxy waits for an instance.
pub(super) const READ_DEADLINE: &str = "300ms";

fn config(registry: &Folder, fixed: SocketAddr, named: SocketAddr) -> String {
    let path = toml::Value::String(registry.file().display().to_string());
    format!(
        r#"
[runtime]
drain_delay = "0s"                # nobody calls any more when the demo ends
drain_timeout = "2s"
[admin]
listen = "off"
[[registry]]
name = "demo"
kind = "file"
path = {path}
[[listener]]
name = "fixed"
listen = "{fixed}"
service = "{SERVICE}"
[[listener]]
name = "named"                    # each call names its service
listen = "{named}"
[defaults]
suspicious = "allow"              # everything here is loopback
read_deadline = "{READ_DEADLINE}"
[[service]]
name = "{SERVICE}"
registry = "demo"
"#
    )
}

/// A folder of the demo's own, with the registry file; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, StageError> {
        let (pid, random) = (std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("tidegate-demo-{pid}-{random:08x}"));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(StageError::Registry { path, error }),
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join("instances.toml")
    }

    /// Replaces the file as a whole, so that nobody reads half of it.
    fn write<'a>(&self, there: impl IntoIterator<Item = &'a Actor>) -> Result<(), StageError> {
        let entry = |actor: &Actor| {
            format!(
                "[[instance]]\nservice = \"{SERVICE}\"\naddress = \"{}\" # {}\n\n",
                actor.addr,
                actor.role.what()
            )
        };
        let text: String = there.into_iter().map(entry).collect();
        let (new, path) = (self.0.join("instances.toml.new"), self.file());
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| StageError::Registry { path, error })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is a few hundred bytes in the folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
