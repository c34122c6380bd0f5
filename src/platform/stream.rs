//! A connection of either kind: TCP, or a unix socket of this host.
//!
//! One match per read and write, nothing boxed; where there are no unix sockets there is one kind, and no match.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

use super::{Side, tune_stream};

/// What is done with either kind.
macro_rules! either {
    ($which:expr, $it:ident => $done:expr) => {
        match $which {
            Self::Tcp($it) => $done,
            #[cfg(unix)]
            Self::Unix($it) => $done,
        }
    };
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

/// The reading end of a [`Stream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// Over TCP.
    Tcp(tcp::OwnedReadHalf),
    /// Over a unix socket.
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
}

/// The writing end of a [`Stream`]. Dropped, it sends a FIN.
#[derive(Debug)]
pub enum WriteHalf {
    /// Over TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// Over a unix socket.
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The one at this address.
    Tcp(SocketAddr),
    /// Somebody on this host, over a unix socket: such a connection has no source address.
    Unix,
}

impl Peer {
    /// Its address; `None` over a unix socket.
    #[must_use]
    pub fn addr(self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(addr),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl Stream {
    /// Prepares a connection, see [`tune_stream`]. A unix socket needs nothing: no delay, no dead host.
    ///
    /// # Errors
    /// The system's own; on a connection that is already dead some systems refuse every option.
    pub fn tune(&self, side: Side) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => tune_stream(stream, side),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
        }
    }

    /// This end's address; `None` for a unix socket, and where the system does not say.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// The other end's address; `None` for a unix socket, and where the system does not say.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Whether the runtime has seen something come in; if not, the task is woken when it does.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    /// Its two ends.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
        }
    }
}

impl ReadHalf {
    /// The connection again; `None` where the two ends are not of the same one.
    pub fn reunite(self, write: WriteHalf) -> Option<Stream> {
        match (self, write) {
            (Self::Tcp(read), WriteHalf::Tcp(write)) => read.reunite(write).ok().map(Stream::Tcp),
            #[cfg(unix)]
            (Self::Unix(read), WriteHalf::Unix(write)) => {
                read.reunite(write).ok().map(Stream::Unix)
            }
            #[cfg(unix)]
            _ => None,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Stream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Stream {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        either!(self, stream => stream.as_socket())
    }
}

macro_rules! readable {
    ($end:ty) => {
        impl AsyncRead for $end {
            #[inline]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                either!(self.get_mut(), end => Pin::new(end).poll_read(cx, buf))
            }
        }
    };
}

macro_rules! writable {
    ($end:ty) => {
        impl AsyncWrite for $end {
            #[inline]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                either!(self.get_mut(), end => Pin::new(end).poll_write(cx, bytes))
            }

            #[inline]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                either!(self.get_mut(), end => Pin::new(end).poll_write_vectored(cx, slices))
            }

            fn is_write_vectored(&self) -> bool {
                either!(self, end => end.is_write_vectored())
            }

            #[inline]
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                either!(self.get_mut(), end => Pin::new(end).poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                either!(self.get_mut(), end => Pin::new(end).poll_shutdown(cx))
            }
        }
    };
}

readable!(Stream);
readable!(ReadHalf);
writable!(Stream);
writable!(WriteHalf);
