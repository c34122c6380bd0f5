//! The rows of the table: what goes wrong, when, under what calls, and what is allowed.

use crate::figures::Figure;
use crate::judge;
use crate::proxies::Kind;
use crate::run::Record;
use scripted::header::key;
use scripted::{Fault, Framing, Header, Plan};
use std::time::Duration;

/// The load before anything goes wrong.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// How long a caller with a time-out waits.
const HANG_UP: Duration = Duration::from_millis(500);
/// From one crash, and from one hang of a lone instance, to the next; and how long each lasts.
const CRASH_EVERY: Duration = Duration::from_secs(10);
const HANG_EVERY: Duration = Duration::from_secs(20);
const OUTAGE: Duration = Duration::from_secs(5);

/// Which instances a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// One of them, another one in each run.
    One,
    /// All of them.
    All,
}

/// A fault that begins, or ends, at a moment after the warm-up.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
}

/// One row.
pub struct Row {
    /// For `--only`.
    pub name: &'static str,
    /// What goes wrong, for people.
    pub fault: &'static str,
    /// How many instances there are.
    pub instances: usize,
    /// Which of them have the fault.
    pub who: Who,
    /// What they have before the first call.
    pub at_first: Fault,
    /// What happens in a run of such a length.
    pub steps: fn(Duration) -> Vec<Step>,
    /// What the calls are like.
    pub calls: fn(Plan) -> Plan,
    /// What was reached.
    pub judge: fn(&Record) -> Vec<Figure>,
}

impl Row {
    /// Whether such calls can go through it: Envoy knows no TTHeader.
    pub fn speaks(&self, kind: Kind) -> bool {
        kind != Kind::Envoy || self.name != "hang-stated"
    }

    /// How many instances have the fault.
    pub fn faulty(&self) -> usize {
        match self.who {
            Who::One => 1,
            Who::All => self.instances,
        }
    }
}

/// A fault from the warm-up's end to the run's.
fn lasting(fault: Fault) -> Vec<Step> {
    vec![Step {
        at: Duration::ZERO,
        fault,
    }]
}

/// A fault for [`OUTAGE`], again and again.
fn repeated(fault: Fault, every: Duration, length: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    while at + OUTAGE < length {
        steps.push(Step { at, fault });
        steps.push(Step {
            at: at + OUTAGE,
            fault: Fault::None,
        });
        at += every;
    }
    steps
}

fn hanging_up(plan: Plan) -> Plan {
    Plan {
        hang_up: Some(HANG_UP),
        ..plan
    }
}

/// As Kitex's meta handler states it, and its own timer beside it.
fn stating(plan: Plan) -> Plan {
    Plan {
        framing: Framing::TtHeaderFramed,
        header: Header::default().int(key::RPC_TIMEOUT, "500"),
        ..hanging_up(plan)
    }
}

const COMMON: Row = Row {
    name: "",
    fault: "",
    instances: 3,
    who: Who::One,
    at_first: Fault::None,
    steps: |_| Vec::new(),
    calls: |plan| plan,
    judge: judge::none_failed,
};

/// All of them.
pub static ROWS: [Row; 11] = [
    Row {
        name: "refuse",
        fault: "refuses connections",
        at_first: Fault::Down,
        ..COMMON
    },
    Row {
        name: "hang",
        fault: "never answers; callers wait for ever",
        steps: |_| lasting(Fault::Hang),
        judge: judge::black_hole,
        ..COMMON
    },
    Row {
        name: "hang-up",
        fault: "never answers; callers hang up at 500 ms",
        steps: |_| lasting(Fault::Hang),
        calls: hanging_up,
        judge: judge::black_hole,
        ..COMMON
    },
    Row {
        name: "hang-stated",
        fault: "never answers; callers state 500 ms (TTHeader)",
        steps: |_| lasting(Fault::Hang),
        calls: stating,
        judge: judge::black_hole,
        ..COMMON
    },
    Row {
        name: "half",
        fault: "answers half its calls with exceptions",
        steps: |_| lasting(Fault::Fail(0.5)),
        judge: judge::half,
        ..COMMON
    },
    Row {
        name: "five",
        fault: "all three answer 5 % with exceptions",
        who: Who::All,
        steps: |_| lasting(Fault::Fail(0.05)),
        judge: judge::nothing_ejected,
        ..COMMON
    },
    Row {
        name: "slow",
        fault: "becomes 200 ms slow",
        steps: |_| lasting(Fault::Slow(Duration::from_millis(200))),
        judge: judge::slow,
        ..COMMON
    },
    Row {
        name: "crash",
        fault: "crashes and returns, every 10 s",
        steps: |length| repeated(Fault::Down, CRASH_EVERY, length),
        judge: judge::crash,
        ..COMMON
    },
    Row {
        name: "method",
        fault: "one method fails, on all three",
        who: Who::All,
        steps: |_| lasting(Fault::FailMethod(judge::BAD)),
        calls: |plan| Plan {
            methods: &["Echo", "Echo", judge::BAD, "Echo", "Echo"],
            ..plan
        },
        judge: judge::method,
        ..COMMON
    },
    Row {
        name: "all",
        fault: "all three fail, then recover",
        who: Who::All,
        steps: |length| {
            let [fails, recovers] = [Fault::Fail(1.0), Fault::None];
            let at = length / 2;
            vec![
                Step {
                    at: Duration::ZERO,
                    fault: fails,
                },
                Step {
                    at,
                    fault: recovers,
                },
            ]
        },
        judge: judge::all_fail,
        ..COMMON
    },
    Row {
        name: "lone",
        fault: "a lone instance hangs for 5 s; callers hang up at 500 ms",
        instances: 1,
        steps: |length| repeated(Fault::Hang, HANG_EVERY, length),
        calls: hanging_up,
        judge: judge::lone,
        ..COMMON
    },
];
