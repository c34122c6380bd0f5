//! The storm: calls at a steady pace through tidegate, HAProxy and Envoy while instances refuse, hang, fail, slow down
//! and crash; one table of what the callers saw, beside the goals.
//!
//! `./dev storm`, or `cargo bench --bench storm -- --quick` for a first look. 1,000 calls a second, answered or not,
//! with never more than one in flight on a connection and idle connections used again, as a Kitex client does. Each run has
//! a proxy process of its own and instances on threads of their own, all on loopback. A call has failed when its
//! caller saw an exception, a closed connection, its own time-out, or no answer by the run's end. A run for which the
//! machine had no time is made again.
//!
//! Linux, with `haproxy` and `prlimit`; Envoy where `./dev bench proxy` has installed it.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a table for people is what it is for
#![allow(unreachable_pub)] // its modules are parts of one program

#[allow(dead_code)] // the other bench installs it
#[path = "../common/envoy.rs"]
mod envoy;
mod figures;
mod jobs;
mod judge;
#[allow(dead_code, clippy::disallowed_methods)] // the other bench measures by it
#[path = "../proxy/machine.rs"]
mod machine;
#[allow(dead_code)] // the other bench asks for its id
#[path = "../common/process.rs"]
mod process;
mod proxies;
mod report;
mod rows;
mod run;
mod state;

use clap::Parser;
use proxies::Kind;
use report::Line;
use rows::ROWS;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Faults under load: what callers see through tidegate, HAProxy and Envoy.
#[derive(Parser)]
pub struct Arguments {
    /// Seconds of one run, after a warm-up of two.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(8..=3600))]
    seconds: u64,
    /// Runs of each row through each proxy; one of three instances has the fault, another one in each run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// One run of 15 s of each.
    #[arg(long)]
    quick: bool,
    /// Only these rows; see --list.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// What to compare.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Tidegate, Kind::Haproxy, Kind::Envoy])]
    proxies: Vec<Kind>,
    /// Runs side by side. Each takes about a quarter of a core.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Calls per second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rate: u32,
    /// Another tidegate than the one just built.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidegate"))]
    binary: PathBuf,
    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    /// The rows' names, and nothing else.
    #[arg(long)]
    list: bool,
    /// The proxies' configs, and nothing else.
    #[arg(long)]
    configs: bool,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn length(&self) -> Duration {
        Duration::from_secs(if self.quick { 15 } else { self.seconds })
    }

    fn runs(&self) -> usize {
        if self.quick { 1 } else { self.runs.into() }
    }

    /// Every row through every proxy; an error for a name that no row has.
    fn lines(&self) -> io::Result<Vec<Line>> {
        if let Some(unknown) = self
            .only
            .iter()
            .find(|only| !ROWS.iter().any(|row| row.name == *only))
        {
            let known = ROWS.each_ref().map(|row| row.name).join(", ");
            return Err(io::Error::other(format!(
                "no row is called {unknown}: {known}"
            )));
        }
        let mut lines = Vec::new();
        for row in &ROWS {
            if !self.only.is_empty() && !self.only.iter().any(|only| only == row.name) {
                continue;
            }
            for &kind in &self.proxies {
                let why_not = if row.speaks(kind) {
                    kind.missing()
                } else {
                    Some("speaks no TTHeader".into())
                };
                lines.push(Line::new(row, kind, why_not));
            }
        }
        Ok(lines)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match storm(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("storm: {e}");
            ExitCode::FAILURE
        }
    }
}

fn storm(arguments: &Arguments) -> io::Result<()> {
    if arguments.list {
        for row in &ROWS {
            println!("{:12} {}", row.name, row.fault);
        }
        return Ok(());
    }
    if arguments.configs {
        for kind in &arguments.proxies {
            println!("{}", kind.template());
        }
        return Ok(());
    }
    let mut lines = arguments.lines()?;
    machine::raise_file_limit()?;
    let ended = jobs::run_all(arguments, &mut lines);
    if arguments.json {
        println!("{}", report::to_json(&lines));
    } else if arguments.markdown {
        println!("{}", report::markdown(&lines));
    } else {
        println!("{}", report::plain(&lines));
        println!("{}", report::legend(arguments.runs()));
    }
    ended
}
