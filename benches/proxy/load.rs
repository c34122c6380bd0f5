//! The callers: closed loops over connections that stay or that are new for each call, and an open loop.

use crate::machine::{self, Reading};
use crate::wire::Request;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Whom to call, and whose CPU time to take.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The proxy's process; the bench itself answers where there is none.
    pub pid: Option<u32>,
}

/// What one run measured.
#[derive(Debug, Clone)]
pub struct Run {
    /// CPU time of the proxy per call, in µs.
    pub cpu: f64,
    /// Calls answered per second.
    pub rate: f64,
    /// Median time to the answer, in µs.
    pub p50: f64,
    /// CPU that others took of the cores in use, as a share of one core.
    pub foreign: f64,
}

impl Run {
    fn new(before: &Reading, after: &Reading, mut times: Vec<u32>) -> io::Result<Self> {
        if times.is_empty() {
            return Err(io::Error::other("no call was answered"));
        }
        let middle = times.len() / 2;
        let p50 = f64::from(*times.select_nth_unstable(middle).1) / 1e3;
        let calls = times.len() as f64;
        let wall = (after.at - before.at).as_secs_f64();
        let cpu = (after.proxy - before.proxy).as_secs_f64() * 1e6 / calls;
        Ok(Self {
            cpu,
            rate: calls / wall,
            p50,
            foreign: machine::foreign(before, after),
        })
    }
}

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;
/// Calls made before a measurement starts.
const WARM_UP: Duration = Duration::from_millis(40);
/// Callers of the case with a new connection per call.
const CONNECTORS: usize = 16;
/// Connections and calls a second of the open loop.
const OPEN_CONNECTIONS: usize = 16;
const OPEN_RATE: u32 = 5000;

/// A connection that makes one call after another.
pub struct Caller {
    stream: TcpStream,
    request: Request,
    answer: Vec<u8>,
    calls: u32,
}

impl Caller {
    /// Connects and makes one call.
    pub async fn connect(to: SocketAddr, request: &Request) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let answer = vec![0; request.bytes.len() + 1];
        let mut caller = Self {
            stream,
            request: request.clone(),
            answer,
            calls: 0,
        };
        caller.call().await?;
        Ok(caller)
    }

    /// Makes one call and checks its answer.
    pub async fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        self.request.number(self.calls);
        self.stream.write_all(&self.request.bytes).await?;
        let mut filled = 0;
        while filled < self.request.bytes.len() {
            match self.stream.read(&mut self.answer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        if self.request.is_answered_by(&self.answer[..filled]) {
            Ok(())
        } else {
            Err(io::Error::other("a wrong answer"))
        }
    }
}

/// Connects this many callers, each with one call made.
pub async fn connect(
    to: SocketAddr,
    request: &Request,
    connections: usize,
) -> io::Result<Vec<Caller>> {
    let mut callers = Vec::with_capacity(connections);
    for _ in 0..connections {
        callers.push(Caller::connect(to, request).await?);
    }
    Ok(callers)
}

/// Every connection calls as soon as it has its answer.
pub async fn closed(
    target: &Target,
    request: &Request,
    connections: usize,
    window: Duration,
) -> io::Result<Run> {
    let phase = Arc::new(AtomicU8::new(WARM));
    let mut tasks = JoinSet::new();
    for mut caller in connect(target.address, request, connections).await? {
        let phase = Arc::clone(&phase);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while phase.load(Ordering::Relaxed) != STOP {
                let start = Instant::now();
                caller.call().await?;
                note(&phase, &mut times, start);
            }
            Ok(times)
        });
    }
    measure(target, &phase, tasks, window).await
}

/// Every call has a connection of its own.
pub async fn connecting(target: &Target, request: &Request, window: Duration) -> io::Result<Run> {
    let phase = Arc::new(AtomicU8::new(WARM));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTORS {
        let (phase, request, to) = (Arc::clone(&phase), request.clone(), target.address);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while phase.load(Ordering::Relaxed) != STOP {
                let start = Instant::now();
                drop(Caller::connect(to, &request).await?);
                note(&phase, &mut times, start);
            }
            Ok(times)
        });
    }
    measure(target, &phase, tasks, window).await
}

/// Notes the time of a call that ended while measuring, whenever it began: the two edges cancel out.
fn note(phase: &AtomicU8, times: &mut Vec<u32>, start: Instant) {
    if phase.load(Ordering::Relaxed) == MEASURE {
        times.push(nanos(start.elapsed()));
    }
}

fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

async fn measure(
    target: &Target,
    phase: &AtomicU8,
    mut tasks: JoinSet<io::Result<Vec<u32>>>,
    window: Duration,
) -> io::Result<Run> {
    tokio::time::sleep(WARM_UP).await;
    let before = Reading::take(target.pid)?;
    phase.store(MEASURE, Ordering::Relaxed);
    tokio::time::sleep(window).await;
    phase.store(STOP, Ordering::Relaxed);
    let after = Reading::take(target.pid)?;
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.append(&mut ended.map_err(io::Error::other)??);
    }
    Run::new(&before, &after, times)
}

/// Calls go out by the clock, answered or not. Times count from the moment a call is sent.
pub async fn open(target: &Target, request: &Request, window: Duration) -> io::Result<Run> {
    let count = (f64::from(OPEN_RATE) * window.as_secs_f64()) as usize;
    let start = Instant::now();
    let sent: Arc<Vec<AtomicU64>> = Arc::new((0..count).map(|_| AtomicU64::new(0)).collect());
    let mut writers = Vec::new();
    let mut readers = JoinSet::new();
    for caller in connect(target.address, request, OPEN_CONNECTIONS).await? {
        let stream = caller.stream.into_std()?;
        writers.push(stream.try_clone()?);
        let expected = (count + OPEN_CONNECTIONS - writers.len()) / OPEN_CONNECTIONS;
        readers.spawn(read(
            TcpStream::from_std(stream)?,
            request.clone(),
            Arc::clone(&sent),
            start,
            expected,
        ));
    }
    let before = Reading::take(target.pid)?;
    let request = request.clone();
    let pacer = std::thread::spawn(move || pace(&writers, request, &sent, start));
    let mut times = Vec::with_capacity(count);
    while let Some(ended) = readers.join_next().await {
        times.append(&mut ended.map_err(io::Error::other)??);
    }
    let after = Reading::take(target.pid)?;
    pacer
        .join()
        .map_err(|_| io::Error::other("the pacer panicked"))??;
    Run::new(&before, &after, times)
}

/// Sends one call each 1 / `OPEN_RATE` s, over the connections in turn. A thread: the kernel's timers are finer than
/// the runtime's.
fn pace(
    writers: &[std::net::TcpStream],
    mut request: Request,
    sent: &[AtomicU64],
    base: Instant,
) -> io::Result<()> {
    let start = Instant::now();
    for (n, (at, mut writer)) in (0u32..).zip(sent.iter().zip(writers.iter().cycle())) {
        let due = start + Duration::from_secs(1) * n / OPEN_RATE;
        if let Some(ahead) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(ahead);
        }
        request.number(n);
        at.store(since(base), Ordering::Relaxed);
        writer.write_all(&request.bytes)?;
    }
    Ok(())
}

fn since(base: Instant) -> u64 {
    u64::try_from(base.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Reads the answers of one connection of the open loop.
async fn read(
    mut stream: TcpStream,
    request: Request,
    sent: Arc<Vec<AtomicU64>>,
    base: Instant,
    expected: usize,
) -> io::Result<Vec<u32>> {
    let len = request.bytes.len();
    let mut answer = vec![0; len];
    let mut times = Vec::with_capacity(expected);
    while times.len() < expected {
        let whole = stream.read_exact(&mut answer);
        tokio::time::timeout(Duration::from_secs(5), whole).await??;
        let sent = sent
            .get(request.number_of(&answer) as usize)
            .ok_or_else(|| io::Error::other("a wrong answer"))?;
        times.push(nanos(Duration::from_nanos(
            since(base) - sent.load(Ordering::Relaxed),
        )));
    }
    Ok(times)
}
