//! The process in figures, from `/proc/self`.

use std::fs;

use super::super::ProcessStats;
use super::super::unix::fd_limit;

pub(in super::super) fn process_stats() -> Option<ProcessStats> {
    let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let ticks = sysconf(libc::_SC_CLK_TCK)? as f64;
    let boot = boot_time(&fs::read_to_string("/proc/stat").ok()?)?;
    Some(ProcessStats {
        cpu_seconds: stat.cpu_ticks as f64 / ticks,
        resident_bytes: stat.resident_pages * sysconf(libc::_SC_PAGESIZE)?,
        virtual_bytes: stat.virtual_bytes,
        open_fds: open_fds()?,
        max_fds: fd_limit().ok()?.rlim_cur,
        start_time_seconds: boot as f64 + stat.start_ticks as f64 / ticks,
        threads: stat.threads,
    })
}

/// The fields of `/proc/PID/stat` that count here: proc_pid_stat(5) numbers them 14, 15, 20, 22,
/// 23 and 24.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) cpu_ticks: u64,
    pub(super) threads: u64,
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
}

impl Stat {
    /// The second field, the program's name, may hold spaces and parentheses: count from its end.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the host started, in seconds since 1970.
pub(super) fn boot_time(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// All but the one that reads the directory.
fn open_fds() -> Option<u64> {
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[allow(unsafe_code)]
fn sysconf(name: libc::c_int) -> Option<u64> {
    // SAFETY: no pointers; an unknown name answers -1.
    u64::try_from(unsafe { libc::sysconf(name) }).ok()
}
