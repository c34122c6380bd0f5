//! Network namespaces: a host of one's own, with its own addresses and firewall.
//!
//! As root by `unshare -n`, else by `unshare -Urn`, where one is root within and nobody outside.
#![allow(dead_code, clippy::print_stderr)]

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::time::timeout;

/// No test may take longer in its namespace.
const PATIENCE: Duration = Duration::from_secs(150);

/// Set within the namespace.
const INSIDE: &str = "TIDEGATE_INSIDE_NETNS";

/// Runs a test's body in a network namespace: this program again, with the one test `name`.
pub fn inside<F: Future<Output = ()>>(name: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(async { timeout(PATIENCE, body()).await.unwrap() });
    }
    let Some(netns) = Netns::or_skip(name) else {
        return;
    };
    let this = std::env::current_exe().unwrap();
    let mut again = netns.command(this.to_str().unwrap());
    again
        .args([name, "--exact", "--nocapture", "--include-ignored"])
        .env(INSIDE, "1");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name}, in its namespace:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Past the harness, which keeps what a passing test prints: figures among it.
    let _ = std::io::stderr().write_all(&output.stderr);
}

/// A namespace with its loopback up. It goes when this is dropped, with what still runs in it left alone.
pub struct Netns {
    /// Keeps it there. It ends by itself with the test's process, whose end closes its standard input.
    holder: Child,
    user: bool,
}

impl Netns {
    /// A namespace, or `None` after one line on stderr that says which test is skipped and why.
    ///
    /// # Panics
    ///
    /// Where there is none, and `TIDEGATE_TEST_ALL` says that nothing may be skipped.
    pub fn or_skip(test: &str) -> Option<Self> {
        let why = match Self::new() {
            Ok(netns) => return Some(netns),
            Err(why) => format!("{test} needs a network namespace: {why}"),
        };
        let insist = std::env::var_os("TIDEGATE_TEST_ALL").is_some_and(|all| !all.is_empty());
        assert!(!insist, "{why}");
        // Past the harness, which keeps what a passing test prints.
        let _ = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
        None
    }

    /// # Errors
    ///
    /// Why there can be none here.
    pub fn new() -> Result<Self, String> {
        Self::held("-n").or_else(|_| Self::held("-Urn"))
    }

    fn held(how: &str) -> Result<Self, String> {
        let mut holder = Command::new("unshare")
            .args([how, "sh", "-c"])
            .arg("PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && echo up && exec cat >/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut said = String::new();
        if let Some(stdout) = holder.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        if said == "up\n" {
            let user = how.contains('U');
            return Ok(Self { holder, user });
        }
        let output = holder.wait_with_output().map_err(|it| it.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("unshare {how}: {}", said.trim()))
    }

    /// A process in it, for what wants to be told of a namespace by one.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Whether this is real root's, so that other users can be had in it.
    pub fn is_roots(&self) -> bool {
        !self.user
    }

    /// A command that will run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n"]);
        if self.user {
            command.args(["-U", "--preserve-credentials"]);
        }
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        command.env("PATH", path).args(["--", program]);
        command
    }

    /// Runs a line of the shell in it.
    ///
    /// # Panics
    ///
    /// If there is no shell.
    pub fn sh(&self, line: &str) -> Output {
        let output = self.command("sh").args(["-c", line]).output();
        output.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Runs a line of the shell in it that must succeed; what it prints.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn run(&self, line: &str) -> String {
        let output = self.sh(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
