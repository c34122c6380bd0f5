//! Thrift clients that say exactly what a test tells them to.

use crate::body::{self, bad};
use crate::header::Header;
use crate::wire::{Framing, Message, Reader, kind};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::AbortHandle;

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A result with a text in field 0.
    Text(String),
    /// A result without fields.
    Void,
    /// A result whose first field is not 0: a declared exception of a code and a reason.
    Declared(i32, String),
    /// An application exception: its type and its message.
    Exception(i32, String),
}

impl Answer {
    /// Reads a reply or an exception.
    pub fn of(message: &Message) -> io::Result<Self> {
        let body = &message.body;
        match message.kind {
            kind::EXCEPTION => {
                let text = body::field(body, 1)?
                    .and_then(|f| f.as_text())
                    .unwrap_or_default();
                let of = body::field(body, 2)?
                    .and_then(|f| f.as_i32())
                    .unwrap_or_default();
                Ok(Self::Exception(of, text))
            }
            kind::REPLY => Self::of_result(body),
            _ => Err(bad("an answer that is neither reply nor exception")),
        }
    }

    fn of_result(result: &[u8]) -> io::Result<Self> {
        if let Some(text) = body::field(result, 0)? {
            let text = text
                .as_text()
                .ok_or_else(|| bad("a result that is no text"))?;
            return Ok(Self::Text(text));
        }
        let Some(declared) = body::field(result, 1)? else {
            return Ok(Self::Void);
        };
        let code = body::field(declared.value, 1)?
            .and_then(|f| f.as_i32())
            .unwrap_or_default();
        let reason = body::field(declared.value, 2)?
            .and_then(|f| f.as_text())
            .unwrap_or_default();
        Ok(Self::Declared(code, reason))
    }
}

/// One connection, one call at a time. Dropping it closes the connection.
#[derive(Debug)]
pub struct Client {
    reader: Reader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    framing: Framing,
    header: Header,
    seqid: i32,
}

impl Client {
    /// Connects.
    pub async fn connect(to: SocketAddr, framing: Framing) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (read, writer) = stream.into_split();
        let (reader, header) = (Reader::new(read), Header::default());
        Ok(Self {
            reader,
            writer,
            framing,
            header,
            seqid: 0,
        })
    }

    /// Puts this header on every later call.
    #[must_use]
    pub fn with_header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// Numbers its calls from the one after this.
    #[must_use]
    pub fn after_seqid(mut self, seqid: i32) -> Self {
        self.seqid = seqid;
        self
    }

    /// Calls `method` with a text and waits for the answer. An end of the connection is an `UnexpectedEof`, an answer
    /// with another call's number or method `InvalidData`.
    pub async fn call(&mut self, method: &str, text: &str) -> io::Result<Answer> {
        self.call_with(method, body::text(1, text)).await
    }

    /// The same with any arguments.
    pub async fn call_with(&mut self, method: &str, arguments: Bytes) -> io::Result<Answer> {
        let call = self.next(method, arguments);
        self.send(&call).await?;
        let answer = self.receive().await?;
        if (answer.seqid, answer.id()) != (call.seqid, call.id()) {
            return Err(bad(&format!(
                "seqid {} answered with {}",
                call.seqid, answer.seqid
            )));
        }
        if answer.method != call.method {
            return Err(bad(&format!(
                "{} answered with {}",
                call.method, answer.method
            )));
        }
        Answer::of(&answer)
    }

    /// Sends a oneway call.
    pub async fn oneway(&mut self, method: &str, text: &str) -> io::Result<()> {
        let mut call = self.next(method, body::text(1, text));
        call.kind = kind::ONEWAY;
        self.send(&call).await
    }

    /// The next call, numbered, with this client's framing and header; not sent.
    pub fn next(&mut self, method: &str, arguments: Bytes) -> Message {
        self.seqid = self.seqid.wrapping_add(1);
        let mut call = Message::call(self.framing, method, self.seqid, arguments);
        call.header = self.header.clone();
        call
    }

    /// Sends one message.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.send_bytes(&message.encode()).await
    }

    /// Sends any bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// The next message, whatever it is; an end of the connection is an `UnexpectedEof`.
    pub async fn receive(&mut self) -> io::Result<Message> {
        self.receive_or_end()
            .await?
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed"))
    }

    /// The next message, or `None` where the peer closed between messages.
    pub async fn receive_or_end(&mut self) -> io::Result<Option<Message>> {
        self.reader.next().await
    }

    /// Shuts down writing (FIN) and keeps reading.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }

    /// Ends the connection with a reset (RST); a plain drop ends it with a FIN.
    pub fn reset(self) -> io::Result<()> {
        self.writer.as_ref().set_zero_linger()?;
        self.writer.forget(); // its drop would send a FIN first
        Ok(())
    }

    /// Whether the connection is open, as far as is known, and nothing has arrived on it.
    pub fn is_quiet(&self) -> bool {
        let read = self.reader.get_ref().try_read(&mut [0]);
        read.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection's own address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.writer.local_addr()
    }
}

type Waiting = Mutex<HashMap<i32, oneshot::Sender<Message>>>;

/// One connection with many calls in flight, in TTHeader, as a multiplexing Kitex client sends them: answers are
/// matched by TTHeader's number.
#[derive(Debug)]
pub struct MuxClient {
    writer: AsyncMutex<OwnedWriteHalf>,
    waiting: Arc<Waiting>,
    reading: AbortHandle,
    framing: Framing,
    header: Header,
    seqid: AtomicI32,
}

impl MuxClient {
    /// Connects; `framing` is one with a TTHeader.
    pub async fn connect(to: SocketAddr, framing: Framing) -> io::Result<Self> {
        if !framing.has_header() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "multiplexing wants a TTHeader",
            ));
        }
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let waiting = Arc::<Waiting>::default();
        let reading = tokio::spawn(deliver(Reader::new(read), Arc::clone(&waiting))).abort_handle();
        let (writer, seqid) = (AsyncMutex::new(write), AtomicI32::new(0));
        let header = Header::default().out_of_order();
        Ok(Self {
            writer,
            waiting,
            reading,
            framing,
            header,
            seqid,
        })
    }

    /// Puts this header on every later call, with the flag of a multiplexing client.
    #[must_use]
    pub fn with_header(mut self, header: Header) -> Self {
        self.header = header.out_of_order();
        self
    }

    /// Calls `method` with a text; any number of these may be in flight. An end of the connection is a
    /// `ConnectionAborted`.
    pub async fn call(&self, method: &str, text: &str) -> io::Result<Answer> {
        self.call_with(method, body::text(1, text)).await
    }

    /// The same with any arguments.
    pub async fn call_with(&self, method: &str, arguments: Bytes) -> io::Result<Answer> {
        let seqid = self.seqid.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut call = Message::call(self.framing, method, seqid, arguments);
        call.header = self.header.clone();
        let (send, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(seqid, send);
        if self.reading.is_finished() {
            return Err(aborted());
        }
        self.writer.lock().await.write_all(&call.encode()).await?;
        Answer::of(&answer.await.map_err(|_| aborted())?)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.reading.is_finished()
    }
}

impl Drop for MuxClient {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Gives each answer to its call until the connection ends; the calls left over then learn that.
async fn deliver(mut reader: Reader<OwnedReadHalf>, waiting: Arc<Waiting>) {
    let table = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok(Some(answer)) = reader.next().await {
        let waiter = table().remove(&answer.id());
        if let Some(waiter) = waiter {
            let _ = waiter.send(answer);
        }
    }
    table().clear();
}

fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection ended")
}
