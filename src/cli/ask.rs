//! Asking a running tidegate over its admin address.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::ListenAddr;

/// A reload binds sockets and reads registries before it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of an answer, in bytes.
const LARGEST: usize = 64 << 20;

/// What the running one said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum NoAnswer {
    #[error(
        "nobody listens at {admin} ({cause}): is tidegate running, and is this its [admin] address?"
    )]
    Connect { admin: ListenAddr, cause: io::Error },
    #[error("{admin} gave no answer within {} s", PATIENCE.as_secs())]
    Silent { admin: ListenAddr },
    #[error("{admin} gave no answer to {path} ({cause}): is it tidegate that listens there?")]
    Broken {
        admin: ListenAddr,
        path: String,
        cause: String,
    },
    #[error("could not begin: {0}")]
    Runtime(io::Error),
}

/// Sends a request with no body, and waits for the whole answer.
pub(super) fn ask(admin: &ListenAddr, method: &Method, path: &str) -> Result<Answer, NoAnswer> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NoAnswer::Runtime)?
        .block_on(ask_within(admin, method, path))
}

pub(super) async fn ask_within(
    admin: &ListenAddr,
    method: &Method,
    path: &str,
) -> Result<Answer, NoAnswer> {
    let silent = |_| NoAnswer::Silent {
        admin: admin.clone(),
    };
    timeout(PATIENCE, connect_and_ask(admin, method, path))
        .await
        .map_err(silent)?
}

async fn connect_and_ask(
    admin: &ListenAddr,
    method: &Method,
    path: &str,
) -> Result<Answer, NoAnswer> {
    let unreachable = |cause| NoAnswer::Connect {
        admin: admin.clone(),
        cause,
    };
    let answer = match admin {
        ListenAddr::Tcp(addr) => {
            let stream = TcpStream::connect(addr).await.map_err(unreachable)?;
            exchange(stream, &addr.to_string(), method, path).await
        }
        #[cfg(unix)]
        ListenAddr::Unix(socket) => {
            let stream = tokio::net::UnixStream::connect(socket).await;
            exchange(stream.map_err(unreachable)?, "localhost", method, path).await
        }
        #[cfg(not(unix))]
        ListenAddr::Unix(_) => return Err(unreachable(io::ErrorKind::Unsupported.into())),
    };
    answer.map_err(|cause| NoAnswer::Broken {
        admin: admin.clone(),
        path: path.into(),
        cause,
    })
}

/// One request over a connection of its own.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    method: &Method,
    path: &str,
) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer {
            status,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
    tokio::pin!(connection);
    tokio::pin!(answer);
    // The connection's future moves the bytes; its own end, good or bad, ends the answer as well.
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}
