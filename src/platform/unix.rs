//! What Linux and macOS have in common.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Event, InterfaceAddr};

/// A stream of this system's sockets: TCP or Unix, of the standard library or of tokio.
pub trait AsStream: AsFd {}
impl<T: AsFd> AsStream for T {}

/// The longest path of a unix socket, in bytes; `None` on a system without them.
// A NUL ends it.
pub const MAX_SOCKET_PATH: Option<usize> =
    Some(size_of::<libc::sockaddr_un>() - std::mem::offset_of!(libc::sockaddr_un, sun_path) - 1);

/// How much longer than a round trip it may take until a connect that is refused says so.
pub const LATE_REFUSAL: Duration = Duration::ZERO;

/// The process, and the whole host, are out of descriptors.
pub(super) const OUT_OF_DESCRIPTORS: &[i32] = &[libc::EMFILE, libc::ENFILE];
/// No port left to dial from (Linux says EADDRNOTAVAIL, so does macOS).
pub(super) const OUT_OF_PORTS: &[i32] = &[libc::EADDRNOTAVAIL];

/// The signals that mean something to tidegate.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    user1: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over. From then on none of them ends the process by itself. Call it
    /// inside a runtime that has I/O enabled.
    ///
    /// # Errors
    /// The system's own.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next event. Dropping the future loses none; several signals of one kind that
    /// come close together may be one event.
    pub async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload,
            _ = self.user1.recv() => Event::ReopenLogs,
        }
    }
}

/// The file that names the system's resolvers.
pub(super) const RESOLVERS: Option<&str> = if cfg!(target_os = "linux") {
    Some("/etc/resolv.conf")
} else {
    None
};

/// The standard library keeps nothing of `EAI_AGAIN` but its text, which the system's own is compared with.
#[allow(unsafe_code)]
pub(super) fn is_unanswered(error: &io::Error) -> bool {
    // SAFETY: the call takes any number, and answers a text of the system's that ends in a NUL and stays.
    let again = unsafe { std::ffi::CStr::from_ptr(libc::gai_strerror(libc::EAI_AGAIN)) };
    let again = again.to_string_lossy();
    !again.is_empty() && error.to_string().ends_with(&*again)
}

pub(super) fn reuse_address(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Up to one byte, neither waited for nor taken, whatever the socket's own mode.
pub(super) fn peek(socket: &SockRef<'_>) -> io::Result<usize> {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    socket.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
}

/// The third field of the row that begins with this name, as `/etc/passwd` and `/etc/group` have it.
pub(super) fn id_in(list: &str, name: &str) -> io::Result<Option<u32>> {
    let text = std::fs::read_to_string(list)?;
    Ok(text.lines().find_map(|row| {
        let mut fields = row.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    }))
}

pub(super) fn raise_fd_limit() -> io::Result<Option<u64>> {
    let mut limit = fd_limit()?;
    let wanted = raised(&limit);
    if wanted > limit.rlim_cur {
        limit.rlim_cur = wanted;
        set_fd_limit(&limit)?;
    }
    Ok(Some(limit.rlim_cur))
}

/// macOS says "no hard limit" but takes no soft one above this.
fn raised(limit: &libc::rlimit) -> libc::rlim_t {
    if cfg!(target_os = "linux") {
        limit.rlim_max
    } else {
        limit.rlim_max.min(10_240)
    }
}

/// The soft and hard limit on open descriptors.
#[allow(unsafe_code)]
pub(super) fn fd_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live rlimit that the call fills in and does not keep.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

#[allow(unsafe_code)]
fn set_fd_limit(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: the pointer is to a live rlimit that the call only reads.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, std::ptr::from_ref(limit)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Frees the list when the walk is over.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the pointer came from getifaddrs and is freed once; freeing null is allowed.
        unsafe { libc::freeifaddrs(self.0) }
    }
}

#[allow(unsafe_code)]
pub(super) fn interfaces() -> Vec<InterfaceAddr> {
    let mut head = std::ptr::null_mut();
    // SAFETY: the call writes one pointer, which List frees.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Vec::new();
    }
    let list = List(head);
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: every non-null ifa_next is an entry of the list, alive until the list is freed.
    while let Some(entry) = unsafe { next.as_ref() } {
        found.extend(interface(entry));
        next = entry.ifa_next;
    }
    found
}

/// One entry of the list, if it is an IP address.
#[allow(unsafe_code)]
fn interface(entry: &libc::ifaddrs) -> Option<InterfaceAddr> {
    let ip = ip_of(entry.ifa_addr)?;
    // SAFETY: the kernel's name of an interface ends in a NUL.
    let name = unsafe { std::ffi::CStr::from_ptr(entry.ifa_name) };
    let prefix_len = match ip_of(entry.ifa_netmask) {
        Some(IpAddr::V4(mask)) => mask.to_bits().leading_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().leading_ones(),
        None => {
            if ip.is_ipv4() {
                32
            } else {
                128
            }
        }
    };
    let name = name.to_string_lossy().into_owned();
    Some(InterfaceAddr {
        name,
        ip,
        prefix_len: prefix_len as u8,
    })
}

/// The IP address behind a `sockaddr`; `None` for null and for other families.
#[allow(unsafe_code)]
fn ip_of(addr: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null or a sockaddr of the list; its family says which struct it is, and those are
    // read unaligned since a sockaddr promises less alignment than they want.
    unsafe {
        match i32::from(addr.as_ref()?.sa_family) {
            libc::AF_INET => {
                let v4 = addr.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = addr.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}
