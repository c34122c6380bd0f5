//! The admin address as a unix socket: a file that only its owner may connect to.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, chmod, lstat};
use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};

use crate::platform::BACKLOG;

/// A socket bound to a path.
#[derive(Debug)]
pub(super) struct Socket {
    socket: socket2::Socket,
    file: OwnFile,
}

impl Socket {
    /// Binds `path` with mode 0600, in the place of a socket on which nobody listens any more.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let addr = SockAddr::unix(path)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Err(error) = socket.bind(&addr) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error);
            }
            remove_stale(path, &addr)?;
            socket.bind(&addr)?;
        }
        let file = OwnFile::of(path)?;
        // Between bind and listen nobody can connect, so the mode is never too wide.
        chmod(path, Mode::RUSR | Mode::WUSR)?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket, file })
    }

    /// Inside a runtime.
    pub(super) fn listen(self) -> io::Result<Listener> {
        Ok(Listener {
            listener: UnixListener::from_std(self.socket.into())?,
            _file: self.file,
        })
    }
}

/// A socket that is served.
pub(super) struct Listener {
    listener: UnixListener,
    _file: OwnFile,
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _peer)| stream)
    }
}

fn remove_stale(path: &Path, addr: &SockAddr) -> io::Result<()> {
    if FileType::from_raw_mode(lstat(path)?.st_mode) != FileType::Socket {
        let message =
            "there is a file of this name, which is no socket: move it, or listen elsewhere";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
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

/// The socket's file, removed with it; not the one that another process may have put in its place.
#[derive(Debug)]
struct OwnFile {
    path: PathBuf,
    id: (u64, u64),
}

impl OwnFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            id: id(path)?,
        })
    }
}

impl Drop for OwnFile {
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
