//! What is known of a frame once its head was read: small, `Copy`, pointing into the frame's own bytes.

use super::info::{Info, Infos};

/// A piece of a frame, by its place. All of tidegate's offsets count from the frame's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    at: u32,
    len: u32,
}

impl Span {
    /// The piece that starts at `at` and has `len` bytes; both fit, since no frame is longer than 2 GiB.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn new(at: usize, len: usize) -> Self {
        Self {
            at: at as u32,
            len: len as u32,
        }
    }

    /// The bytes, or none of them if `frame` does not reach that far (it then is not this span's frame).
    #[inline]
    pub fn of(self, frame: &[u8]) -> &[u8] {
        frame.get(self.at()..self.end()).unwrap_or_default()
    }

    /// Offset of the first byte.
    #[inline]
    pub fn at(self) -> usize {
        self.at as usize
    }

    /// Offset after the last byte.
    #[inline]
    pub fn end(self) -> usize {
        self.at as usize + self.len as usize
    }

    /// Number of bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing: what was looked for is absent or empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// How the message itself is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Strict binary Thrift behind a length.
    Framed,
    /// Strict binary Thrift without any length: only a walk of the struct finds its end.
    Buffered,
    /// Kitex Protobuf, always behind a length.
    Protobuf,
}

/// All layers around a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Framing {
    /// The message's own layout.
    pub payload: Payload,
    /// Inside TTHeader.
    pub tt: bool,
    /// Behind a mesh header (never together with TTHeader). It is forwarded; answers go without it.
    pub mesh: bool,
}

impl Framing {
    /// A name for metrics and logs.
    pub fn label(self) -> &'static str {
        match (self.tt, self.mesh, self.payload) {
            (false, false, Payload::Framed) => "framed",
            (false, false, Payload::Buffered) => "buffered",
            (false, false, Payload::Protobuf) => "protobuf",
            (true, _, Payload::Framed) => "ttheader_framed",
            (true, _, Payload::Buffered) => "ttheader",
            (true, _, Payload::Protobuf) => "ttheader_protobuf",
            (_, true, Payload::Framed) => "mesh_framed",
            (_, true, Payload::Buffered) => "mesh_buffered",
            (_, true, Payload::Protobuf) => "mesh_protobuf",
        }
    }
}

/// The type of a message. Streams (5) are not messages of a frame: they are relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A call that expects an answer.
    Call = 1,
    /// An answer: a result struct.
    Reply = 2,
    /// An answer: an application exception.
    Exception = 3,
    /// A call that expects none.
    Oneway = 4,
}

/// The caller's own deadline: TTHeader int key 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Its decimal digits in the frame.
    pub span: Span,
    /// Its value, 1 to `i32::MAX` milliseconds.
    pub ms: u32,
}

/// What TTHeader adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtHead {
    /// The header's own sequence id: what mux clients match answers by.
    pub seqid: i32,
    /// Flags as they were sent.
    pub flags: u16,
    /// Protocol id as it was sent; it does not choose the payload's layout.
    pub protocol: u8,
    /// The info blocks with the padding after them; the payload starts at its end.
    pub header: Span,
    /// Int key 6, the service called; empty if absent.
    pub to_service: Span,
    /// Int key 12, if it is a positive number of milliseconds that fits an `i32`; anything else means none.
    pub timeout: Option<Timeout>,
    /// The string key `RPC_PERSIST_RetryReq` is there: somebody has sent this call before.
    pub retried: bool,
    /// The string key `biz-status` is there and not 0.
    pub biz_status: bool,
    /// The string key `crrst` is there: the sender asks for this connection to be closed after the reply.
    pub closing: bool,
}

/// TTHeader flag: answers may come in any order.
const FLAG_OUT_OF_ORDER: u16 = 0x0001;

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The layers around the message.
    pub framing: Framing,
    /// The message's type.
    pub kind: Kind,
    /// The message's sequence id, by which a pool client checks its answer.
    pub seqid: i32,
    /// The method's name.
    pub name: Span,
    /// Offset of the struct (or the Protobuf message) after the message's head.
    pub body: u32,
    /// What TTHeader adds, if there is one.
    pub tt: Option<TtHead>,
}

impl Head {
    /// Whether the caller takes answers in any order, and may have several calls in flight.
    #[inline]
    pub fn is_mux(&self) -> bool {
        self.tt.is_some_and(|tt| tt.flags & FLAG_OUT_OF_ORDER != 0)
    }

    /// Whether somebody waits for an answer to it.
    #[inline]
    pub fn expects_reply(&self) -> bool {
        self.kind == Kind::Call
    }

    /// The method's name as text; what is not UTF-8 is replaced.
    pub fn method<'a>(&self, frame: &'a [u8]) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.name.of(frame))
    }

    /// The service that the call names (TTHeader int key 6), if it does and in UTF-8.
    pub fn to_service<'a>(&self, frame: &'a [u8]) -> Option<&'a str> {
        let name = self.tt?.to_service.of(frame);
        std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.is_empty())
    }

    /// The infos of the TTHeader in their order on the wire; none without one.
    pub fn infos<'a>(&self, frame: &'a [u8]) -> Infos<'a> {
        let blocks = self.tt.map(|tt| tt.header).unwrap_or_default();
        Infos::new(frame.get(..blocks.end()).unwrap_or_default(), blocks.at())
    }

    /// The infos under int keys, in order.
    pub fn ints<'a>(&self, frame: &'a [u8]) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        self.infos(frame)
            .map_while(Result::ok)
            .filter_map(move |info| match info {
                Info::Int(key, value) => Some((key, value.of(frame))),
                _ => None,
            })
    }

    /// The infos under string keys, in order.
    pub fn strings<'a>(
        &self,
        frame: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.infos(frame)
            .map_while(Result::ok)
            .filter_map(move |info| match info {
                Info::Str(key, value) => Some((key.of(frame), value.of(frame))),
                _ => None,
            })
    }
}

// Heads are copied along a call's whole way.
const _: () = assert!(size_of::<Head>() <= 96);
