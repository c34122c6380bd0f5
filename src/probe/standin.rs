//! A small probe, until the whole one is there: connects once, and listens for a moment.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::{Connect, Plan, Seen, Spoke};
use crate::outcome::Outcome;
use crate::registry::DialAddr;
use crate::upstream::connect::connect;

/// Looks at an address.
pub async fn probe(addr: &DialAddr, plan: &Plan) -> Seen {
    let began = Instant::now();
    let (connect, spoke) = match connect(addr, plan.connect).await {
        Ok(mut conn) => {
            let took = began.elapsed();
            let mut first = [0; 64];
            let read = timeout(Duration::from_millis(40), conn.stream.read(&mut first)).await;
            let spoke = match read {
                Ok(Ok(n)) => recognise(&first[..n]),
                _ => None,
            };
            (Connect::Open(took), spoke)
        }
        Err(error) => {
            let connect = match error.outcome {
                Outcome::ConnectRefused => Connect::Refused(began.elapsed()),
                Outcome::ConnectTimeout => Connect::TimedOut(plan.connect),
                Outcome::Overloaded => Connect::Ours(error.detail.into()),
                _ => Connect::Unreachable(error.detail.into()),
            };
            (connect, None)
        }
    };
    Seen {
        connect,
        spoke,
        call: None,
        idle: None,
    }
}

/// What begins with these bytes, where that is no Thrift.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<Spoke> {
    let line = || {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
    };
    match bytes {
        [b'H', b'T', b'T', b'P', ..] | [b'<', ..] => Some(Spoke::Http(line())),
        [0x15, 3, ..] => Some(Spoke::Tls),
        [0, 0, _, 4, ..] => Some(Spoke::Http2),
        [b'-', b'E' | b'N' | b'D', ..] => Some(Spoke::Redis),
        [_, 0, 0, 0, 10 | 0xff, ..] => Some(Spoke::MySql),
        [b'S', b'S', b'H', ..] => Some(Spoke::Ssh(line())),
        _ => None,
    }
}
