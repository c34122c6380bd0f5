//! What the commands that only look have in common: where they look, and how they wait.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{DEFAULT_FILE, UNABLE, USAGE, complain};
use crate::config::{Config, Flags, parse_duration};
use crate::registry;

/// What a time on the command line may be.
const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// What a command that only looks goes by: files, an etcd, or both.
#[derive(Args, Clone, Debug)]
pub(super) struct LookArgs {
    /// A config file; several merge left to right [without --etcd: tidegate.toml]
    #[arg(short, long = "config", value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// An etcd member that holds registrations; several for several members
    #[arg(long, value_name = "URL")]
    etcd: Vec<String>,
}

impl LookArgs {
    /// Loads the config.
    pub(super) fn load(&self) -> Result<Config, ExitCode> {
        let flags = Flags {
            etcd: self.etcd.clone(),
            ..Flags::default()
        };
        let mut files = self.config.clone();
        if files.is_empty() && self.etcd.is_empty() {
            files.push(DEFAULT_FILE.into());
            if !Path::new(DEFAULT_FILE).exists() {
                let help = "expected a config, found no tidegate.toml here; give files with -c FILE, or --etcd URL";
                return Err(complain(USAGE, help));
            }
        }
        Config::load_to_look(&files, &flags).map_err(|errors| complain(USAGE, errors))
    }
}

/// Waits for a look at what is registered.
pub(super) fn looking<T>(look: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| complain(UNABLE, format_args!("could not begin: {error}")))?;
    let seen = runtime.block_on(look);
    // A name that still resolves is not waited for.
    runtime.shutdown_background();
    Ok(seen)
}

pub(super) fn service_name(text: &str) -> Result<String, &'static str> {
    match registry::is_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("expected the name of a service: up to 255 bytes, no slash, no control characters")
        }
    }
}

pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    let time = parse_duration(text).filter(|it| TIMES.contains(it));
    time.ok_or("expected a time from 1ms to 1h, such as 1.2s")
}
