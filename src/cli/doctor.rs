//! `tidegate doctor`.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::look::{LookArgs, listeners_here, looking, service_name, time};
use super::{AskArgs, Done, REFUSED, UNABLE, USAGE, complain, fetch};
use crate::doctor::text::{Look, render};
use crate::doctor::words::say;
use crate::doctor::{Asked, Report, examine, json::Json, recent};
use crate::finding::Lang;
use crate::platform;
use crate::probe::Plan;

/// How long an idle connection is held unless told otherwise: longer than older Kitex servers on Windows do.
const IDLE: &str = "6s";
/// How many recent calls of each kind people are shown.
const RECENT: &str = "limit=20";
/// The width of what is no terminal.
const WIDTH: usize = 80;
/// Narrower ones break what is to be read in one piece.
const NARROWEST: usize = 60;
/// Wider lines are hard to read.
const WIDEST: usize = 120;

/// What is looked at, and how it is said.
#[derive(Args, Clone, Debug)]
pub(super) struct DoctorArgs {
    /// The services; without any all that are registered
    #[arg(value_name = "SERVICE", value_parser = service_name)]
    services: Vec<String>,
    #[command(flatten)]
    config: LookArgs,
    /// Send each server a call of a method that cannot exist, to see whether it answers; a generic server sees it
    #[arg(long)]
    call: bool,
    /// Hold an idle connection to each server, to see whether it closes it
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = IDLE, value_parser = time)]
    idle: Option<Duration>,
    /// The longest that a connect may take
    #[arg(long, value_name = "TIME", default_value = "1.2s", value_parser = time)]
    timeout: Duration,
    /// Show the last failed and the slowest calls of a running tidegate instead
    #[arg(long, conflicts_with_all = ["call", "idle", "etcd"])]
    recent: bool,
    #[command(flatten)]
    speak: Speak,
}

/// How an answer is given.
#[derive(Args, Clone, Debug)]
pub(super) struct Speak {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// The language [default: the locale's]
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Colours: auto, where it is a terminal
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    color: When,
}

impl Speak {
    /// The language.
    pub(super) fn lang(&self) -> Lang {
        self.lang.unwrap_or_else(Lang::of_environment)
    }

    /// Whether there are colours.
    pub(super) fn has_colour(&self) -> bool {
        self.color.holds()
    }

    /// The width of what is printed to.
    #[allow(clippy::unused_self)]
    pub(super) fn width(&self) -> usize {
        if !io::stdout().is_terminal() {
            return WIDTH;
        }
        let told = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
        let asked = || console::Term::stdout().size_checked();
        let columns = told.or_else(|| asked().map(|(_, columns)| usize::from(columns)));
        columns.unwrap_or(WIDTH).clamp(NARROWEST, WIDEST)
    }
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// Where stdout is a terminal and NO_COLOR is not set.
    Auto,
    /// Also where it is not.
    Always,
    /// Nowhere.
    Never,
}

impl When {
    fn holds(self) -> bool {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        match self {
            When::Auto => io::stdout().is_terminal() && !unwanted,
            When::Always => true,
            When::Never => false,
        }
    }
}

impl DoctorArgs {
    fn plan(&self) -> Plan {
        Plan {
            connect: self.timeout,
            call: self.call,
            idle: self.idle,
            ..Plan::default()
        }
    }
}

pub(super) fn doctor(args: &DoctorArgs) -> Done {
    if args.recent {
        return recent(args);
    }
    let is_time = |name: &&String| args.idle.is_some() && time(name).is_ok();
    if let Some(time) = args.services.iter().find(is_time) {
        let text = say!(
            args.speak.lang(),
            "{time} is no service: --idle takes its time behind an equals sign, --idle={time}",
            "{time} 不是服务：--idle 的时间要写在等号后面，即 --idle={time}",
        );
        return Err(complain(USAGE, text));
    }
    let config = args.config.load(args.speak.lang())?;
    // Where that cannot be done, what could not be tried is told as such.
    let _ = platform::raise_fd_limit();
    let mut services: Vec<Arc<str>> = Vec::new();
    for name in &args.services {
        if !services.iter().any(|it| **it == **name) {
            services.push(name.as_str().into());
        }
    }
    let plan = args.plan();
    let asked = Asked {
        services,
        plan,
        unconfigured: args.config.names_a_registry_only(),
    };
    let bar = progress();
    let moved = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let running = async {
        match asked.unconfigured {
            true => listeners_here().await,
            false => Vec::new(),
        }
    };
    let report = looking(examine(&config, &asked, running, &moved))?;
    bar.finish_and_clear();
    let report = report.map_err(|why| complain(UNABLE, why))?;
    print(&report, args).map_err(|error| complain(REFUSED, error))?;
    Ok(report.summary().exit.into())
}

/// The calls that a running tidegate keeps.
fn recent(args: &DoctorArgs) -> Done {
    let running = AskArgs {
        config: args.config.config.clone(),
        admin: args.config.admin.clone(),
    };
    let limit = if args.speak.json { "" } else { RECENT };
    let paths = match args.services.is_empty() {
        true => vec![format!("/calls?{limit}")],
        false => {
            let names = args.services.iter();
            let path = |it: &String| format!("/calls?service={}&{limit}", crate::admin::encode(it));
            names.map(path).collect()
        }
    };
    let mut services = Vec::new();
    for path in paths {
        let text = fetch(&running, &Method::GET, path.trim_end_matches(['?', '&']))?;
        let mut calls: Value = serde_json::from_str(&text).map_err(|error| {
            let lang = args.speak.lang();
            let text = say!(
                lang,
                "the answer cannot be read: {error}",
                "读不懂它的回答：{error}"
            );
            complain(UNABLE, text)
        })?;
        if let Some(Value::Array(all)) = calls.get_mut("services") {
            services.append(all);
        }
    }
    let calls = json!({ "services": services });
    let speak = &args.speak;
    let printed = print_to(|out| match speak.json {
        true => Ok(serde_json::to_writer_pretty(out, &calls)?),
        false => {
            let text = recent::render(&calls, speak.lang(), speak.width());
            out.write_all(text.trim_end().as_bytes())
        }
    });
    printed.map_err(|error| complain(REFUSED, error))?;
    Ok(ExitCode::SUCCESS)
}

/// On stderr, if that is a terminal.
fn progress() -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    // The template is a constant; a bar of another look does as well.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn print(report: &Report, args: &DoctorArgs) -> io::Result<()> {
    let speak = &args.speak;
    print_to(|out| match speak.json {
        true => Ok(serde_json::to_writer_pretty(
            out,
            &Json(report, speak.lang()),
        )?),
        false => {
            let look = Look {
                lang: speak.lang(),
                colour: speak.has_colour(),
                width: speak.width(),
                named: !args.services.is_empty(),
            };
            let text = render(report, &args.plan(), look);
            out.write_all(text.trim_end().as_bytes())
        }
    })
}

/// To stdout, and a line's end; a reader that has gone is no failure of ours.
pub(super) fn print_to(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = print(&mut out).and_then(|()| writeln!(out));
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
