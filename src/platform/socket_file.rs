//! A unix socket that is listened on, and its file: made with a mode, in the place of a stale one, removed at the end.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, RawMode, chmod, lstat};
use socket2::{Domain, SockAddr, Socket, Type};

use super::BACKLOG;

/// Binds `path` with this mode, in the place of a socket on which nobody listens any more, and listens.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    let addr = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if let Err(error) = socket.bind(&addr) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(named(path, error));
        }
        remove_stale(path, &addr)?;
        socket.bind(&addr)?;
    }
    let file = SocketFile::of(path)?;
    // Between bind and listen nobody can connect, so the mode is never too wide.
    chmod(path, Mode::from_raw_mode(mode as RawMode))?;
    socket.listen(BACKLOG)?;
    Ok((file, socket.into()))
}

/// Says which directory is missing, where the system says only that something is.
fn named(path: &Path, error: io::Error) -> io::Error {
    match path.parent() {
        Some(dir) if error.kind() == io::ErrorKind::NotFound => io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no directory {}: make it first", dir.display()),
        ),
        _ => error,
    }
}

fn remove_stale(path: &Path, addr: &SockAddr) -> io::Result<()> {
    if FileType::from_raw_mode(lstat(path)?.st_mode) != FileType::Socket {
        let message =
            "there is a file of this name, which is no socket: move it, or listen elsewhere";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose queue is full must not make this wait.
    probe.set_nonblocking(true)?;
    match probe.connect(addr) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

/// The socket's file, removed when this is dropped; not the one that another process may have put in its place.
///
/// It is to be dropped before its socket is closed: until then the inode cannot become another file's, and whoever
/// wants the path finds it in use.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            id: id(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            // What stays is stale, and the next start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode. Their types differ between systems, and are at most 64 bits wide.
#[allow(clippy::unnecessary_cast)]
fn id(path: &Path) -> io::Result<(u64, u64)> {
    let stat = lstat(path)?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}
