//! Sockets and connections: accept, bound, serve, end.
//!
//! Everything has a limit, so that a slow or broken client holds one of [`CONNECTIONS`] places, and
//! that not for long: [`PATIENCE`] for a head or a body, [`LIFE`] for the whole connection.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::Face;
use super::guard::Hosts;
use super::{Control, Routes};
use crate::config::ListenAddr;
use crate::listener;
use crate::platform::{Bound, Listener, Side, Stream};

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

/// The mode of its unix socket: its owner may connect.
const MODE: u32 = 0o600;

/// A bound admin socket, not served yet.
#[derive(Debug)]
pub struct Server {
    socket: Bound,
    addr: ListenAddr,
}

impl Server {
    /// Binds the address. A unix socket gets mode 0600; one that a dead process left behind is
    /// replaced.
    ///
    /// # Errors
    ///
    /// See [`Bound::tcp`] and [`Bound::unix`].
    pub fn bind(addr: &ListenAddr) -> io::Result<Self> {
        let (addr, socket) = listener::bind(addr, MODE)?;
        Ok(Self { socket, addr })
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
        match self.socket.listen() {
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
            stream = next(&listener), if connections.len() < CONNECTIONS => {
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

async fn connection(stream: Stream, face: Arc<Face>, closing: CancellationToken) {
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

/// The next connection. Dropping the future loses none.
async fn next(listener: &Listener) -> Stream {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                // A connection that is dead already refuses it: reading will tell.
                let _ = stream.tune(Side::Client);
                return stream;
            }
            Err(error) => {
                tracing::warn!("the admin address cannot accept: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}
