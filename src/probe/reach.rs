//! The connect: made as a call makes it, and measured.

use std::io;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep};

use super::{Connect, Way};
use crate::platform;
use crate::registry::DialAddr;
use crate::upstream::Conn;
use crate::upstream::connect::{DialError, FORBIDDEN, detail, dial, is_ours};

/// Between the tries of a connect that finds nobody: a server in the middle of a restart is not accused.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// A connect that took longer is measured again: a busy machine must not look like a far one.
const NEAR: Duration = Duration::from_millis(50);
/// How often it is.
const MEASURED_AGAIN: usize = 2;

/// A connection, in its slot.
pub(super) struct Reached<'a> {
    /// The connection; it is closed before the slot is free.
    pub(super) conn: Box<Conn>,
    /// What the connect took.
    pub(super) took: Duration,
    _slot: Option<SemaphorePermit<'a>>,
}

/// Connects. The time is the shortest of those that were measured.
pub(super) async fn reach<'a>(way: &Way<'a>) -> Result<Reached<'a>, Connect> {
    let first = patiently(way).await?;
    let mut took = first.took;
    let mut kept = Some(first);
    for _ in 0..MEASURED_AGAIN {
        if took <= NEAR {
            break;
        }
        // Closed before the next one is made.
        drop(kept.take());
        if let Ok(again) = once(way).await {
            took = took.min(again.took);
            kept = Some(again);
        }
    }
    let reached = match kept {
        Some(reached) => reached,
        None => patiently(way).await?,
    };
    let took = took.min(reached.took);
    Ok(Reached { took, ..reached })
}

/// One connect, tried again where nobody is there, and the time that it took. Between two tries it has no slot.
pub(super) async fn patiently<'a>(way: &Way<'a>) -> Result<Reached<'a>, Connect> {
    let mut dialled = once(way).await;
    for pause in AGAIN {
        if !matches!(dialled, Err(Connect::Refused(_) | Connect::NoSocket(_))) {
            break;
        }
        sleep(pause).await;
        dialled = once(way).await;
    }
    dialled
}

/// One connect, and the time that it took.
pub(super) async fn once<'a>(way: &Way<'a>) -> Result<Reached<'a>, Connect> {
    let (addr, limit) = (way.addr, way.plan.connect + platform::LATE_REFUSAL);
    let slot = way.slots.take().await;
    let since = Instant::now();
    let dialled = dial(addr, limit).await;
    let took = since.elapsed();
    match dialled {
        Ok(conn) => Ok(Reached {
            conn,
            took,
            _slot: slot,
        }),
        Err(DialError::Forbidden) => Err(Connect::Ours(FORBIDDEN.into())),
        Err(DialError::TimedOut) => Err(Connect::TimedOut(limit)),
        Err(DialError::System(error)) => Err(failed(addr, &error, took)),
    }
}

fn failed(addr: &DialAddr, error: &io::Error, took: Duration) -> Connect {
    let said = || detail(addr, error).into_string();
    match error.kind() {
        // Of a socket whose file is there and on which nobody listens, too.
        io::ErrorKind::ConnectionRefused if addr.path().is_some() => Connect::NoSocket(said()),
        io::ErrorKind::ConnectionRefused => Connect::Refused(took),
        io::ErrorKind::TimedOut => Connect::TimedOut(took),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Connect::Reset(took),
        _ if is_ours(addr, error) => Connect::Ours(said()),
        _ if addr.path().is_some() => Connect::NoSocket(said()),
        _ => Connect::Unreachable(said()),
    }
}
