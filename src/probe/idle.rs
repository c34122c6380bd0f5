//! A connection on which nothing is sent: whether the server closes it.

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::reach::once;
use super::speech::unasked;
use super::{Idle, Way};
use crate::platform::Stream;

/// A server that says more, unasked, is not idle either.
const MOST: usize = 64 * 1024;

/// Holds a connection of its own for as long as the plan says. `None`: that is not asked for, there is no second
/// connection, or the server ended it at once, which has nothing to do with idleness.
pub(super) async fn idle(way: &Way<'_>) -> Option<Idle> {
    let hold = way.plan.idle?;
    let mut reached = once(way).await.ok()?;
    let since = Instant::now();
    match timeout(hold, closed(&mut reached.conn.stream)).await {
        Err(_) => Some(Idle::Open(hold)),
        Ok(ended) => {
            let after = since.elapsed();
            (ended && after > unasked(way.plan, reached.took)).then_some(Idle::Closed(after))
        }
    }
}

/// Reads until the server ends it; false where it says too much.
async fn closed(stream: &mut Stream) -> bool {
    let mut heard = 0;
    let mut buf = [0; 512];
    while heard < MOST {
        match stream.read(&mut buf).await {
            Ok(n) if n > 0 => heard += n,
            _ => return true,
        }
    }
    false
}
