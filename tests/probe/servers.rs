//! Servers that this machine has; a test whose server is missing says so and does nothing.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidegate::probe::{Called, Connect, Plan, Seen, Spoke};

use crate::eventually;

/// A process; killed when dropped.
struct Running(Child);

impl Running {
    /// `None`, and one line on stderr, where there is no such program.
    fn start(program: &str, args: &[&str], folder: &Path) -> Option<Self> {
        let started = Command::new(program)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                // Past the harness, which keeps what a passing test prints.
                let line = format!("skipped: no {program}: {error}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(at: SocketAddr, folder: &Path) -> Option<Running> {
    let port = at.port().to_string();
    let args = ["-m", "http.server", "--bind", "127.0.0.1", &port];
    Running::start("python3", &args, folder)
}

#[tokio::test]
async fn pythons_http_server_is_http() {
    let (folder, at) = (tempfile::tempdir().unwrap(), scripted::free());
    let Some(_server) = python(at, folder.path()) else {
        return;
    };
    let is_it = |seen: &Seen| matches!(seen.spoke, Some(Spoke::Http(_)));
    eventually(&at.into(), &Plan::default(), is_it).await;
}

#[tokio::test]
async fn redis_is_redis_with_and_without_a_password() {
    for password in ["", "secret"] {
        let (folder, at) = (tempfile::tempdir().unwrap(), scripted::free());
        let port = at.port().to_string();
        let mut args = vec!["--port", &port, "--bind", "127.0.0.1", "--save", ""];
        if !password.is_empty() {
            args.extend(["--requirepass", password]);
        }
        let Some(_server) = Running::start("redis-server", &args, folder.path()) else {
            return;
        };
        let is_it = |seen: &Seen| seen.spoke == Some(Spoke::Redis);
        eventually(&at.into(), &Plan::default(), is_it).await;
    }
}

#[tokio::test]
async fn openssls_server_is_tls() {
    let (folder, at) = (tempfile::tempdir().unwrap(), scripted::free());
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout key -out cert";
    let args: Vec<&str> = new.split(' ').collect();
    let Some(mut certificate) = Running::start("openssl", &args, folder.path()) else {
        return;
    };
    assert!(certificate.0.wait().unwrap().success());
    let at_text = at.to_string();
    let args = [
        "s_server", "-accept", &at_text, "-key", "key", "-cert", "cert", "-quiet",
    ];
    let _server = Running::start("openssl", &args, folder.path());
    let is_it = |seen: &Seen| seen.spoke == Some(Spoke::Tls);
    eventually(&at.into(), &Plan::default(), is_it).await;
}

#[tokio::test]
async fn a_process_that_is_stopped_connects_and_is_silent_until_it_goes_on() {
    let (folder, at) = (tempfile::tempdir().unwrap(), scripted::free());
    let Some(server) = python(at, folder.path()) else {
        return;
    };
    let plan = Plan {
        answer: Duration::from_millis(200),
        call: true,
        ..Plan::default()
    };
    let is_http = |seen: &Seen| matches!(seen.spoke, Some(Spoke::Http(_)));
    eventually(&at.into(), &plan, is_http).await;

    server.signal("-STOP");
    let is_hung = |seen: &Seen| {
        matches!(seen.connect, Connect::Open(_))
            && seen.spoke.is_none()
            && seen.call == Some(Called::Silent(plan.answer))
    };
    eventually(&at.into(), &plan, is_hung).await;

    server.signal("-CONT");
    eventually(&at.into(), &plan, is_http).await;
}
