//! What answers at a port that gives no read.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes that are heard, and how long is waited for them.
const MAX_SAID: u64 = 512;
const WITHIN: Duration = Duration::from_secs(1);
/// A question that a plain etcd answers with its name.
const PLAIN: &[u8] = b"GET /version HTTP/1.0\r\n\r\n";
/// The head of a TLS record that is too long: a TLS server answers with an alert.
const TLS: &[u8] = b"\x16\x03\x01\xff\xff\r\n";

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Nothing,
    Tls,
    /// etcd, without TLS.
    Etcd,
    /// Something else; its first line.
    Other(String),
}

/// Asks it, on connections of their own.
pub(super) async fn speaks(addr: SocketAddr) -> Speaks {
    let Some(said) = ask(addr, PLAIN).await else {
        return Speaks::Nothing;
    };
    if said.is_empty() {
        let said = ask(addr, TLS).await.unwrap_or_default();
        return if is_tls(&said) {
            Speaks::Tls
        } else {
            Speaks::Nothing
        };
    }
    let text = String::from_utf8_lossy(&said);
    if is_tls(&said) || text.contains("to an HTTPS server") {
        return Speaks::Tls;
    }
    if text.contains("etcdserver") {
        return Speaks::Etcd;
    }
    let line = text.lines().next().unwrap_or_default();
    Speaks::Other(line.chars().take(80).collect())
}

/// What it says until it closes; `None` where it only waits.
async fn ask(addr: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    let asking = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(question).await?;
        stream.take(MAX_SAID).read_to_end(&mut said).await
    };
    let ended = timeout(WITHIN, asking).await.is_ok();
    (ended || !said.is_empty()).then_some(said)
}

/// An alert, or a handshake.
fn is_tls(said: &[u8]) -> bool {
    matches!(said, [0x15 | 0x16, 0x03, ..])
}
