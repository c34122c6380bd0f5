//! What answers at a port that gives no read.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::probe::{SEVEN, Spoke, line, recognise};

/// Bytes that are heard, and how long is waited for them.
const MAX_SAID: u64 = 512;
const WITHIN: Duration = Duration::from_secs(1);
/// A question that a plain etcd answers with its name.
const PLAIN: &[u8] = b"GET /version HTTP/1.0\r\n\r\n";

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Nothing,
    Tls,
    /// etcd, without TLS.
    Etcd,
    /// Something else; its first line, printable.
    Other(String),
}

/// Asks it, on connections of their own.
pub(super) async fn speaks(addr: SocketAddr) -> Speaks {
    let Some(said) = ask(addr, PLAIN).await else {
        return Speaks::Nothing;
    };
    if said.is_empty() {
        let said = ask(addr, &SEVEN).await.unwrap_or_default();
        return match recognise(&said) {
            Some(Spoke::Tls) => Speaks::Tls,
            _ => Speaks::Nothing,
        };
    }
    let text = String::from_utf8_lossy(&said);
    if recognise(&said) == Some(Spoke::Tls) || text.contains("to an HTTPS server") {
        return Speaks::Tls;
    }
    if text.contains("etcdserver") {
        return Speaks::Etcd;
    }
    Speaks::Other(line(&said))
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
