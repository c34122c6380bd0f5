//! The calls of the bench and the server that echoes them.

use scripted::header::key;
use scripted::{Framing, Header, Message, body};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the calls look like on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Framed Thrift.
    Framed,
    /// TTHeader with a framed payload and the keys that Kitex's meta handler writes.
    TtHeader,
    /// The same with the caller's timeout in key 12, which a proxy may have to rewrite.
    Deadline,
}

/// One call, written once and numbered anew each time it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// All its bytes; its answer has as many.
    pub bytes: Vec<u8>,
    has_header: bool,
    /// Where the message's own number stands.
    seqid: usize,
}

impl Request {
    /// An echo of `size` bytes of text.
    pub fn new(wire: Wire, size: usize) -> Self {
        let framing = if wire == Wire::Framed {
            Framing::Framed
        } else {
            Framing::TtHeaderFramed
        };
        let mut call = Message::call(framing, "Echo", 1, body::text(1, &"x".repeat(size)));
        call.header = match wire {
            Wire::Framed => Header::default(),
            Wire::TtHeader => kitex_keys(),
            Wire::Deadline => kitex_keys().int(key::RPC_TIMEOUT, "5000"),
        };
        let bytes = call.encode().to_vec();
        let seqid = message_at(&bytes) + 8 + "Echo".len();
        Self {
            bytes,
            has_header: framing.has_header(),
            seqid,
        }
    }

    /// Gives it a number.
    pub fn number(&mut self, n: u32) {
        let n = n.to_be_bytes();
        self.bytes[self.seqid..self.seqid + 4].copy_from_slice(&n);
        if self.has_header {
            self.bytes[8..12].copy_from_slice(&n);
        }
    }

    /// The number in an answer to it.
    pub fn number_of(&self, answer: &[u8]) -> u32 {
        be32(answer, self.seqid)
    }

    /// Whether `answer` is the whole and right one.
    pub fn is_answered_by(&self, answer: &[u8]) -> bool {
        let kind = self.seqid - 8 - "Echo".len() + 3;
        answer.len() == self.bytes.len()
            && answer[kind] == 2
            && self.number_of(answer) == be32(&self.bytes, self.seqid)
    }
}

fn kitex_keys() -> Header {
    let header = Header::default().string("isn", "EchoService");
    [
        (1, "framed"),
        (3, "bench"),
        (key::TO_SERVICE, "bench.echo"),
        (key::TO_METHOD, "Echo"),
        (20, ""),
        (22, "1"),
    ]
    .iter()
    .fold(header, |header, (key, value)| header.int(*key, value))
}

/// Where the Thrift message starts in a frame.
fn message_at(frame: &[u8]) -> usize {
    if frame[4..6] == [0x10, 0x00] {
        14 + 4 * usize::from(u16::from_be_bytes([frame[12], frame[13]])) + 4
    } else {
        4
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Makes a call its own answer: a reply whose field 0 is what the arguments' field 1 was.
fn turn(frame: &mut [u8]) {
    let message = message_at(frame);
    let name = be32(frame, message + 4) as usize;
    frame[message + 3] = 2;
    frame[message + 12 + name + 2] = 0;
}

/// Echoes every call of every connection; no call may be larger than 64 KiB.
pub async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 4 << 10];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            n => filled += n,
        }
        while filled >= 14 {
            let len = be32(&buffer, 0) as usize + 4;
            if len >= buffer.len() {
                buffer.resize(len + 1, 0); // with a byte of room, a read that takes all is short, and so the last
            }
            if filled < len {
                break;
            }
            turn(&mut buffer[..len]);
            stream.write_all(&buffer[..len]).await?;
            buffer.copy_within(len..filled, 0);
            filled -= len;
        }
    }
}
