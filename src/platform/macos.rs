//! macOS, and what else is a Unix but not Linux. Type-checked, not run.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;

pub use super::unix::{AsStream, LATE_REFUSAL, MAX_SOCKET_PATH, Signals};
pub(super) use super::unix::{
    OUT_OF_DESCRIPTORS, OUT_OF_PORTS, RESOLVERS, id_in, interfaces, is_unanswered, peek,
    raise_fd_limit, reuse_address,
};
use super::{ProcessStats, TcpStats};

/// No TCP_USER_TIMEOUT here: keepalive finds a dead peer.
pub(super) fn limit_unacknowledged(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}

/// `pf` keeps the destination to itself.
pub(super) fn original_dst(_: &SockRef<'_>) -> Option<SocketAddr> {
    None
}

pub(super) fn set_mark(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// TCP_CONNECTION_INFO exists, but counts no acknowledged bytes.
pub(super) fn tcp_stats(_: &SockRef<'_>) -> Option<TcpStats> {
    None
}

pub(super) fn who_listens(_: SocketAddr) -> Option<String> {
    None
}

pub(super) fn connections_at(_: u16) -> usize {
    0
}

pub(super) fn lacks_ipv6() -> bool {
    false
}

pub(super) fn process_stats() -> Option<ProcessStats> {
    let task: libc::proc_taskinfo = proc_pidinfo(libc::PROC_PIDTASKINFO)?;
    let process: libc::proc_bsdinfo = proc_pidinfo(libc::PROC_PIDTBSDINFO)?;
    let started = process.pbi_start_tvsec as f64 + process.pbi_start_tvusec as f64 / 1e6;
    Some(ProcessStats {
        cpu_seconds: cpu_seconds()?,
        resident_bytes: task.pti_resident_size,
        virtual_bytes: task.pti_virtual_size,
        open_fds: std::fs::read_dir("/dev/fd").ok()?.count() as u64,
        max_fds: super::unix::fd_limit().ok()?.rlim_cur,
        start_time_seconds: started,
        threads: u64::try_from(task.pti_threadnum).ok()?,
    })
}

/// User and system time. `proc_taskinfo` has them too, in ticks whose length differs by machine.
#[allow(unsafe_code)]
fn cpu_seconds() -> Option<f64> {
    // SAFETY: rusage is plain integers, for which zero is a value; the call fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) == 0).then_some(usage)?
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + f64::from(t.tv_usec) / 1e6;
    Some(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

/// What the kernel tells about this process; `T` is the struct that belongs to `flavor`.
#[allow(unsafe_code)]
fn proc_pidinfo<T: Copy>(flavor: libc::c_int) -> Option<T> {
    let pid = libc::c_int::try_from(std::process::id()).ok()?;
    let size = libc::c_int::try_from(size_of::<T>()).ok()?;
    // SAFETY: both structs are plain integers and byte arrays, for which zero is a value; the call
    // writes at most `size` bytes, and the result is used only if it wrote all.
    unsafe {
        let mut info: T = std::mem::zeroed();
        let written = libc::proc_pidinfo(pid, flavor, 0, (&raw mut info).cast(), size);
        (written == size).then_some(info)
    }
}
