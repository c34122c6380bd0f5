//! The connect: made as a call makes it, and measured.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Connect;
use crate::registry::DialAddr;
use crate::upstream::Conn;
use crate::upstream::connect::{DialError, FORBIDDEN, detail, dial, is_ours};

/// Between the tries of a connect that is refused: a server in the middle of a restart is not accused.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// A connect that took longer is measured again: a busy machine must not look like a far one.
const NEAR: Duration = Duration::from_millis(50);
/// How often it is.
const MEASURED_AGAIN: usize = 2;

/// Connects. The time is the shortest of those that were measured.
pub(super) async fn reach(
    addr: &DialAddr,
    limit: Duration,
) -> Result<(Box<Conn>, Duration), Connect> {
    let (conn, mut took) = patiently(addr, limit).await?;
    for _ in 0..MEASURED_AGAIN {
        if took <= NEAR {
            break;
        }
        if let Ok((_, again)) = once(addr, limit).await {
            took = took.min(again);
        }
    }
    Ok((conn, took))
}

/// One connect, tried again where it is refused, and the time that it took.
pub(super) async fn patiently(
    addr: &DialAddr,
    limit: Duration,
) -> Result<(Box<Conn>, Duration), Connect> {
    let mut dialled = once(addr, limit).await;
    for pause in AGAIN {
        if !matches!(dialled, Err(Connect::Refused(_))) {
            break;
        }
        sleep(pause).await;
        dialled = once(addr, limit).await;
    }
    dialled
}

/// One connect, and the time that it took.
pub(super) async fn once(
    addr: &DialAddr,
    limit: Duration,
) -> Result<(Box<Conn>, Duration), Connect> {
    let since = Instant::now();
    let dialled = dial(addr, limit).await;
    let took = since.elapsed();
    match dialled {
        Ok(conn) => Ok((conn, took)),
        Err(DialError::Forbidden) => Err(Connect::Ours(FORBIDDEN.into())),
        Err(DialError::TimedOut) => Err(Connect::TimedOut(limit)),
        Err(DialError::System(error)) => Err(failed(addr, &error, took)),
    }
}

fn failed(addr: &DialAddr, error: &io::Error, took: Duration) -> Connect {
    let said = || detail(addr, error).into_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Connect::Refused(took),
        io::ErrorKind::TimedOut => Connect::TimedOut(took),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Connect::Reset(took),
        _ if is_ours(addr, error) => Connect::Ours(said()),
        _ if addr.path().is_some() => Connect::NoSocket(said()),
        _ => Connect::Unreachable(said()),
    }
}
