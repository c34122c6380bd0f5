//! An open loop of calls: so many a second, answered or not, and never more than one in flight on a connection. Idle
//! connections are taken again, the one used last first, as Kitex's long connections are.

use crate::client::{Answer, Client};
use crate::header::Header;
use crate::wire::Framing;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

#[cfg(test)]
mod tests;

/// What is due for longer than this, since the pace was lost, is never sent: it would be a burst, not a load.
const CATCH_UP: Duration = Duration::from_millis(100);
/// Connections kept unused, and for how long.
const MAX_IDLE: usize = 64;
const IDLE: Duration = Duration::from_secs(30);
/// Texts of failures that are kept.
const MAX_TEXTS: usize = 5;

/// How the calls come.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who is called.
    pub to: SocketAddr,
    /// Calls per second.
    pub rate: u32,
    /// How each call travels.
    pub framing: Framing,
    /// What stands in front of each, in the framings that have a header.
    pub header: Header,
    /// How long a caller waits before it closes its connection; `None`: for ever.
    pub hang_up: Option<Duration>,
    /// What is called, in turn; at least one.
    pub methods: &'static [&'static str],
    /// Calls that may be unanswered at once; a call that would be one more is not sent.
    pub max_in_flight: usize,
}

impl Plan {
    /// Framed calls of `Echo` by callers that wait for ever.
    pub fn new(to: SocketAddr, rate: u32) -> Self {
        Self {
            to,
            rate,
            framing: Framing::Framed,
            header: Header::default(),
            hang_up: None,
            methods: &["Echo"],
            max_in_flight: 2000,
        }
    }
}

/// How a call ended, as its caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// With its own text.
    Answered,
    /// With an exception.
    Exception,
    /// Its connection could not be opened, or ended, or brought something else.
    Closed,
    /// Its caller had waited for long enough.
    HungUp,
    /// Not at all while the load lasted.
    Unanswered,
}

/// One call that ended.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// When it was due and sent, since the load began.
    pub sent: Duration,
    /// How long its caller waited.
    pub took: Duration,
    /// What was called.
    pub method: &'static str,
    /// How it ended.
    pub end: End,
}

impl Done {
    /// Its caller has no answer.
    pub fn failed(&self) -> bool {
        self.end != End::Answered
    }
}

/// All calls of a load.
#[derive(Debug, Default)]
pub struct Log {
    /// Those that were sent, in the order in which they ended.
    pub calls: Vec<Done>,
    /// Calls that were due and not sent, since too many were unanswered.
    pub held_back: u64,
    /// Calls that were due and not sent, since the machine had no time for them.
    pub missed: u64,
    /// What the first failures said.
    pub texts: Vec<String>,
}

impl Log {
    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.failed_between(Duration::ZERO, Duration::MAX)
    }

    /// How many failed that were sent from one moment on, and before another.
    pub fn failed_between(&self, from: Duration, to: Duration) -> u64 {
        let sent = self
            .calls
            .iter()
            .filter(|c| c.sent >= from && c.sent < to && c.failed());
        sent.count() as u64
    }
}

/// Calls on their way; they stop when this is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    pacing: AbortHandle,
    over: watch::Sender<bool>,
}

impl Load {
    /// Starts it on this runtime.
    pub fn start(plan: Plan) -> Self {
        let (over, is_over) = watch::channel(false);
        let shared = Arc::new(Shared {
            began: Instant::now(),
            places: Arc::new(Semaphore::new(plan.max_in_flight)),
            plan,
            idle: Mutex::default(),
            log: Mutex::default(),
            sent: AtomicU64::new(0),
            is_over,
        });
        let pacing = tokio::spawn(pace(shared.clone())).abort_handle();
        Self {
            shared,
            pacing,
            over,
        }
    }

    /// The time since it began, which [`Done::sent`] counts in.
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Calls sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Relaxed)
    }

    /// Sends no more, lets those in flight end for as long as `patience`, and tells of all.
    pub async fn end(self, patience: Duration) -> Log {
        self.pacing.abort();
        let all = u32::try_from(self.shared.plan.max_in_flight).unwrap_or(u32::MAX);
        let _ = timeout(patience, self.shared.places.acquire_many(all)).await;
        self.over.send_replace(true);
        let _ = timeout(
            Duration::from_secs(10),
            self.shared.places.acquire_many(all),
        )
        .await;
        lock(&self.shared.idle).clear();
        std::mem::take(&mut lock(&self.shared.log))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.pacing.abort();
        self.over.send_replace(true);
    }
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    began: Instant,
    /// One for each call that may be unanswered.
    places: Arc<Semaphore>,
    idle: Mutex<Vec<(Client, Instant)>>,
    log: Mutex<Log>,
    sent: AtomicU64,
    is_over: watch::Receiver<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pace(shared: Arc<Shared>) {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let due_in = |time: Duration| (time.as_secs_f64() * f64::from(shared.plan.rate)) as u64;
    let mut next = 0;
    loop {
        ticks.tick().await;
        let due = due_in(shared.began.elapsed());
        let missed = due.saturating_sub(next + due_in(CATCH_UP));
        lock(&shared.log).missed += missed;
        next += missed;
        while next < due {
            send(&shared, next);
            next += 1;
        }
    }
}

fn send(shared: &Arc<Shared>, nth: u64) {
    let Ok(place) = shared.places.clone().try_acquire_owned() else {
        lock(&shared.log).held_back += 1;
        return;
    };
    shared.sent.fetch_add(1, Relaxed);
    let methods = shared.plan.methods;
    let method = methods[nth as usize % methods.len()];
    tokio::spawn(call(shared.clone(), method, place));
}

async fn call(shared: Arc<Shared>, method: &'static str, place: OwnedSemaphorePermit) {
    let begun = Instant::now();
    let sent = begun - shared.began;
    let mut is_over = shared.is_over.clone();
    let hang_up = async {
        match shared.plan.hang_up {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    let (end, text) = tokio::select! {
        ended = shared.ask(method) => match ended {
            Ok(Answer::Text(_)) => (End::Answered, None),
            Ok(other) => (End::Exception, Some(format!("{other:?}"))),
            Err(error) => (End::Closed, Some(error.to_string())),
        },
        () = hang_up => (End::HungUp, None),
        _ = is_over.wait_for(|over| *over) => (End::Unanswered, None),
    };
    let took = begun.elapsed();
    let mut log = lock(&shared.log);
    log.calls.push(Done {
        sent,
        took,
        method,
        end,
    });
    if let Some(text) = text.filter(|_| log.texts.len() < MAX_TEXTS) {
        log.texts.push(text);
    }
    drop(log);
    drop(place);
}

impl Shared {
    /// One call, on a connection that is idle or new. A connection that failed is not used again, nor one whose caller
    /// has left.
    async fn ask(&self, method: &str) -> io::Result<Answer> {
        let mut client = match self.take() {
            Some(client) => client,
            None => Client::connect(self.plan.to, self.plan.framing)
                .await?
                .with_header(self.plan.header.clone()),
        };
        let answer = client.call(method, "storm").await?;
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push((client, Instant::now()));
        }
        Ok(answer)
    }

    fn take(&self) -> Option<Client> {
        let mut idle = lock(&self.idle);
        while let Some((client, since)) = idle.pop() {
            if since.elapsed() < IDLE && client.is_quiet() {
                return Some(client);
            }
        }
        None
    }
}
