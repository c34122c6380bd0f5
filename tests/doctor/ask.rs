//! Asks the real binary, and reads what it answers.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::etcd::Etcd;

/// The prefix of Kitex's keys.
pub const PREFIX: &str = "kitex/registry-etcd";

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Its output as JSON.
    pub fn json(&self) -> Value {
        let read = serde_json::from_str(&self.out);
        read.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the binary in this folder, in no language but English.
pub async fn run(folder: &TempDir, args: &[&str]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(args).current_dir(folder.path());
    run_command(command).await
}

/// The same with a command that was made elsewhere.
pub async fn run_command(mut command: Command) -> Answer {
    command.env_remove("LC_ALL").env_remove("LC_MESSAGES");
    command.env("LANG", "C.UTF-8");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `tidegate doctor --json` of an etcd.
pub async fn doctor(etcd: &Etcd, args: &[&str]) -> (i32, Value) {
    let url = etcd.url();
    let mut all = vec!["doctor", "--json", "--etcd", &url];
    all.extend(args);
    let answer = run(&tempfile::tempdir().unwrap(), &all).await;
    (answer.code, answer.json())
}

/// The codes of the instances that are registered with this address.
pub fn codes(report: &Value, address: &str) -> Vec<String> {
    let of_it = instances(report)
        .into_iter()
        .filter(|it| it["address"] == address);
    let codes = of_it.flat_map(|it| it["codes"].as_array().unwrap().clone());
    codes.map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// All instances.
pub fn instances(report: &Value) -> Vec<Value> {
    let services = report["services"].as_array().unwrap();
    let all = services
        .iter()
        .map(|it| it["instances"].as_array().unwrap().clone());
    all.flatten().collect()
}

/// The codes of the findings about something as a whole.
pub fn whole(of: &Value) -> Vec<&str> {
    let findings = of["findings"].as_array().unwrap();
    findings
        .iter()
        .filter_map(|it| it["code"].as_str())
        .collect()
}
