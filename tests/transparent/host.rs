//! A host of one's own: its addresses, tidegate on it, the firewall's rules.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use scripted::{Act, Answer, Client, Framing, Header, Options, Server};
use tempfile::TempDir;
use tidegate::app::App;
use tidegate::config::Config;
use tokio::time::{sleep, timeout};

/// No step of a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The mark of tidegate's own connections, which the rules let pass.
pub const MARK: u32 = 77;
/// Where the rules send what they catch.
pub const PORT: u16 = 15001;
/// The port that instances listen on.
pub const INSTANCE: u16 = 8888;

/// Runs a line of the shell; what it prints.
pub fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Which of the two kinds of address a test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// Gives this host one more address, the `n`th.
    pub fn address(self, n: u8) -> IpAddr {
        let (ip, len): (IpAddr, u8) = match self {
            Self::V4 => (IpAddr::from([10, 9, 0, n]), 32),
            Self::V6 => (IpAddr::from([0xfd09, 0, 0, 0, 0, 0, 0, u16::from(n)]), 128),
        };
        // Nobody else can have it: no need to ask around first, as IPv6 does.
        let nodad = if self == Self::V6 { "nodad" } else { "" };
        sh(&format!("ip addr replace {ip}/{len} dev lo {nodad}"));
        ip
    }

    /// The `n`th address, with the port that instances listen on.
    pub fn instance(self, n: u8) -> SocketAddr {
        SocketAddr::new(self.address(n), INSTANCE)
    }
}

/// An instance that echoes.
pub async fn instance(at: SocketAddr) -> Server {
    let options = Options::always(Act::Echo).listen(at);
    options.start().await.unwrap()
}

/// tidegate with one transparent listener and what a file registers.
pub struct Host {
    pub app: Arc<App>,
    folder: TempDir,
}

impl Host {
    /// These services at these addresses; `listener` is what else the listener says.
    pub async fn start(entries: &[(&str, SocketAddr)], listener: &str) -> Self {
        Self::start_marked(entries, listener, MARK).await
    }

    /// The same with another mark on tidegate's own connections.
    pub async fn start_marked(entries: &[(&str, SocketAddr)], listener: &str, mark: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("services.toml");
        std::fs::write(&path, file(entries)).unwrap();
        let config = config(&path, listener, mark);
        let app = App::start(config).unwrap_or_else(|e| panic!("{e}"));
        let host = Self { app, folder };
        for (_, addr) in entries {
            host.until_known(*addr).await;
        }
        host
    }

    /// Another config: this is what its listener says, and what comes after it.
    pub async fn reload(&self, listener: &str) {
        let path = self.folder.path().join("services.toml");
        let config = config(&path, listener, MARK);
        self.app.reload(Ok(config)).await.unwrap();
    }

    /// Registers these instead.
    pub fn register(&self, entries: &[(&str, SocketAddr)]) {
        let path = self.folder.path().join("services.toml");
        std::fs::write(path, file(entries)).unwrap();
    }

    async fn until_known(&self, addr: SocketAddr) {
        eventually("the registry is read", || self.app.knows(addr)).await;
    }

    /// Connections of the listener that were going there.
    pub fn redirects(&self, to: &str) -> u64 {
        metric("tidegate_redirects_total", &format!("to=\"{to}\""))
    }
}

fn config(path: &std::path::Path, listener: &str, mark: u32) -> Config {
    let text = format!(
        "[admin]\nlisten = \"off\"\n[runtime]\nmark = {mark}\ndrain_delay = \"0s\"\n\
         [[registry]]\nname = \"file\"\nkind = \"file\"\npath = \"{}\"\n\
         [[listener]]\nname = \"redirect\"\nlisten = \"[::]:{PORT}\"\ntransparent = true\n{listener}\n",
        path.display()
    );
    Config::from_str("test.toml", &text).unwrap_or_else(|e| panic!("{e}"))
}

fn file(entries: &[(&str, SocketAddr)]) -> String {
    let entry = |(service, at): &(&str, SocketAddr)| {
        format!("[[instance]]\nservice = \"{service}\"\naddress = \"{at}\"\n")
    };
    entries.iter().map(entry).collect()
}

/// The sum of a metric's series that have this label.
pub fn metric(name: &str, label: &str) -> u64 {
    let text = tidegate::metrics::render();
    let series = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    series
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

/// Polls until it is so.
pub async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}

/// The two tools.
pub const TOOLS: [&str; 2] = ["", "--nft"];

/// Applies the rules by tidegate's own command: what goes to these ports is caught, but for what has the mark.
pub fn redirect(tool: &str, ports: &str, mark: u32) {
    iptables(&format!("--mark {mark} --ports {ports} --apply {tool}"));
}

/// `tidegate iptables` with these arguments; what it prints.
pub fn iptables(args: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_tidegate");
    sh(&format!(
        "PATH=$PATH:/usr/sbin:/sbin {binary} iptables {args}"
    ))
}

/// Dials the address, as an unmodified client that resolved it does.
pub async fn dial(to: SocketAddr, framing: Framing) -> Client {
    timeout(PATIENCE, Client::connect(to, framing))
        .await
        .unwrap()
        .unwrap()
}

/// One call on a connection of its own.
pub async fn call(to: SocketAddr, framing: Framing, header: Header) -> Answer {
    let mut client = dial(to, framing).await;
    if framing.has_header() {
        client = client.with_header(header);
    }
    timeout(PATIENCE, client.call("Echo", "hi"))
        .await
        .unwrap()
        .unwrap()
}

/// What `Echo` answers when all is well.
pub fn echo() -> Answer {
    Answer::Text("hi".into())
}
