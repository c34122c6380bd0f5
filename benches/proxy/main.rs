//! The judge of the hot path: the same echo calls direct, through HAProxy, through Envoy and through tidegate.
//!
//! `cargo bench --bench proxy -- --quick` for a first look, without `--quick` for numbers to publish. Callers and echo
//! server share one core, each proxy has one worker and the other core. Runs are short and interleaved in shuffled
//! order, CPU time comes from the scheduler's nanoseconds, runs in which others took too much of the cores are dropped,
//! and a ratio is taken within a round, next to its neighbour. What counts is CPU per call beside HAProxy's.
//!
//! Linux, with `haproxy`, `taskset`, `prlimit`, and `strace` for the count of system calls.
#![allow(clippy::print_stdout)] // a table for people is what it is for
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // it measures the real clock, and may sleep on a thread
#![allow(unreachable_pub)] // its modules are parts of one program

mod counts;
#[allow(dead_code)] // the storm looks for it only
#[path = "../common/envoy.rs"]
mod envoy;
mod load;
mod machine;
#[path = "../common/process.rs"]
mod process;
mod proxies;
mod report;
mod wire;

use clap::Parser;
use load::Run;
use proxies::{Kind, Places, Proxy};
use report::{Case, Goal};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use wire::{Request, Wire};

/// CPU per call, latency, memory and system calls of tidegate beside HAProxy and Envoy.
#[derive(Parser)]
struct Arguments {
    /// Rounds: each runs every case through every proxy once.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// The cases of the goals only, in 6 rounds.
    #[arg(long)]
    quick: bool,
    /// Only cases whose names contain one of these; `memory` and `syscalls` are names too.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// What to compare.
    #[arg(long, value_delimiter = ',', default_values_t = Kind::ALL.map(|kind| kind.name().to_owned()))]
    proxies: Vec<String>,
    /// Another tidegate than the one just built, with whose tests' features its dependencies are shared.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_tidegate"))]
    binary: PathBuf,
    /// Seconds of one run.
    #[arg(long, default_value_t = 0.35)]
    window: f64,
    /// A run is dropped when others took more than this share of a core.
    #[arg(long, default_value_t = 0.12)]
    max_foreign: f64,
    /// Runs at this niceness, and the proxies too: −15, as root, on a machine that others use.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    nice: i32,
    /// The cases' names, and nothing else.
    #[arg(long)]
    list: bool,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How the calls come.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// This many connections, each calling as soon as it is answered.
    Closed(usize),
    /// A new connection for each call.
    Connect,
    /// 5,000 calls a second, everything on one core.
    Open,
}

/// One row of the plan.
struct Plan {
    name: String,
    wire: Wire,
    shape: Shape,
    request: Request,
    quick: bool,
}

fn plan() -> Vec<Plan> {
    let mut all = Vec::new();
    let mut add = |name: String, wire, size, shape, quick| {
        all.push(Plan {
            name,
            wire,
            shape,
            request: Request::new(wire, size),
            quick,
        });
    };
    for (name, wire) in [("framed", Wire::Framed), ("ttheader", Wire::TtHeader)] {
        for (size_name, size) in [("256", 256), ("16k", 16 << 10)] {
            for connections in [64, 1, 512] {
                let name = format!("{name}-{connections}x{size_name}");
                add(
                    name,
                    wire,
                    size,
                    Shape::Closed(connections),
                    connections == 64,
                );
            }
        }
    }
    add(
        "deadline-64x256".into(),
        Wire::Deadline,
        256,
        Shape::Closed(64),
        false,
    );
    add(
        "framed-connect".into(),
        Wire::Framed,
        256,
        Shape::Connect,
        true,
    );
    add(
        "framed-open5000".into(),
        Wire::Framed,
        256,
        Shape::Open,
        true,
    );
    all
}

impl Arguments {
    fn wants(&self, name: &str, quick: bool) -> bool {
        if self.only.is_empty() {
            return quick || !self.quick;
        }
        self.only.iter().any(|only| name.contains(only.as_str()))
    }

    fn kinds(&self) -> io::Result<Vec<Kind>> {
        let unknown = |name: &String| io::Error::other(format!("no proxy is called {name}"));
        let known = |name: &String| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        self.proxies
            .iter()
            .map(|name| known(name).ok_or_else(|| unknown(name)))
            .collect()
    }

    fn rounds(&self) -> usize {
        if self.quick {
            self.rounds.min(6)
        } else {
            self.rounds
        }
    }

    fn window(&self) -> Duration {
        Duration::from_secs_f64(self.window.clamp(0.05, 60.0))
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    machine::raise_file_limit()?;
    machine::renice(arguments.nice)?;
    machine::pin(std::process::id(), machine::cores().0)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(&arguments))
}

async fn bench(arguments: &Arguments) -> io::Result<()> {
    let plans: Vec<_> = plan()
        .into_iter()
        .filter(|plan| arguments.wants(&plan.name, plan.quick))
        .collect();
    if arguments.list {
        plans.iter().for_each(|plan| println!("{}", plan.name));
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let places = Places {
        dir: tempfile::tempdir()?,
        server: listener.local_addr()?,
        tidegate: arguments.binary.clone(),
    };
    tokio::spawn(wire::serve(listener));
    let proxies = start(&arguments.kinds()?, &places).await;
    let kinds: Vec<_> = proxies.iter().map(|proxy| proxy.kind).collect();
    let cases = run_all(arguments, &plans, &proxies).await;
    for case in &cases {
        println!("\n{}\n{}", case.name, case.table(&kinds));
    }
    if arguments.wants("syscalls", true) {
        counts::system_calls(&proxies).await;
    }
    drop(proxies);
    let mut goals = goals(&cases);
    if arguments.wants("memory", true) {
        goals.extend(counts::memory(&kinds, &places).await);
    }
    println!("\ngoals\n{}", report::judge(&goals));
    Ok(())
}

/// Starts them all; one line for each that cannot be started.
async fn start(kinds: &[Kind], places: &Places) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for &kind in kinds {
        match Proxy::start(kind, places).await {
            Ok(proxy) => proxies.push(proxy),
            Err(e) => println!("{} is left out: {e}", kind.name()),
        }
    }
    proxies
}

/// All rounds of all cases.
async fn run_all(arguments: &Arguments, plans: &[Plan], proxies: &[Proxy]) -> Vec<Case> {
    let mut cases: Vec<_> = plans
        .iter()
        .map(|plan| Case::new(plan.name.clone()))
        .collect();
    let mut order: Vec<_> = (0..plans.len()).collect();
    let mut dropped = 0;
    for _ in 0..arguments.rounds() {
        fastrand::shuffle(&mut order);
        for &index in &order {
            let plan = &plans[index];
            let mut able: Vec<_> = proxies
                .iter()
                .filter(|proxy| proxy.kind.speaks(plan.wire))
                .collect();
            fastrand::shuffle(&mut able);
            let mut round = Vec::new();
            for proxy in able {
                match undisturbed(arguments, plan, proxy, &mut dropped).await {
                    Ok(Some(run)) => round.push((proxy.kind, run)),
                    Ok(None) => {}
                    Err(e) => println!("{} through {} failed: {e}", plan.name, proxy.kind.name()),
                }
            }
            cases[index].add(round);
        }
    }
    println!("{dropped} runs dropped, since others used the machine (see --max-foreign, --nice)");
    cases
}

/// A run in which others left the cores alone, at the third attempt at the latest.
async fn undisturbed(
    arguments: &Arguments,
    plan: &Plan,
    proxy: &Proxy,
    dropped: &mut u32,
) -> io::Result<Option<Run>> {
    for _ in 0..3 {
        let run = run(plan, proxy, arguments.window()).await?;
        if run.foreign <= arguments.max_foreign {
            return Ok(Some(run));
        }
        *dropped += 1;
    }
    Ok(None)
}

async fn run(plan: &Plan, proxy: &Proxy, window: Duration) -> io::Result<Run> {
    match plan.shape {
        Shape::Closed(connections) => {
            load::closed(&proxy.target, &plan.request, connections, window).await
        }
        Shape::Connect => load::connecting(&proxy.target, &plan.request, window).await,
        Shape::Open => {
            let (ours, theirs) = machine::cores();
            proxy.pin(ours)?;
            let run = load::open(&proxy.target, &plan.request, window * 2).await;
            proxy.pin(theirs)?;
            run
        }
    }
}

/// The goals for CPU and latency.
fn goals(cases: &[Case]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for case in cases {
        let mut cpu = |other: Kind, allowed| {
            let ratio = case
                .cpu_ratio(Kind::Tidegate, other)
                .map(|ratio| ratio.mean);
            goals.push(Goal::new(
                format!("{}: CPU per call ÷ {}'s", case.name, other.name()),
                ratio,
                allowed,
            ));
        };
        match case.name.as_str() {
            "framed-64x256" | "ttheader-64x256" => {
                cpu(Kind::Haproxy, 1.10);
                cpu(Kind::Envoy, 0.55);
            }
            "framed-64x16k" | "ttheader-64x16k" => cpu(Kind::Haproxy, 0.9),
            "framed-connect" => cpu(Kind::Haproxy, 0.75),
            "framed-open5000" => {
                let added = |kind| case.added(kind);
                let ratio = added(Kind::Tidegate)
                    .zip(added(Kind::Haproxy))
                    .map(|(ours, theirs)| ours / theirs);
                goals.push(Goal::new(
                    format!("{}: added p50 ÷ haproxy's", case.name),
                    ratio,
                    1.2,
                ));
            }
            _ => {}
        }
    }
    goals
}
