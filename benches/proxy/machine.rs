//! What the machine says: CPU time, memory, cores, system calls. Linux only, by `/proc` and small tools.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The cores in use: callers and server on the first that is allowed, the proxy on the last. Asked before anything is
/// pinned, and remembered, since pinning changes the answer.
static CORES: LazyLock<(usize, usize)> = LazyLock::new(|| {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap_or_default();
    let mut cores = allowed
        .split([',', '-'])
        .filter_map(|core| core.trim().parse().ok());
    let first = cores.next().unwrap_or(0);
    (first, cores.next_back().unwrap_or(first))
});

/// The core of callers and server, and the core of the proxy.
pub fn cores() -> (usize, usize) {
    *CORES
}

/// Binds a process, all its threads, to one core.
pub fn pin(pid: u32, core: usize) -> io::Result<()> {
    run(
        "taskset",
        &["-acp".into(), core.to_string(), pid.to_string()],
    )
}

/// Lets this process, and those it starts, open as many files as the system allows.
pub fn raise_file_limit() -> io::Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap_or_default();
    let hard = line.split_whitespace().nth(4).unwrap_or("1024");
    let pid = std::process::id().to_string();
    run(
        "prlimit",
        &["--pid".into(), pid, format!("--nofile={hard}:{hard}")],
    )
}

/// Sets the niceness of this process, and of those it starts later.
pub fn renice(niceness: i32) -> io::Result<()> {
    if niceness == 0 {
        return Ok(());
    }
    run(
        "renice",
        &[
            "-n".into(),
            niceness.to_string(),
            "-p".into(),
            std::process::id().to_string(),
        ],
    )
}

fn run(program: &str, arguments: &[String]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{program} {arguments:?}: {}",
        said.trim()
    )))
}

/// The clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The moment.
    pub at: Instant,
    /// CPU time of the proxy.
    pub proxy: Duration,
    own: Duration,
    busy: Duration,
}

impl Reading {
    /// Reads them; `proxy` is its process.
    pub fn take(proxy: Option<u32>) -> io::Result<Self> {
        let own = cpu(std::process::id())?;
        let proxy = proxy.map_or(Ok(Duration::ZERO), cpu)?;
        Ok(Self {
            at: Instant::now(),
            proxy,
            own,
            busy: busy()?,
        })
    }
}

/// The CPU that others took of the cores in use, as a share of one core.
pub fn foreign(before: &Reading, after: &Reading) -> f64 {
    let ours = (after.own + after.proxy).saturating_sub(before.own + before.proxy);
    let all = after.busy.saturating_sub(before.busy);
    all.saturating_sub(ours).as_secs_f64() / (after.at - before.at).as_secs_f64()
}

/// CPU time of a process, by the scheduler's own nanoseconds.
fn cpu(pid: u32) -> io::Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // a thread may end while we look
        let spent = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        total += spent
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(total))
}

/// Time that the cores in use were not idle, in the kernel's ticks of 10 ms.
fn busy() -> io::Result<Duration> {
    let (first, last) = cores();
    let stat = fs::read_to_string("/proc/stat")?;
    let mut ticks = 0;
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let core = words
            .next()
            .and_then(|name| name.strip_prefix("cpu")?.parse::<usize>().ok());
        if core.is_some_and(|core| core == first || core == last) {
            let times: Vec<u64> = words.filter_map(|n| n.parse().ok()).collect();
            // user, nice, system, (idle, iowait), irq, softirq, steal
            ticks += [0, 1, 2, 5, 6, 7]
                .iter()
                .filter_map(|i| times.get(*i))
                .sum::<u64>();
        }
    }
    Ok(Duration::from_millis(10 * ticks))
}

/// Resident memory of a process, in KiB.
pub fn resident(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| io::Error::other("no VmRSS"))
}

/// A process whose system calls are counted.
pub struct Counting {
    strace: Child,
}

impl Counting {
    /// Starts to count; returns when every thread is watched.
    pub fn start(pid: u32) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command
            .args(["-c", "-f", "-p", &pid.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut strace = command.spawn()?;
        let mut line = String::new();
        let said = strace
            .stderr
            .as_mut()
            .ok_or_else(|| io::Error::other("strace has no stderr"))?;
        // one byte of buffer, so that nothing of the table is lost in it
        BufReader::with_capacity(1, said).read_line(&mut line)?;
        if !line.contains("attached") {
            return Err(io::Error::other(line));
        }
        Ok(Self { strace })
    }

    /// Stops, and tells how many calls there were.
    pub fn stop(self) -> io::Result<u64> {
        run("kill", &["-INT".into(), self.strace.id().to_string()])?;
        let output = self.strace.wait_with_output()?;
        let table = String::from_utf8_lossy(&output.stderr);
        let total = table.lines().find(|line| line.ends_with(" total"));
        let count = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        count.ok_or_else(|| io::Error::other(format!("strace said: {table}")))
    }
}
