//! One run: instances, a proxy, calls, and the faults in their time.

use crate::proxies::{Kind, Proxy};
use crate::rows::{Row, WARM_UP};
use crate::state::{self, State};
use scripted::load::Log;
use scripted::{Fault, Instance, Load, Plan};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often everything is looked at, and so how finely faults are timed.
const LOOK: Duration = Duration::from_millis(50);
/// What an instance that is well takes for a call.
const USUAL: Duration = Duration::from_millis(1);
/// How long calls in flight at the end may still be answered.
const TAIL: Duration = Duration::from_secs(1);

/// What all runs share.
pub struct Setting<'a> {
    /// tidegate's executable.
    pub tidegate: &'a Path,
    /// From the warm-up's end to the run's.
    pub length: Duration,
    /// Calls per second.
    pub rate: u32,
    /// Ends every run early.
    pub stop: &'a AtomicBool,
}

/// What was seen at one moment of a run, in time since the load began.
pub struct Sample {
    /// When.
    pub at: Duration,
    /// What the proxy said; `None` if it did not in time.
    pub state: Option<State>,
    /// Calls that each instance has received.
    pub received: Vec<u64>,
    /// Calls that were sent.
    pub sent: u64,
}

/// A fault that has begun, or ended.
pub struct Mark {
    /// When it was told to, since the load began.
    pub begun: Duration,
    /// When it had done so.
    pub at: Duration,
    /// What the instances have from now on.
    pub fault: Fault,
    /// Calls that each instance had received.
    pub received: Vec<u64>,
}

/// All that a run left.
pub struct Record {
    /// Every call.
    pub log: Log,
    /// In order.
    pub samples: Vec<Sample>,
    /// In order.
    pub marks: Vec<Mark>,
    /// Which of the instances has the fault, the first of them where several do.
    pub faulty: usize,
    /// Calls in flight at instances when they crashed, as they know it.
    pub cut: u64,
}

impl Record {
    /// The share of calls that were due and not sent, since the machine had no time for them. Then the proxies may have
    /// had none either.
    pub fn missed(&self) -> f64 {
        let sent = self.log.calls.len().max(1);
        self.log.missed as f64 / sent as f64
    }

    /// Whether its figures say something of the proxy, and not of the machine.
    pub fn is_sound(&self) -> bool {
        self.missed() < 0.002
    }
}

/// Runs one.
pub async fn run(row: &Row, kind: Kind, nth: usize, setting: &Setting<'_>) -> io::Result<Record> {
    let faulty = match row.faulty() {
        1 => nth % row.instances,
        _ => 0,
    };
    let mut instances = Vec::new();
    for index in 0..row.instances {
        let is_faulty = (faulty..faulty + row.faulty()).contains(&index);
        let fault = if is_faulty { row.at_first } else { Fault::None };
        instances.push(Instance::start(scripted::free(), USUAL, fault).await?);
    }
    let endpoints = instances.iter().map(Instance::address).collect();
    let proxy = Proxy::start(kind, setting.tidegate, endpoints).await?;
    let load = Load::start((row.calls)(Plan::new(proxy.address, setting.rate)));
    let mut steps = (row.steps)(setting.length).into_iter().peekable();
    let (mut marks, mut samples) = (Vec::new(), Vec::new());
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while load.elapsed() < WARM_UP + setting.length {
        ticks.tick().await;
        if setting.stop.load(Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let due = |at: Duration| load.elapsed() >= WARM_UP + at;
        if let Some(step) = steps.next_if(|step| due(step.at)) {
            let begun = load.elapsed();
            for instance in &instances[faulty..faulty + row.faulty()] {
                instance.set(step.fault).await;
            }
            marks.push(Mark {
                begun,
                at: load.elapsed(),
                fault: step.fault,
                received: received(&instances),
            });
        }
        samples.push(sample(&proxy, &load, &instances).await);
    }
    let log = load.end(TAIL).await;
    let cut = instances.iter().map(|i| i.counts().cut).sum();
    Ok(Record {
        log,
        samples,
        marks,
        faulty,
        cut,
    })
}

fn received(instances: &[Instance]) -> Vec<u64> {
    instances.iter().map(Instance::calls).collect()
}

async fn sample(proxy: &Proxy, load: &Load, instances: &[Instance]) -> Sample {
    let looked = timeout(Duration::from_millis(500), state::look(proxy)).await;
    Sample {
        at: load.elapsed(),
        state: looked.ok().and_then(Result::ok),
        received: received(instances),
        sent: load.sent(),
    }
}
