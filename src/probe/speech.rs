//! What a server says before any call: unasked, or to seven bytes that mean nothing to it.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::reach::{Reached, patiently};
use super::recognise::recognise;
use super::{Connect, Plan, Spoke, Way};
use crate::platform::Stream;
use crate::upstream::Conn;

/// To a TLS server a record that is too long, to an HTTP server a bad request's line, to Redis a command that it does
/// not know: each answers. To Kitex, which looks at eight bytes before anything else, too few to act on.
pub(crate) const SEVEN: [u8; 7] = *b"\x16\x03\x01\xff\xff\r\n";
/// So much of an answer is read.
const MOST: u64 = 512;

/// What was heard.
pub(super) struct Heard {
    bytes: BytesMut,
    ended: bool,
}

impl Heard {
    /// Closed or reset without a word.
    fn is_gone(&self) -> bool {
        self.ended && self.bytes.is_empty()
    }
}

/// How long a server's first word is waited for.
pub(super) fn unasked(plan: &Plan, took: Duration) -> Duration {
    plan.listen * 2 / 5 + took * 2
}

/// Listens, then asks, on a fresh connection, which is closed in the end.
///
/// # Errors
///
/// Two connections in a row were closed without a word; or the second could not be made.
pub(super) async fn speech(
    way: &Way<'_>,
    mut reached: Reached<'_>,
) -> Result<Option<Spoke>, Connect> {
    let took = reached.took;
    let within = unasked(way.plan, took);
    let mut heard = listen(&mut reached.conn, within).await?;
    if heard.is_gone() {
        drop(reached);
        reached = patiently(way).await?;
        heard = listen(&mut reached.conn, within).await?;
        if heard.is_gone() {
            return Err(Connect::Reset(took));
        }
    }
    if !heard.bytes.is_empty() {
        return Ok(recognise(&heard.bytes));
    }
    let stream = &mut reached.conn.stream;
    if stream.write_all(&SEVEN).await.is_err() {
        return Ok(None);
    }
    let answer = hear(stream, way.plan.listen + took * 4).await;
    Ok(recognise(&answer.bytes))
}

/// What a server says unasked.
async fn listen(conn: &mut Conn, within: Duration) -> Result<Heard, Connect> {
    let heard = hear(&mut conn.stream, within).await;
    if heard.is_gone() && conn.came_back() {
        let text = "the connection came back to a listener of this tidegate (R16)";
        return Err(Connect::Ours(text.into()));
    }
    Ok(heard)
}

/// What comes in, until it is known whose it is.
async fn hear(stream: &mut Stream, within: Duration) -> Heard {
    let until = Instant::now() + within;
    let mut stream = stream.take(MOST);
    let mut heard = Heard {
        bytes: BytesMut::new(),
        ended: false,
    };
    while stream.limit() > 0 && !is_enough(&heard.bytes) {
        match timeout_at(until, stream.read_buf(&mut heard.bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => {
                heard.ended = true;
                break;
            }
            Err(_) => break,
        }
    }
    heard
}

/// Whether more would not change what it is taken for, nor the line that is shown of it.
fn is_enough(bytes: &[u8]) -> bool {
    match recognise(bytes) {
        None | Some(Spoke::Other(_)) => false,
        Some(Spoke::Http(_) | Spoke::Ssh(_)) => bytes.contains(&b'\n'),
        Some(Spoke::Http2 | Spoke::Tls | Spoke::Redis | Spoke::MySql) => true,
    }
}
