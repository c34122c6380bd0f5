//! Running the steps, and what it means when one fails.

use std::io::{self, Write};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use thiserror::Error;

use super::{Run, Step, iptables, nft};
use crate::platform;

/// Between two looks at the connections that are still there.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Why a step failed.
#[derive(Debug, Error)]
pub enum Failed {
    /// It isn't installed.
    #[error(
        "there is no `{program}` here: on Debian, apt-get install --no-install-recommends {package}"
    )]
    NoTool {
        /// The program.
        program: &'static str,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// The firewall is root's, or the capability's.
    #[error(
        "`{run}` may not touch the firewall: it needs root or CAP_NET_ADMIN (CAP_NET_RAW too, where iptables is the \
         older, legacy one); in a pod, for this container: \
         securityContext: {{runAsUser: 0, capabilities: {{add: [NET_ADMIN, NET_RAW]}}}}\n  it said: {said}"
    )]
    NoPermission {
        /// What was run.
        run: Run,
        /// What it said.
        said: String,
    },
    /// The kernel has no such table.
    #[error(
        "the kernel has no nat table that `{run}` could use: its modules (iptable_nat, or nf_tables and nft_chain_nat) \
         are missing or may not be loaded from here\n  it said: {said}"
    )]
    NoNat {
        /// What was run.
        run: Run,
        /// What it said.
        said: String,
    },
    /// Anything else.
    #[error("`{run}` failed ({status})\n  it said: {said}")]
    Other {
        /// What was run.
        run: Run,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It did not even start.
    #[error("could not run `{run}`: {cause}")]
    NotRun {
        /// What was to be run.
        run: Run,
        /// Why not.
        cause: io::Error,
    },
}

impl Failed {
    fn of(run: &Run, output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().replace('\n', "\n           ");
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let run = run.clone();
        if has(&["Permission denied", "not permitted", "must be root"]) {
            Self::NoPermission { run, said }
        } else if has(&[
            "Table does not exist",
            "can't initialize",
            "Failed to initialize",
            "unable to initialize",
            "not supported",
        ]) {
            Self::NoNat { run, said }
        } else {
            let status = output.status;
            Self::Other { run, status, said }
        }
    }
}

/// Takes the steps, up to the first that fails.
///
/// # Errors
///
/// Why it failed. What was done before stays.
pub fn run(steps: &[Step]) -> Result<(), Failed> {
    steps.iter().try_for_each(take)
}

fn take(step: &Step) -> Result<(), Failed> {
    match step {
        Step::Run(run) => must(run, ""),
        Step::Feed(run, script) => must(run, script),
        Step::Unless(guard, run) => match says(guard)? {
            true => Ok(()),
            false => must(run, ""),
        },
        Step::If(guard, steps) => match says(guard)? {
            true => run(steps),
            false => Ok(()),
        },
        Step::While(guard) => {
            while says(guard)? {}
            Ok(())
        }
        Step::Drain { to, at_most } => {
            drain(*to, *at_most);
            Ok(())
        }
    }
}

fn must(run: &Run, script: &str) -> Result<(), Failed> {
    let output = output(run, script)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Failed::of(run, &output))
    }
}

/// A guard's answer. That it may not look is none.
fn says(guard: &Run) -> Result<bool, Failed> {
    let output = output(guard, "")?;
    if output.status.success() {
        return Ok(true);
    }
    match Failed::of(guard, &output) {
        failed @ Failed::NoPermission { .. } => Err(failed),
        _ => Ok(false),
    }
}

fn output(run: &Run, script: &str) -> Result<Output, Failed> {
    wait_for(run, script).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Failed::NoTool {
            program: run.program,
            package: match run.program {
                "nft" => "nftables",
                _ => "iptables",
            },
        },
        _ => Failed::NotRun {
            run: run.clone(),
            cause,
        },
    })
}

fn wait_for(run: &Run, script: &str) -> io::Result<Output> {
    // An ordinary user's path often lacks these; and errors are told apart by their English words.
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let path = path + ":/usr/local/sbin:/usr/sbin:/sbin";
    let mut child = Command::new(run.program)
        .args(&run.args)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(script.as_bytes()) {
            // It ended before it read everything, and says itself why.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output()
}

/// Waits until no connection is left at this port, or for so long.
// A command of its own waits here: it delays no call.
#[allow(clippy::disallowed_methods)]
fn drain(to: u16, at_most: Duration) {
    let mut left = at_most;
    while !left.is_zero() && platform::connections_at(to) > 0 {
        let pause = left.min(LOOK_AGAIN);
        std::thread::sleep(pause);
        left -= pause;
    }
}

/// Whether there is a nat table for iptables to put rules in. Asked first: `iptables-restore` keeps the reason to itself.
///
/// # Errors
///
/// Why not.
pub fn look_for_nat(family: iptables::Family) -> Result<(), Failed> {
    must(&family.nat_is_there(), "")
}

/// Whether the other tool's rules of tidegate's are there as well: `nft` says which tool was used.
pub fn left_by(nft: bool) -> bool {
    let look = if nft {
        iptables::Family::V4.chain_is_there()
    } else {
        nft::Family::Inet.table_is_there()
    };
    says(&look).unwrap_or(false)
}
