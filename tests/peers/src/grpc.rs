//! tonic's server and client of a small echo service, written by hand: no `protoc`, no generated code.

use bytes::Bytes;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

const ECHO: &str = "/peers.Echo/Echo";
const CHAT: &str = "/peers.Echo/Chat";

/// The one message, in both directions.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Text {
    /// What is echoed.
    #[prost(bytes = "bytes", tag = "1")]
    pub text: Bytes,
}

type Codec = ProstCodec<Text, Text>;

/// A tonic server of `peers.Echo`: unary `Echo`, bidirectional `Chat`. It accepts nothing more when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    serving: AbortHandle,
}

impl Server {
    /// On a free loopback port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder();
        let serving = tokio::spawn(async move {
            server
                .serve_with_incoming(service_fn(serve), incoming)
                .await
        });
        Ok(Self {
            address,
            serving: serving.abort_handle(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
    let mut grpc = tonic::server::Grpc::new(Codec::default());
    Ok(match request.uri().path() {
        ECHO => grpc.unary(service_fn(echo), request).await,
        CHAT => grpc.streaming(service_fn(chat), request).await,
        path => Status::unimplemented(path.to_owned()).into_http(),
    })
}

async fn echo(request: Request<Text>) -> Result<Response<Text>, Status> {
    Ok(Response::new(request.into_inner()))
}

async fn chat(request: Request<Streaming<Text>>) -> Result<Response<Streaming<Text>>, Status> {
    Ok(Response::new(request.into_inner()))
}

/// A tonic client of `peers.Echo`.
#[derive(Debug, Clone)]
pub struct Client(tonic::client::Grpc<Channel>);

impl Client {
    /// Connects.
    pub async fn connect(to: SocketAddr) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(format!("http://{to}"))?
            .connect()
            .await?;
        Ok(Self(tonic::client::Grpc::new(channel)))
    }

    /// One call of `Echo`.
    pub async fn echo(&mut self, text: &'static str) -> Result<Bytes, Status> {
        self.call(ECHO, text).await
    }

    /// One call of a method that the server does not have.
    pub async fn missing(&mut self) -> Result<Bytes, Status> {
        self.call("/peers.Echo/Missing", "").await
    }

    async fn call(&mut self, path: &'static str, text: &'static str) -> Result<Bytes, Status> {
        self.ready().await?;
        let text = Text {
            text: Bytes::from_static(text.as_bytes()),
        };
        let path = http::uri::PathAndQuery::from_static(path);
        let answer = self
            .0
            .unary(Request::new(text), path, Codec::default())
            .await?;
        Ok(answer.into_inner().text)
    }

    /// One stream of `Chat`: sends all of `texts`, returns what came back.
    pub async fn chat(
        &mut self,
        texts: impl Stream<Item = Text> + Send + 'static,
    ) -> Result<Vec<Text>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static(CHAT);
        let answers = self
            .0
            .streaming(Request::new(texts), path, Codec::default())
            .await?;
        answers.into_inner().collect::<Result<Vec<_>, _>>().await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0
            .ready()
            .await
            .map_err(|e| Status::unavailable(e.to_string()))
    }
}
