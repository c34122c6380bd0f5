//! volo-thrift's server and client of `EchoService`.

use crate::generated::echo::echo::{
    EchoService, EchoServiceClient, EchoServiceClientBuilder, EchoServiceFailException,
    EchoServiceServer, Refused,
};
use metainfo::{Forward, METAINFO, MetaInfo};
use pilota::FastStr;
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use volo::net::incoming::DefaultIncoming;
use volo_thrift::codec::default::DefaultMakeCodec;
use volo_thrift::codec::default::thrift::MakeThriftCodec;
use volo_thrift::codec::default::ttheader::MakeTTHeaderCodec;
use volo_thrift::{
    ApplicationException, ApplicationExceptionKind, ClientError, MaybeException, ServerError,
};

/// The text that makes the server's handler fail with an application exception.
pub const UNWELL: &str = "unwell";
/// The code of the exception that `Fail` declares.
pub const REFUSED: i32 = 7;

/// How a client puts its calls on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// A length, then the message.
    Framed,
    /// The message alone.
    Buffered,
    /// TTHeader, then the message alone.
    TtHeader,
    /// TTHeader, then a length, then the message.
    TtHeaderFramed,
}

impl Framing {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Framed,
        Self::Buffered,
        Self::TtHeader,
        Self::TtHeaderFramed,
    ];
}

/// A volo server in a runtime of its own; it stops when dropped, its connections with it. It tells a call's framing
/// by its bytes.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    oneways: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Server {
    /// One call after another on each connection, on a free loopback port.
    pub fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), false)
    }

    /// Many calls in flight on each connection, all in TTHeader.
    pub fn start_multiplexed() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), true)
    }

    /// `Echo` answers with `name`; where there is a `next`, it calls that first and answers `name > …`. The call's
    /// persistent metadata travels on by itself, as it does in Kitex.
    pub fn start_named(name: &str, next: Option<Client>) -> io::Result<Self> {
        let handler = Handler {
            name: Some(FastStr::new(name)),
            next,
            ..Handler::default()
        };
        Self::start_with((Ipv4Addr::LOCALHOST, 0).into(), false, handler)
    }

    /// At this address.
    pub fn start_on(listen: SocketAddr, multiplexed: bool) -> io::Result<Self> {
        Self::start_with(listen, multiplexed, Handler::default())
    }

    fn start_with(listen: SocketAddr, multiplexed: bool, handler: Handler) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (calls, oneways) = (Arc::clone(&handler.calls), Arc::clone(&handler.oneways));
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let incoming = {
            let _inside = runtime.enter();
            DefaultIncoming::from(TcpListener::from_std(listener)?)
        };
        runtime.spawn(async move {
            let server = EchoServiceServer::new(handler);
            #[allow(deprecated)]
            let served = server.multiplex(multiplexed).run(incoming).await;
            assert!(served.is_ok(), "the volo server ended: {served:?}");
        });
        Ok(Self {
            address,
            calls,
            oneways,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls that reached the handler, oneway ones included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Oneway calls that reached the handler.
    pub fn oneways(&self) -> u64 {
        self.oneways.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug, Default)]
struct Handler {
    calls: Arc<AtomicU64>,
    oneways: Arc<AtomicU64>,
    name: Option<FastStr>,
    next: Option<Client>,
}

impl Handler {
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl EchoService for Handler {
    async fn echo(&self, message: FastStr) -> Result<FastStr, ServerError> {
        self.count();
        if message == UNWELL {
            let kind = ApplicationExceptionKind::INTERNAL_ERROR;
            return Err(ApplicationException::new(kind, "the handler is unwell").into());
        }
        let Some(name) = self.name.clone() else {
            return Ok(message);
        };
        match &self.next {
            None => Ok(name),
            Some(next) => {
                let rest = next.0.echo(message).await.map_err(|error| {
                    let kind = ApplicationExceptionKind::INTERNAL_ERROR;
                    ApplicationException::new(kind, format!("{name} > {error}"))
                })?;
                Ok(format!("{name} > {rest}").into())
            }
        }
    }

    async fn notify(&self, _message: FastStr) -> Result<(), ServerError> {
        self.count();
        self.oneways.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn ping(&self) -> Result<(), ServerError> {
        self.count();
        Ok(())
    }

    async fn fail(
        &self,
        message: FastStr,
    ) -> Result<MaybeException<FastStr, EchoServiceFailException>, ServerError> {
        self.count();
        let refused = Refused {
            code: REFUSED,
            reason: message,
        };
        Ok(MaybeException::Exception(
            EchoServiceFailException::Refused(refused),
        ))
    }

    async fn slow(&self, message: FastStr, delay_ms: i32) -> Result<FastStr, ServerError> {
        self.count();
        let delay = Duration::from_millis(delay_ms.try_into().unwrap_or_default());
        tokio::time::sleep(delay).await;
        Ok(message)
    }
}

/// How a call of a [`Client`] failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The declared exception of `Fail`: code and reason.
    Refused(i32, String),
    /// An application exception: type and message.
    Exception(i32, String),
    /// Anything else: connection, protocol, the client's own timeout.
    Other(String),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Application(e) => {
                Self::Exception(e.kind().as_i32(), e.message().to_string())
            }
            other => Self::Other(other.to_string()),
        }
    }
}

/// A volo client; its clones share its connections.
#[derive(Clone)]
pub struct Client(EchoServiceClient);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Calls the service `service` at `to`; `timeout` is the client's own and, with TTHeader, on the wire too.
    pub fn new(service: &str, to: SocketAddr, framing: Framing, timeout: Option<Duration>) -> Self {
        let builder = EchoServiceClientBuilder::new(service)
            .caller_name("peers")
            .rpc_timeout(timeout)
            .read_write_timeout(timeout)
            .address(to);
        Self(match framing {
            Framing::Framed => builder.make_codec(DefaultMakeCodec::framed()).build(),
            Framing::Buffered => builder.make_codec(DefaultMakeCodec::buffered()).build(),
            Framing::TtHeaderFramed => builder
                .make_codec(DefaultMakeCodec::ttheader_framed())
                .build(),
            Framing::TtHeader => {
                let codec = MakeTTHeaderCodec::new(MakeThriftCodec::default());
                builder.make_codec(DefaultMakeCodec::new(codec)).build()
            }
        })
    }

    /// The same with many calls in flight on each connection, in TTHeader (framed).
    pub fn multiplexed(service: &str, to: SocketAddr, timeout: Option<Duration>) -> Self {
        let builder = EchoServiceClientBuilder::new(service)
            .caller_name("peers")
            .rpc_timeout(timeout)
            .address(to);
        #[allow(deprecated)]
        Self(builder.multiplex(true).build())
    }

    /// Calls `Echo`.
    pub async fn echo(&self, message: &str) -> Result<String, Failed> {
        Ok(self.0.echo(FastStr::new(message)).await?.to_string())
    }

    /// Calls `Echo` with persistent metadata, which travels along the whole chain of calls.
    pub async fn echo_marked(&self, key: &str, value: &str) -> Result<String, Failed> {
        let mut mark = MetaInfo::new();
        mark.set_persistent(FastStr::new(key), FastStr::new(value));
        METAINFO.scope(RefCell::new(mark), self.echo("who?")).await
    }

    /// Calls `Slow`.
    pub async fn slow(&self, message: &str, delay_ms: i32) -> Result<String, Failed> {
        Ok(self
            .0
            .slow(FastStr::new(message), delay_ms)
            .await?
            .to_string())
    }

    /// Calls `Fail`.
    pub async fn fail(&self, message: &str) -> Result<String, Failed> {
        match self.0.fail(FastStr::new(message)).await? {
            MaybeException::Ok(answer) => Ok(answer.to_string()),
            MaybeException::Exception(EchoServiceFailException::Refused(refused)) => {
                Err(Failed::Refused(refused.code, refused.reason.to_string()))
            }
        }
    }

    /// Calls `Ping`, which has no result.
    pub async fn ping(&self) -> Result<(), Failed> {
        Ok(self.0.ping().await?)
    }

    /// Calls `Notify`, which has no answer.
    pub async fn notify(&self, message: &str) -> Result<(), Failed> {
        Ok(self.0.notify(FastStr::new(message)).await?)
    }
}
