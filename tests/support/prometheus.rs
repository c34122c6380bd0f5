//! A real Prometheus of a test's own, which scrapes one address.
#![allow(unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::{free, http};

/// Killed when dropped.
pub struct Prometheus {
    child: Child,
    web: SocketAddr,
    /// Its configuration and its data.
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes this address at this interval (`200ms`) as the job `tidegate`; does not wait for it.
    pub fn start(target: SocketAddr, interval: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = free();
        let scrape = format!(
            "global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\n\
             scrape_configs: [{{job_name: tidegate, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), scrape).unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(folder.path());
        command.args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--log.level=error",
        ]);
        command.arg(format!("--web.listen-address={web}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .expect("prometheus is needed: apt-get install prometheus");
        Self {
            child,
            web,
            _folder: folder,
        }
    }

    /// What it answers to an instant query, as JSON text; empty while it does not listen.
    pub fn query(&self, expression: &str) -> String {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        http(self.web, "GET", &path).map_or(String::new(), |(_, body)| body)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Percent-encoded, all but letters and digits.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
