//! Unix sockets as they are dialled: by their path, or by an abstract name behind `@` (Linux).

use std::io;
use std::path::Path;

use super::stream::Stream;

/// Whether a unix socket of this path or abstract name is there now, whoever listens on it or not.
pub fn has_socket(name: &Path) -> bool {
    #[cfg(unix)]
    return unix::has_socket(name);
    #[cfg(not(unix))]
    return {
        let _ = name;
        false
    };
}

/// Connects to a unix socket of this host. While its queue is full the connect is tried again, so bound it by a time.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where there is no such file; [`io::ErrorKind::ConnectionRefused`] where it is there and
/// nobody listens; [`io::ErrorKind::PermissionDenied`] with what stands in the way; [`io::ErrorKind::Unsupported`] on a
/// system without unix sockets; else the system's own.
pub async fn connect_unix(name: &Path) -> io::Result<Stream> {
    #[cfg(unix)]
    return unix::connect(name).await.map(Stream::Unix);
    #[cfg(not(unix))]
    return {
        let _ = name;
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "unix sockets are not supported on Windows",
        ))
    };
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::Path;
    use std::time::Duration;

    use rustix::process::{getegid, geteuid};
    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::net::UnixStream;
    use tokio::time::sleep;

    /// Between two tries to connect to a listener whose queue is full: at first, and at most.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

    pub(super) fn has_socket(name: &Path) -> bool {
        match abstract_name(name) {
            Some(_) => is_bound(name),
            None => std::fs::metadata(name).is_ok_and(|file| file.file_type().is_socket()),
        }
    }

    pub(super) async fn connect(name: &Path) -> io::Result<UnixStream> {
        let addr = address(name)?;
        let mut pause = PAUSES.0;
        loop {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&addr) {
                Ok(()) => return UnixStream::from_std(socket.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(io::Error::new(error.kind(), why_denied(name)));
                }
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// What stands behind the `@` of an abstract name.
    fn abstract_name(name: &Path) -> Option<&[u8]> {
        name.as_os_str().as_bytes().strip_prefix(b"@")
    }

    fn address(name: &Path) -> io::Result<SockAddr> {
        match abstract_name(name) {
            // A leading NUL, and no NUL at the end: as Go writes such a name.
            Some(rest) => SockAddr::unix(std::ffi::OsStr::from_bytes(&[b"\0", rest].concat())),
            None => SockAddr::unix(name),
        }
    }

    /// Whether a socket has this abstract name: it has no file.
    fn is_bound(name: &Path) -> bool {
        let end = format!(" {}", name.display());
        std::fs::read_to_string("/proc/net/unix")
            .is_ok_and(|table| table.lines().any(|line| line.ends_with(&end)))
    }

    /// Which user and which mode to look at.
    fn why_denied(name: &Path) -> String {
        let me = format!("user {}, group {}", geteuid().as_raw(), getegid().as_raw());
        match std::fs::metadata(name) {
            Ok(file) => format!(
                "permission denied: tidegate runs as {me}, and may not write to the socket, which has mode {:04o}, \
                 user {}, group {}",
                file.mode() & 0o777,
                file.uid(),
                file.gid()
            ),
            Err(_) => format!(
                "permission denied: tidegate runs as {me}, and may not enter a folder on the way to the socket"
            ),
        }
    }
}
