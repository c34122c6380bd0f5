//! A Thrift server that does what its script says, and counts.

use crate::body;
use crate::header::Header;
use crate::script::{Act, Call, OnAccept, Options, Seen};
use crate::wire::{Message, Reader, kind};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{AbortHandle, JoinSet};

impl Options {
    /// Starts it.
    pub async fn start(self) -> io::Result<Server> {
        let listener = TcpListener::bind(self.listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options: self,
            seen: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Server {
            address,
            shared,
            accepting,
        })
    }
}

/// A running server; it stops when dropped, its connections with it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Server {
    /// One that does `act` for every call, on a free loopback port.
    pub async fn start(act: Act) -> io::Result<Self> {
        Options::always(act).start().await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    /// How many calls it has seen so far.
    pub fn calls(&self) -> u64 {
        self.shared.seen().calls
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Debug)]
struct Shared {
    options: Options,
    seen: Mutex<Seen>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and asks the script.
    fn count(&self, message: &Message, connection: u64) -> Act {
        let nth = {
            let mut seen = self.seen();
            let nth = seen.calls;
            seen.calls += 1;
            *seen.methods.entry(message.method.clone()).or_default() += 1;
            if seen.messages.len() == 1024 {
                seen.messages.remove(0);
            }
            seen.messages.push(message.clone());
            nth
        };
        (self.options.script)(&Call {
            message: message.clone(),
            nth,
            connection,
        })
    }
}

/// Accepts until aborted; the connections live in its set, and so end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let nth = {
                    let mut seen = shared.seen();
                    seen.connections += 1;
                    seen.open += 1;
                    seen.connections - 1
                };
                let open = Open(Arc::clone(&shared));
                connections.spawn(async move { serve(stream, &open.0, nth).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open until it goes.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.seen().open -= 1;
    }
}

/// What becomes of a connection after an act.
enum Then {
    Continue,
    Close,
    Reset,
    Idle,
}

async fn serve(stream: TcpStream, shared: &Arc<Shared>, nth: u64) {
    match shared.options.on_accept {
        OnAccept::Serve => {}
        OnAccept::Close => return,
        OnAccept::Reset => return drop(stream.set_zero_linger()),
        OnAccept::Ignore => return std::future::pending().await,
    }
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let mut connection = Connection {
        reader: Reader::new(read),
        writer: Arc::new(AsyncMutex::new(write)),
        answers: JoinSet::new(),
        nth,
    };
    if let Then::Reset = connection.run(shared).await {
        connection.reset().await;
    }
}

struct Connection {
    reader: Reader<OwnedReadHalf>,
    writer: Arc<AsyncMutex<OwnedWriteHalf>>,
    /// Calls of a multiplexing client, answered as they end.
    answers: JoinSet<Then>,
    nth: u64,
}

impl Connection {
    async fn run(&mut self, shared: &Shared) -> Then {
        loop {
            let message = match self.next(shared).await {
                Ok(Some(message)) => message,
                Ok(None) => return Then::Close,
                Err(then) => return then,
            };
            let act = shared.count(&message, self.nth);
            let answering = answer(message.clone(), act, Arc::clone(&self.writer));
            if message.header.flags & 1 == 1 {
                self.answers.spawn(answering);
                continue;
            }
            let then = tokio::select! {
                then = answering => then,
                () = self.reader.closed() => {
                    shared.seen().left += u64::from(message.kind == kind::CALL);
                    return Then::Close;
                }
            };
            match then {
                Then::Continue => {}
                Then::Idle => {
                    self.reader.closed().await;
                    shared.seen().left += u64::from(message.kind == kind::CALL);
                    return Then::Close;
                }
                end => return end,
            }
        }
    }

    /// Ends it with a RST.
    async fn reset(mut self) {
        self.answers.shutdown().await;
        if let Some(writer) = Arc::into_inner(self.writer) {
            let writer = writer.into_inner();
            let _ = writer.as_ref().set_zero_linger();
            writer.forget(); // its drop would send a FIN first
        }
    }

    /// The next message; `Err` where an answer that ended meanwhile ends the connection.
    async fn next(&mut self, shared: &Shared) -> Result<Option<Message>, Then> {
        let idle = shared.options.idle;
        let silence = async {
            match idle {
                Some(idle) => tokio::time::sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(silence);
        loop {
            tokio::select! {
                message = self.reader.next() => {
                    if message.is_err() {
                        shared.seen().broken += 1;
                    }
                    return message.or(Err(Then::Close));
                }
                Some(ended) = self.answers.join_next() => match ended {
                    Ok(Then::Continue | Then::Idle) | Err(_) => {}
                    Ok(end) => return Err(end),
                },
                () = &mut silence => return Ok(None),
            }
        }
    }
}

/// Does one act.
async fn answer(call: Message, act: Act, writer: Arc<AsyncMutex<OwnedWriteHalf>>) -> Then {
    let done = match act {
        Act::Close => return Then::Close,
        Act::Reset => return Then::Reset,
        Act::Silence => return Then::Idle,
        Act::Garbage(bytes) => writer
            .lock()
            .await
            .write_all(&bytes)
            .await
            .map(|()| Then::Continue),
        act if call.kind == kind::ONEWAY => {
            match act {
                Act::Delay(pause) => tokio::time::sleep(pause).await,
                Act::Gate(gate) => gate.opened().await,
                _ => {}
            }
            return Then::Continue;
        }
        act => write(&call, act, &writer).await,
    };
    done.unwrap_or(Then::Close)
}

/// Does an act that writes an answer, or some of it.
async fn write(call: &Message, act: Act, writer: &AsyncMutex<OwnedWriteHalf>) -> io::Result<Then> {
    let mut echo = call.answer(kind::REPLY, body::echo(&call.body)?);
    match &act {
        Act::Exception(of, message) => {
            echo.kind = kind::EXCEPTION;
            echo.body = body::exception(*of, message);
        }
        Act::Declared(code, reason) => echo.body = body::declared(*code, reason),
        Act::Big(size) => echo.body = body::text(0, &"b".repeat(*size)),
        Act::WrongSeqid => {
            echo.seqid = echo.seqid.wrapping_add(1);
            echo.header.seqid = echo.header.seqid.map(|id| id.wrapping_add(1));
        }
        Act::WrongHeaderSeqid => {
            echo.header.seqid = echo.header.seqid.map(|id| id.wrapping_add(1));
        }
        Act::Keys(keys) => {
            echo.header = keys.iter().fold(echo.header, |header, (key, value)| {
                header.string(key, value)
            });
        }
        Act::Delay(pause) => tokio::time::sleep(*pause).await,
        Act::Gate(gate) => gate.opened().await,
        _ => {}
    }
    let bytes = echo.encode();
    let half = bytes.len() / 2;
    let mut out = writer.lock().await;
    match act {
        Act::Drip(size, pause) => {
            for chunk in bytes.chunks(size.max(1)) {
                out.write_all(chunk).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Act::Half | Act::HalfSilence => out.write_all(&bytes[..half]).await?,
        Act::EchoControl => out.write_all(&[&bytes[..], &control()].concat()).await?,
        Act::ControlEcho => out.write_all(&[&control()[..], &bytes].concat()).await?,
        _ => out.write_all(&bytes).await?,
    }
    Ok(match act {
        Act::Half | Act::EchoClose => Then::Close,
        Act::HalfSilence => Then::Idle,
        _ => Then::Continue,
    })
}

/// The frame with which a stopping multiplexing server tells its clients to go elsewhere.
pub fn control() -> Bytes {
    let mut frame = Message::call(crate::Framing::TtHeader, "none", 0, body::empty());
    frame.kind = kind::REPLY;
    frame.header = Header::default().string("crrst", "1");
    frame.encode()
}
