//! Linux.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::SockRef;

use super::TcpStats;
pub use super::unix::{AsStream, LATE_REFUSAL, MAX_SOCKET_PATH, Signals};
pub(super) use super::unix::{
    OUT_OF_DESCRIPTORS, OUT_OF_PORTS, RESOLVERS, id_in, interfaces, is_unanswered, peek,
    raise_fd_limit, reuse_address,
};

mod listeners;
mod process;

pub(super) use listeners::{connections_at, who_listens};
pub(super) use process::process_stats;

pub(super) fn limit_unacknowledged(socket: &SockRef<'_>, limit: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout((!limit.is_zero()).then_some(limit))
}

/// The firewall's record of the destination. A `[::]` listener sees an IPv4 caller at a mapped
/// address, and the kernel keeps that connection's record in its IPv4 table.
pub(super) fn original_dst(socket: &SockRef<'_>) -> Option<SocketAddr> {
    let local = socket.local_addr().ok()?.as_socket()?;
    let original = if local.ip().to_canonical().is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    original.ok()?.as_socket()
}

pub(super) fn set_mark(socket: &SockRef<'_>, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

pub(super) fn lacks_ipv6() -> bool {
    let network = std::path::Path::new("/proc/sys/net");
    network.exists() && !network.join("ipv6").exists()
}

#[allow(unsafe_code)]
pub(super) fn tcp_stats(socket: &SockRef<'_>) -> Option<TcpStats> {
    // SAFETY: tcp_info is plain integers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: pointer and length describe `info`, which outlives the call; the kernel writes at
    // most `len` bytes and says how many.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    // A kernel before 4.19 writes fewer fields; zeros in their place would be a lie.
    let needed = std::mem::offset_of!(libc::tcp_info, tcpi_bytes_retrans) + size_of::<u64>();
    if answer != 0 || (len as usize) < needed {
        return None;
    }
    Some(TcpStats {
        bytes_sent: info.tcpi_bytes_sent,
        bytes_retransmitted: info.tcpi_bytes_retrans,
        bytes_acked: info.tcpi_bytes_acked,
        round_trip: Duration::from_micros(info.tcpi_rtt.into()),
    })
}

#[cfg(test)]
mod tests;
