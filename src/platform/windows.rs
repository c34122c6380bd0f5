//! Windows. Type-checked, not run by the tests.

use std::io;
use std::net::SocketAddr;
use std::os::windows::io::AsSocket;
use std::time::Duration;

use if_addrs::IfAddr;
use socket2::{SockRef, Socket};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

use super::{Event, InterfaceAddr, ProcessStats, TcpStats};

/// A stream of this system's sockets, of the standard library or of tokio.
pub trait AsStream: AsSocket {}
impl<T: AsSocket> AsStream for T {}

/// The longest path of a unix socket: there are none here.
pub const MAX_SOCKET_PATH: Option<usize> = None;

/// How much longer than a round trip it may take until a connect that is refused says so: Windows repeats its SYN twice
/// after a RST, half a second apart and more, and says 10061 after about 2 s.
pub const LATE_REFUSAL: Duration = Duration::from_millis(2500);

/// WSAEMFILE.
pub(super) const OUT_OF_DESCRIPTORS: &[i32] = &[10024];
/// WSAEADDRNOTAVAIL, and WSAENOBUFS, which is what a connect says with no port left.
pub(super) const OUT_OF_PORTS: &[i32] = &[10049, 10055];

/// The resolvers are a setting of the network.
pub(super) const RESOLVERS: Option<&str> = None;

/// WSATRY_AGAIN.
pub(super) fn is_unanswered(error: &io::Error) -> bool {
    error.raw_os_error() == Some(11002)
}

/// The console's events that mean something to tidegate.
#[derive(Debug)]
pub struct Signals {
    c: CtrlC,
    r#break: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Takes the console's events over. From then on none of them ends the process by itself
    /// (but Windows ends it some seconds after a close or a shutdown).
    ///
    /// # Errors
    /// The system's own.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            c: ctrl_c()?,
            r#break: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next event: here always [`Event::Stop`]. Dropping the future loses none.
    pub async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.c.recv() => Event::Stop,
            _ = self.r#break.recv() => Event::Stop,
            _ = self.close.recv() => Event::Stop,
            _ = self.shutdown.recv() => Event::Stop,
        }
    }
}

/// Never here: on Windows the option lets two processes share one port.
pub(super) fn reuse_address(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Up to one byte, not taken. It does not wait, since every stream of tidegate's is non-blocking.
pub(super) fn peek(socket: &SockRef<'_>) -> io::Result<usize> {
    socket.peek(&mut [std::mem::MaybeUninit::uninit()])
}

pub(super) fn limit_unacknowledged(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}

pub(super) fn original_dst(_: &SockRef<'_>) -> Option<SocketAddr> {
    None
}

pub(super) fn set_mark(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

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

pub(super) fn id_in(_: &str, _: &str) -> io::Result<Option<u32>> {
    Ok(None)
}

pub(super) fn process_stats() -> Option<ProcessStats> {
    None
}

pub(super) fn interfaces() -> Vec<InterfaceAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    // What is down keeps its addresses, and leads nowhere.
    all.filter(if_addrs::Interface::is_oper_up)
        .map(|interface| InterfaceAddr {
            ip: interface.ip(),
            prefix_len: match &interface.addr {
                IfAddr::V4(v4) => v4.prefixlen,
                IfAddr::V6(v6) => v6.prefixlen,
            },
            name: interface.name,
        })
        .collect()
}

pub(super) fn raise_fd_limit() -> io::Result<Option<u64>> {
    Ok(None)
}
