//! Sockets and connections: accept, bound, serve, end.
//!
//! Everything has a limit, so that a slow or broken client holds one of [`CONNECTIONS`] places, and
//! that not for long: [`PATIENCE`] for a head or a body, [`LIFE`] for the whole connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::Face;
use super::guard::Hosts;
use super::{Control, Routes};
use crate::config::ListenAddr;
use crate::platform::{self, Side};

/// Connections at once; more wait in the kernel's queue.
pub(super) const CONNECTIONS: usize = 64;

/// From a connection's begin, or its last answer, to the end of a request's head; and from there to
/// the end of its body.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// After so long a connection takes no further request.
const LIFE: Duration = Duration::from_secs(30);

/// What an answer under way has left once its connection has lived that long.
const GRACE: Duration = Duration::from_secs(10);

/// What all of them have left once the server stops.
const LAST: Duration = Duration::from_secs(2);

/// The largest head of a request, in bytes.
const HEAD: usize = 64 << 10;

/// Between two tries to accept when the system refuses, for lack of descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound admin socket, not served yet.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    addr: ListenAddr,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(super::unix::Socket),
}

impl Server {
    /// Binds the address. A unix socket gets mode 0600; one that a dead process left behind is
    /// replaced.
    ///
    /// # Errors
    ///
    /// The system's own; [`io::ErrorKind::AddrInUse`] where somebody listens;
    /// [`io::ErrorKind::AlreadyExists`] where the path is something else than a socket;
    /// [`io::ErrorKind::Unsupported`] for a unix socket on a system without.
    pub fn bind(addr: &ListenAddr) -> io::Result<Self> {
        match addr {
            ListenAddr::Tcp(addr) => {
                let socket = platform::bind(*addr)?;
                let addr = ListenAddr::Tcp(socket.local_addr()?);
                let socket = Socket::Tcp(socket);
                Ok(Self { socket, addr })
            }
            #[cfg(unix)]
            ListenAddr::Unix(path) => Ok(Self {
                socket: Socket::Unix(super::unix::Socket::bind(path)?),
                addr: addr.clone(),
            }),
            #[cfg(not(unix))]
            ListenAddr::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system has no unix sockets: write a loopback address",
            )),
        }
    }

    /// Where it listens, as the config writes it: with the real port where that was 0.
    pub fn local_addr(&self) -> String {
        self.addr.to_string()
    }

    /// Serves until `stop` resolves. Answers under way then have two seconds more.
    pub async fn serve(
        self,
        control: Arc<dyn Control>,
        routes: Routes,
        stop: impl Future<Output = ()>,
    ) {
        let hosts = match (&self.addr, routes) {
            (ListenAddr::Tcp(addr), Routes::Everything) => Hosts::Own(addr.ip()),
            _ => Hosts::Any,
        };
        let face = Arc::new(Face::new(control, routes, hosts));
        let name = self.local_addr();
        match Listener::new(self.socket) {
            Ok(listener) => serve(listener, face, stop).await,
            Err(error) => tracing::error!(admin.addr = name, "cannot serve: {error}"),
        }
    }
}

async fn serve(listener: Listener, face: Arc<Face>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_ended) = connections.join_next() => {}
            stream = listener.next(), if connections.len() < CONNECTIONS => {
                connections.spawn(connection(stream, face.clone(), closing.clone()));
            }
        }
    }
    drop(listener);
    closing.cancel();
    // Whatever is left after that ends with the set.
    let _ = timeout(LAST, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn connection(stream: Box<dyn Stream>, face: Arc<Face>, closing: CancellationToken) {
    let service = service_fn(move |request| {
        let face = face.clone();
        async move { Ok::<_, Infallible>(face.answer(request).await) }
    });
    let mut http = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = http.as_mut() => Some(ended),
        () = sleep(LIFE) => None,
        () = closing.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            http.as_mut().graceful_shutdown();
            timeout(GRACE, http).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("admin connection ended: {error}"),
        Err(_) => tracing::debug!("admin connection cut: its answer was not read in time"),
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(super::unix::Listener),
}

impl Listener {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.listen().map(Self::Unix),
        }
    }

    /// The next connection. Dropping the future loses none.
    async fn next(&self) -> Box<dyn Stream> {
        loop {
            match self.accept().await {
                Ok(stream) => return stream,
                Err(error) => {
                    tracing::warn!("the admin address cannot accept: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer): (_, SocketAddr) = listener.accept().await?;
                // A connection that is dead already refuses it: reading will tell.
                let _ = platform::tune_stream(&stream, Side::Client);
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener) => listener.accept().await.map(|stream| Box::new(stream) as _),
        }
    }
}
