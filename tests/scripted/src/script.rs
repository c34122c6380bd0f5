//! What a scripted server shall do, and what it reports.

use crate::wire::Message;
use bytes::Bytes;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the server does with one call.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with the arguments' first field. A oneway call gets no answer, whatever its act says, but the acts that
    /// end its connection do.
    Echo,
    /// Echoes after this long.
    Delay(Duration),
    /// Echoes once this is open.
    Gate(Gate),
    /// Answers with a result whose field 0 is a string of this many bytes.
    Big(usize),
    /// An application exception of this type.
    Exception(i32, String),
    /// The method's declared exception (field 1 of the result), of a code and a reason.
    Declared(i32, String),
    /// Echoes, with these string keys in the TTHeader (`crrst`, `biz-status`, …).
    Keys(Vec<(String, String)>),
    /// Echoes with all its sequence numbers one too high.
    WrongSeqid,
    /// Echoes with the TTHeader's sequence number one too high, and the message's own right.
    WrongHeaderSeqid,
    /// Echoes, this many bytes at a time, with this pause in between.
    Drip(usize, Duration),
    /// Writes these bytes instead of an answer, and keeps the connection.
    Garbage(Bytes),
    /// Never answers; the connection stays open.
    Silence,
    /// Closes (FIN) without an answer.
    Close,
    /// Resets the connection (RST) without an answer.
    Reset,
    /// Writes half of the answer, then closes.
    Half,
    /// Writes half of the answer, then nothing, and keeps the connection.
    HalfSilence,
    /// Echoes, then closes.
    EchoClose,
    /// Echoes, then sends the control frame with which a multiplexing server says that it stops.
    EchoControl,
    /// Sends that control frame, then echoes.
    ControlEcho,
}

/// Holds calls back until a test lets them go. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets all calls go, those of later too.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn opened(&self) {
        // It holds the sender itself, so that this never ends in an error.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// What the server does with a connection, before any byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAccept {
    /// Serves it.
    #[default]
    Serve,
    /// Closes it: what a server over its limit does.
    Close,
    /// Resets it.
    Reset,
    /// Leaves it open and never reads.
    Ignore,
}

/// A call as a script sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// What arrived.
    pub message: Message,
    /// Its place among all calls of this server, from 0.
    pub nth: u64,
    /// Its connection's place among all, from 0.
    pub connection: u64,
}

type Script = Arc<dyn Fn(&Call) -> Act + Send + Sync>;

/// How a server is set up.
#[derive(Clone)]
pub struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) script: Script,
    pub(crate) idle: Option<Duration>,
    pub(crate) on_accept: OnAccept,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Does as `script` says, call by call.
    pub fn script(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Self {
            listen,
            script: Arc::new(script),
            idle: None,
            on_accept: OnAccept::Serve,
        }
    }

    /// Does `act` for every call.
    pub fn always(act: Act) -> Self {
        Self::script(move |_| act.clone())
    }

    /// Does these acts in order, one per call of the whole server, then echoes.
    pub fn sequence(acts: Vec<Act>) -> Self {
        Self::script(move |call| {
            let nth = usize::try_from(call.nth).unwrap_or(usize::MAX);
            acts.get(nth).cloned().unwrap_or(Act::Echo)
        })
    }

    /// Listens there instead of on a free loopback port.
    #[must_use]
    pub fn listen(mut self, at: SocketAddr) -> Self {
        self.listen = at;
        self
    }

    /// Closes a connection after this long without a byte, as old servers do.
    #[must_use]
    pub fn close_idle_after(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Does this with every new connection.
    #[must_use]
    pub fn on_accept(mut self, what: OnAccept) -> Self {
        self.on_accept = what;
        self
    }
}

/// What a server has seen since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Calls, oneway ones included.
    pub calls: u64,
    /// Calls by method.
    pub methods: HashMap<String, u64>,
    /// Connections that ended with bytes of an unfinished message, or with bytes that were no message.
    pub broken: u64,
    /// Connections whose peer closed while an answer was owed.
    pub left: u64,
    /// The last calls, at most 1,024, oldest first.
    pub messages: Vec<Message>,
}
