//! The command line: what is asked, and the exit codes that answer.
//!
//! | exit code | |
//! |---|---|
//! | 0 | done |
//! | 1 | a check failed, something registered is wrong, or the running tidegate refused |
//! | 2 | usage, or a config that cannot be loaded |
//! | 3 | could not start or look, or nobody answered |
//!
//! What a command prints for use by others goes to stdout, what it says to people to stderr.

mod ask;
mod doctor;
mod explain;
mod look;
mod redirect;
mod resolve;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use hyper::Method;

use crate::config::{Admin, Config, ConfigErrors, Flags, ListenAddr, Source};
use crate::registry;

/// A check failed, or the running tidegate refused.
pub const REFUSED: u8 = 1;
/// Usage, or a config that cannot be loaded.
pub const USAGE: u8 = 2;
/// Could not start, or nobody answered.
pub const UNABLE: u8 = 3;

/// Read where neither files nor flags are given.
const DEFAULT_FILE: &str = "tidegate.toml";

/// What the commands that are no mere questions do.
pub struct Commands {
    /// Carries calls until it is told to stop. The config is the one the arguments gave; they are
    /// there to load it again.
    pub run: fn(RunArgs, Config) -> ExitCode,
    /// Shows the whole on this machine.
    pub demo: fn(DemoArgs) -> ExitCode,
}

/// A transparent, RPC-aware TCP proxy for Kitex and Thrift services.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, propagate_version = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry calls until told to stop
    Run(RunArgs),
    /// Check a config and print what takes effect; exit 0 or 1
    Check(CheckArgs),
    /// Say why a service of a running tidegate, or an endpoint of it, is in the state it is in
    Why(WhyArgs),
    /// Say what is registered, what of it can be called from here, and what to do about the rest; changes nothing
    Doctor(doctor::DoctorArgs),
    /// Say what a caller of a service would really dial, after rewrite rules and lanes, and why
    Resolve(resolve::ResolveArgs),
    /// Say what a finding such as R02 means, how it is proved, and what helps; without one, list all
    Explain(explain::ExplainArgs),
    /// Make a running tidegate load its config again
    Reload(AskArgs),
    /// Make a running tidegate stop gracefully
    Drain(AskArgs),
    /// Print, apply or remove the firewall's rules that send connections to a transparent listener
    Iptables(redirect::RedirectArgs),
    /// Show the whole on this machine: instances, proxy and client in one process
    Demo(DemoArgs),
}

/// Where the config comes from: files, flags, or both.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// A config file; several merge left to right [without flags: tidegate.toml]
    #[arg(short, long = "config", value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// An etcd member that holds registrations; several for several members
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub etcd: Vec<String>,
    /// The service to carry calls to; without it each call names its own
    #[arg(long, value_name = "NAME", requires = "listen")]
    pub service: Option<String>,
    /// The address to listen on, such as 127.0.0.1:18890
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

impl RunArgs {
    /// Loads the config; each call reads the files again.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, at once.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let flags = Flags {
            etcd: self.etcd.clone(),
            service: self.service.clone(),
            listen: self.listen.clone(),
        };
        if !self.config.is_empty() || flags != Flags::default() {
            return Config::load_with(&self.config, &flags);
        }
        if !Path::new(DEFAULT_FILE).exists() {
            return Err(ConfigErrors::one(
                format!("expected a config, found no {DEFAULT_FILE} here"),
                "give files with -c FILE, or --etcd URL --service NAME --listen ADDR",
            ));
        }
        Config::load(&[DEFAULT_FILE.into()])
    }
}

/// Which config is checked, and what else is asked about it.
#[derive(Args, Clone, Debug)]
struct CheckArgs {
    #[command(flatten)]
    config: RunArgs,
    /// Say what each circuit breaker does at so many calls per second of one method
    #[arg(long, value_name = "N", value_parser = calls_per_second)]
    rate: Option<f64>,
    /// Print warnings and what is said of breakers, not what takes effect
    #[arg(short, long)]
    quiet: bool,
}

fn calls_per_second(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|it| *it > 0.0 && *it <= 1e9);
    rate.ok_or("expected calls per second, a number above 0, such as 5 or 0.5")
}

/// Which running tidegate is asked.
#[derive(Args, Clone, Debug)]
struct AskArgs {
    /// The config file that names its [admin] address; several as for run
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Its [admin] address itself: 127.0.0.1:9901 or unix:/path
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    admin: Option<ListenAddr>,
}

/// What of a running tidegate is asked about.
#[derive(Args, Clone, Debug)]
struct WhyArgs {
    /// The service; without it all of them, a line each, the worst first
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// One of its endpoints, by the address that is dialled or the registered one
    #[arg(value_name = "ENDPOINT")]
    endpoint: Option<String>,
    #[command(flatten)]
    running: AskArgs,
}

impl WhyArgs {
    fn path(&self) -> String {
        let mut path = "/why".to_owned();
        for (mark, key, value) in [
            ('?', "service", &self.service),
            ('&', "endpoint", &self.endpoint),
        ] {
            if let Some(value) = value {
                path += &format!("{mark}{key}={}", crate::admin::encode(value));
            }
        }
        path
    }
}

/// How long the demo lasts.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoArgs {
    /// How long it runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Until Ctrl-C instead
    #[arg(long, conflicts_with = "seconds")]
    pub forever: bool,
}

/// Does what the command line asks.
pub fn main(commands: &Commands) -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no errors; nobody is left to tell if printing fails.
            let _ = error.print();
            return u8::try_from(error.exit_code())
                .map_or(USAGE, |code| code)
                .into();
        }
    };
    let done = match line.command {
        Command::Run(args) => run(args, commands.run),
        Command::Check(args) => check(&args),
        Command::Why(args) => ask(&args.running, &Method::GET, &args.path()),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Resolve(args) => resolve::resolve(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Reload(args) => ask(&args, &Method::POST, "/reload"),
        Command::Drain(args) => ask(&args, &Method::POST, "/drain"),
        Command::Iptables(args) => redirect::redirect(&args),
        Command::Demo(args) => Ok((commands.demo)(args)),
    };
    done.unwrap_or_else(|code| code)
}

type Done = Result<ExitCode, ExitCode>;

fn run(args: RunArgs, run: fn(RunArgs, Config) -> ExitCode) -> Done {
    let config = args.load().map_err(|errors| complain(USAGE, errors))?;
    Ok(run(args, config))
}

fn check(args: &CheckArgs) -> Done {
    let config = args
        .config
        .load()
        .map_err(|errors| complain(REFUSED, errors))?;
    for warning in config.warnings() {
        tell(format_args!("warning: {warning}"));
    }
    if !args.quiet {
        print(config.to_toml().trim_end());
    }
    tell_rewritten(&config);
    // Last, so that it is what a person sees below a long config.
    for sentence in config.breakers(args.rate) {
        tell(sentence);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the rewrite rules make of the endpoints that stand in the config.
fn tell_rewritten(config: &Config) {
    for service in &config.services {
        let Source::Static(endpoints) = &service.source else {
            continue;
        };
        for line in registry::preview(&config.rewrites, &service.name, endpoints) {
            tell(format_args!("endpoint of {}: {line}", service.name));
        }
    }
}

fn ask(args: &AskArgs, method: &Method, path: &str) -> Done {
    print(fetch(args, method, path)?.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// What the running one answers.
fn fetch(args: &AskArgs, method: &Method, path: &str) -> Result<String, ExitCode> {
    let admin = admin(args)?;
    match ask::ask(&admin, method, path) {
        Ok(answer) if answer.status.is_success() => Ok(answer.text),
        Ok(answer) if answer.text.trim().is_empty() => Err(complain(
            REFUSED,
            format_args!("{admin} refused: {}", answer.status),
        )),
        Ok(answer) => Err(complain(REFUSED, answer.text.trim_end())),
        Err(error) => Err(complain(UNABLE, error)),
    }
}

/// The address that was given, else the config's, else the built-in one.
fn admin(args: &AskArgs) -> Result<ListenAddr, ExitCode> {
    if let Some(admin) = &args.admin {
        return Ok(admin.clone());
    }
    if args.config.is_empty() && !Path::new(DEFAULT_FILE).exists() {
        return Ok(Admin::default().listen);
    }
    let args = RunArgs {
        config: args.config.clone(),
        ..RunArgs::default()
    };
    let config = args.load().map_err(|errors| complain(USAGE, errors))?;
    let off = "the config switches [admin] off: send SIGHUP or SIGTERM instead";
    let admin = config.admin.ok_or_else(|| complain(USAGE, off))?;
    Ok(admin.listen)
}

/// To stdout; a reader that has gone is no failure of ours.
fn print(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// To stderr.
fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn complain(code: u8, text: impl Display) -> ExitCode {
    tell(text);
    code.into()
}
