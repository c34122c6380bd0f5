//! Listening sockets of either kind: bound first, served later, on whichever runtime.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

#[cfg(unix)]
use super::socket_file::{self, SocketFile};
use super::stream::{Peer, Stream};

/// A socket that is bound and listens, and is not served yet: callers wait in the kernel's queue.
#[derive(Debug)]
pub enum Bound {
    /// On a TCP port.
    Tcp(std::net::TcpListener),
    /// On a unix socket, with its file.
    #[cfg(unix)]
    Unix(SocketFile, std::os::unix::net::UnixListener),
}

impl Bound {
    /// Binds a TCP address, see [`bind`](super::bind).
    ///
    /// # Errors
    /// The system's own.
    pub fn tcp(addr: SocketAddr) -> io::Result<Self> {
        super::bind(addr).map(Self::Tcp)
    }

    /// Binds a unix socket at `path`, whose file gets the mode `mode`; one that a dead process left behind is replaced.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] where somebody listens; [`io::ErrorKind::AlreadyExists`] where the path is
    /// something else than a socket, which is left alone; [`io::ErrorKind::NotFound`] where its directory is missing;
    /// [`io::ErrorKind::Unsupported`] on a system without unix sockets; else the system's own.
    pub fn unix(path: &Path, mode: u32) -> io::Result<Self> {
        #[cfg(unix)]
        return socket_file::bind(path, mode).map(|(file, socket)| Self::Unix(file, socket));
        #[cfg(not(unix))]
        return {
            let _ = (path, mode);
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "unix sockets are not supported on Windows",
            ))
        };
    }

    /// The address and the real port; `None` for a unix socket.
    ///
    /// # Errors
    /// The system's own.
    pub fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(..) => Ok(None),
        }
    }

    /// Inside the runtime that is to serve it.
    ///
    /// # Errors
    /// The system's own.
    pub fn listen(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(socket) => TcpListener::from_std(socket).map(Listener::Tcp),
            #[cfg(unix)]
            Self::Unix(file, socket) => {
                UnixListener::from_std(socket).map(|socket| Listener::Unix(file, socket))
            }
        }
    }
}

/// A socket that is served.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a unix socket, with its file.
    // The file stands in front, since it goes first: see [`SocketFile`].
    #[cfg(unix)]
    Unix(SocketFile, UnixListener),
}

impl Listener {
    /// The next connection, not tuned. Dropping the future loses none.
    ///
    /// # Errors
    /// The system's own; [`is_emfile`](super::is_emfile) tells when it is for lack of descriptors.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
            }
            #[cfg(unix)]
            Self::Unix(_, listener) => {
                let (stream, _unnamed) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }

    /// Ends listening; `take` gets those whom the system has let in already, since closing the socket would reset
    /// them. (What tokio knows of the socket is a cache, and may not hold them yet.) The file of a unix socket is gone
    /// before, so that nobody else comes.
    pub fn end(self, mut take: impl FnMut(Stream, Peer)) {
        match self {
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                while let Ok((stream, peer)) = listener.accept() {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        take(stream.into(), Peer::Tcp(peer));
                    }
                }
            }
            #[cfg(unix)]
            Self::Unix(file, listener) => {
                drop(file);
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                while let Ok((stream, _unnamed)) = listener.accept() {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| UnixStream::from_std(stream));
                    if let Ok(stream) = stream {
                        take(stream.into(), Peer::Unix);
                    }
                }
            }
        }
    }
}
