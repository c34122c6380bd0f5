//! The real binary as a process of its own: its config, its log, its admin address, its end.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]
// Real processes take real time, and a thread that waits.
#![allow(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No step of a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running tidegate; killed when this is dropped.
pub struct Tidegate {
    child: Child,
    folder: TempDir,
    /// Its `[admin]` address.
    pub admin: SocketAddr,
}

impl Tidegate {
    /// Runs it with this config, which says nothing of `[admin]`, and waits until it serves.
    pub fn start(config: &str) -> Self {
        let mut running = Self::launch(config, None);
        let what = "it serves its admin address";
        eventually(what, || {
            assert!(running.exited().is_none(), "it ended: {}", running.log());
            running
                .get("/healthz")
                .is_some_and(|(status, _)| status == 200)
        });
        running
    }

    /// Runs it, with at most so many open files, and does not wait.
    pub fn launch(config: &str, open_files: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = free();
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, with_admin(config, admin)).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = match open_files {
            None => Command::new(binary()),
            Some(n) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {n} && exec \"$0\" \"$@\"");
                shell.args(["-c", &script]).arg(binary());
                shell
            }
        };
        command.args(["run", "-c"]).arg(&file);
        command.current_dir(folder.path()).env_remove("RUST_LOG");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        Self {
            child,
            folder,
            admin,
        }
    }

    /// Replaces its config file; nothing reads it until it is told to.
    pub fn rewrite(&self, config: &str) {
        std::fs::write(self.config(), with_admin(config, self.admin)).unwrap();
    }

    /// Its config file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `HUP`, `TERM`, …
    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until a line of the log holds all of `parts`; that line.
    #[track_caller]
    pub fn logged(&self, parts: &[&str]) -> String {
        let line = || {
            let log = self.log();
            let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
            log.lines().find(has_all).map(str::to_owned)
        };
        let begun = Instant::now();
        loop {
            if let Some(line) = line() {
                return line;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "no line with {parts:?} in\n{}",
                self.log()
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// Its exit code, once it has ended (-1: by a signal).
    pub fn exited(&mut self) -> Option<i32> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.code().unwrap_or(-1))
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let mut code = None;
        eventually("it ends", || {
            code = self.exited();
            code.is_some()
        });
        code.unwrap()
    }

    /// The answer to a GET: status and body.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http(self.admin, "GET", path)
    }

    /// Posts to the admin address, with no body.
    pub fn post(&self, path: &str) -> (u16, String) {
        http(self.admin, "POST", path).expect("the admin address answers")
    }

    /// What `/services` says.
    pub fn services(&self) -> String {
        self.get("/services").expect("/services is answered").1
    }

    /// The sum of a metric's series that have these labels; `None` if there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        sum(&self.get("/metrics")?.1, name, labels)
    }

    /// The same, 0 for none.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metric(name, labels).unwrap_or_default() as u64
    }

    /// Runs the binary with these arguments in this one's folder.
    pub fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.folder.path());
        command.output().unwrap()
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "its log:\n{}", self.log());
        }
    }
}

fn with_admin(config: &str, admin: SocketAddr) -> String {
    format!("[admin]\nlisten = \"{admin}\"\n{config}")
}

/// The binary: cargo names it to tidegate's own tests; those of another package look beside themselves.
fn binary() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_tidegate") {
        return path.into();
    }
    static BUILT: Once = Once::new();
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--package",
            "tidegate",
            "--bin",
            "tidegate",
        ]);
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "tidegate does not build");
    });
    profile.join("tidegate")
}

/// Sends a signal by its name.
pub fn send_signal(pid: u32, signal: &str) {
    let mut kill = Command::new("kill");
    kill.args([format!("-{signal}"), pid.to_string()]);
    assert!(kill.status().unwrap().success(), "kill -{signal} {pid}");
}

/// One HTTP request over a connection of its own: status and body.
pub fn http(to: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\n");
    write!(request, "content-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The sum of a metric's series that have these labels, in an exposition; `None` if there is none.
pub fn sum(exposition: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut sum = None;
    for line in exposition.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let (of, set) = series.split_once('{').unwrap_or((series, "}"));
        let pairs: Vec<&str> = set.trim_end_matches('}').split(',').collect();
        let has = |(key, value): &(&str, &str)| {
            let pair = format!("{key}=\"{value}\"");
            pairs.contains(&pair.as_str())
        };
        if of == name && labels.iter().all(has) {
            *sum.get_or_insert(0.0) += value.parse::<f64>().unwrap();
        }
    }
    sum
}

/// Waits until `done`; says how long that took.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        sleep(Duration::from_millis(10));
    }
    begun.elapsed()
}

/// A loopback address that nobody listens on.
pub fn free() -> SocketAddr {
    scripted::free()
}

/// `[[listener]]` with a fixed service.
pub fn listener(name: &str, listen: SocketAddr, service: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\nlisten = \"{listen}\"\nservice = \"{service}\"\n")
}

/// `[[service]]` at these addresses, with these lines in it.
pub fn service(name: &str, endpoints: &[SocketAddr], policy: &str) -> String {
    let list: Vec<String> = endpoints.iter().map(|e| format!("\"{e}\"")).collect();
    let list = list.join(", ");
    format!("[[service]]\nname = \"{name}\"\nendpoints = [{list}]\n{policy}\n")
}
