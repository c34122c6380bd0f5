//! All runs, some side by side, and their end where someone ends them early.

use crate::Arguments;
use crate::proxies::Kind;
use crate::report::Line;
use crate::rows::Row;
use crate::run::{self, Record, Setting};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// One run to do.
struct Job {
    row: &'static Row,
    kind: Kind,
    nth: usize,
}

/// How one ended.
struct Ended {
    job: Job,
    result: io::Result<Record>,
}

/// Does them all and puts each where it belongs. An error where any run failed, after all others were done; a signal
/// ends all at once, and what is done by then stays.
pub fn run_all(arguments: &Arguments, lines: &mut [Line]) -> io::Result<()> {
    let jobs: VecDeque<Job> = (0..arguments.runs())
        .flat_map(|nth| {
            let able = lines.iter().filter(|line| line.why_not.is_none());
            let job = move |line: &Line| Job {
                row: line.row,
                kind: line.kind,
                nth,
            };
            able.map(job).collect::<Vec<_>>()
        })
        .collect();
    let (all, jobs, stop) = (jobs.len(), Mutex::new(jobs), AtomicBool::new(false));
    let setting = Setting {
        tidegate: &arguments.binary,
        length: arguments.length(),
        rate: arguments.rate,
        stop: &stop,
    };
    let workers = usize::from(arguments.parallel).min(all);
    eprintln!(
        "{all} runs of {:?}, {workers} side by side",
        arguments.length()
    );
    std::thread::scope(|scope| {
        let (done, results) = mpsc::channel(64);
        for _ in 0..workers {
            let (done, jobs, setting) = (done.clone(), &jobs, &setting);
            scope.spawn(move || work(jobs, setting, &done));
        }
        drop(done);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let result = runtime.and_then(|runtime| runtime.block_on(collect(all, lines, results)));
        stop.store(true, Relaxed);
        result
    })
}

/// Takes one job after another, until there are none or all shall stop.
fn work(jobs: &Mutex<VecDeque<Job>>, setting: &Setting<'_>, done: &mpsc::Sender<Ended>) {
    while !setting.stop.load(Relaxed) {
        let next = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some(job) = next else { return };
        let result = sound(&job, setting);
        if done.blocking_send(Ended { job, result }).is_err() {
            return;
        }
    }
}

/// A run for which the machine had time, at the third attempt at the latest.
fn sound(job: &Job, setting: &Setting<'_>) -> io::Result<Record> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = || runtime.block_on(run::run(job.row, job.kind, job.nth, setting));
    let mut record = run()?;
    for _ in 0..2 {
        if record.is_sound() {
            break;
        }
        eprintln!(
            "{} through {}: the machine was too busy for {:.1} % of the calls; again",
            job.row.name,
            job.kind.name(),
            100.0 * record.missed()
        );
        record = run()?;
    }
    Ok(record)
}

/// Takes what the runs give, until all have ended or a signal comes.
async fn collect(
    all: usize,
    lines: &mut [Line],
    mut results: mpsc::Receiver<Ended>,
) -> io::Result<()> {
    let mut failed = Vec::new();
    let mut ended = 0;
    let stop = signal();
    tokio::pin!(stop);
    loop {
        let next = tokio::select! {
            next = results.recv() => next,
            name = &mut stop => {
                return Err(io::Error::other(format!("ended by {}", name?)));
            }
        };
        let Some(Ended { job, result }) = next else {
            break;
        };
        ended += 1;
        let name = format!("{} through {}", job.row.name, job.kind.name());
        match result {
            Ok(record) => {
                let sent = record.log.calls.len();
                let bad = record.log.failed();
                eprintln!("[{ended}/{all}] {name}: {bad} of {sent} calls failed");
                lines
                    .iter_mut()
                    .filter(|line| line.row.name == job.row.name && line.kind == job.kind)
                    .for_each(|line| line.add(&record));
            }
            Err(e) => {
                eprintln!("[{ended}/{all}] {name}: {e}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() && ended == all {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} of {all} runs did not end well",
        all - ended + failed.len()
    )))
}

/// The name of a signal that asks for the end.
async fn signal() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map(|()| "Ctrl-C"),
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = hang_up.recv() => Ok("SIGHUP"),
    }
}
