//! What a client speaks, by the first bytes of its connection.
//!
//! Strict Thrift, Kitex Protobuf and TTHeader go to the session that carries calls; everything else is relayed as
//! bytes. A look has to know other protocols only to name them.

use std::fmt;

use crate::frame::{Shape, looks_compact, looks_non_strict, shape};

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Calls in one of the framings that [`frame`](crate::frame) reads.
    Thrift,
    /// Anything else.
    Relay(Looks),
    /// Too few bytes to tell: eight always suffice.
    More,
}

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Looks {
    /// HTTP/2 with prior knowledge, as gRPC speaks it.
    Http2,
    /// HTTP/1.
    Http1,
    /// TTHeader frames of streams.
    TtStream,
    /// A TLS client's hello.
    Tls,
    /// A Redis command.
    Redis,
    /// A PROXY protocol header: a balancer in front announces the client's address.
    ProxyHeader,
    /// Thrift's binary protocol without a version, which Kitex's servers close on.
    NonStrictThrift,
    /// Thrift's compact protocol.
    CompactThrift,
    /// Nothing that has a name here.
    Unknown,
}

impl Looks {
    /// A name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Http1 => "http1",
            Self::TtStream => "ttheader_stream",
            Self::Tls => "tls",
            Self::Redis => "redis",
            Self::ProxyHeader => "proxy_header",
            Self::NonStrictThrift => "thrift_non_strict",
            Self::CompactThrift => "thrift_compact",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Http2 => "HTTP/2",
            Self::Http1 => "HTTP/1",
            Self::TtStream => "TTHeader streaming",
            Self::Tls => "TLS",
            Self::Redis => "Redis",
            Self::ProxyHeader => "a PROXY protocol header",
            Self::NonStrictThrift => "non-strict Thrift",
            Self::CompactThrift => "compact Thrift",
            Self::Unknown => "an unknown protocol",
        })
    }
}

/// Says what a connection speaks from all that its client has sent so far, in the order in which Kitex's servers ask:
/// HTTP/2, streams, then the framings of calls.
pub fn detect(first: &[u8]) -> Detected {
    if let Some(looks) = text(first) {
        return Detected::Relay(looks);
    }
    let Some(eight) = first.first_chunk::<8>() else {
        return Detected::More;
    };
    match shape(*eight) {
        Shape::TtHeader if eight[7] & 0x02 != 0 => Detected::Relay(Looks::TtStream),
        Shape::Other if looks_compact(first) => Detected::Relay(Looks::CompactThrift),
        Shape::Other if looks_non_strict(first) => Detected::Relay(Looks::NonStrictThrift),
        Shape::Other => Detected::Relay(Looks::Unknown),
        _ => Detected::Thrift,
    }
}

/// Protocols whose beginning, read as a frame's length, would be far over any limit: they are known by it alone, and
/// so before a client that sends less than eight bytes has waited.
const BEGINNINGS: [(&[u8], Looks); 14] = [
    (b"PRI * HT", Looks::Http2),
    (b"GET ", Looks::Http1),
    (b"PUT ", Looks::Http1),
    (b"POST ", Looks::Http1),
    (b"HEAD ", Looks::Http1),
    (b"PATCH ", Looks::Http1),
    (b"DELETE ", Looks::Http1),
    (b"OPTIONS ", Looks::Http1),
    (b"CONNECT ", Looks::Http1),
    (b"TRACE ", Looks::Http1),
    (b"PING\r\n", Looks::Redis),
    (b"PROXY ", Looks::ProxyHeader),
    (b"\r\n\r\n\0\r\nQ", Looks::ProxyHeader),
    (b"\x16\x03", Looks::Tls),
];

fn text(first: &[u8]) -> Option<Looks> {
    if let [b'*', b'1'..=b'9', b'0'..=b'9' | b'\r', ..] = first {
        return Some(Looks::Redis);
    }
    BEGINNINGS
        .iter()
        .find(|(beginning, _)| first.starts_with(beginning))
        .map(|(_, looks)| *looks)
}

#[cfg(test)]
mod tests;
