//! A connection over a limit of its listener: told so in an answer to its first call, where it makes one in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::client::Client;
use super::record::record_unrouted;
use super::thrift::{log, reply_to};
use crate::config::Protocol;
use crate::listener::{Door, Over};
use crate::outcome::{Failed, Limit, Outcome};
use crate::stack::alarm::Alarm;

/// Answers the first call of a connection, if it is one and is whole within `detect_timeout`; then ends the connection.
pub async fn turn_away(mut client: Box<Client>, door: Arc<Door>, over: Over) {
    let config = door.config();
    if config.protocol != Protocol::Opaque {
        // Answered or not, the connection ends.
        let _ = timeout(config.detect_timeout, answer(&mut client, &door, over)).await;
    }
    client.hang_up().await;
    door.metrics.closed(over.closed().label());
}

async fn answer(client: &mut Client, door: &Door, over: Over) {
    let Ok(incoming) = client.frame(&Alarm::default()).await else {
        return;
    };
    door.count_call();
    record_unrouted(door, Outcome::Overloaded);
    let (who, failed) = (format!("listener {}", door.name), refusal(over));
    log(&who, &incoming.head, &incoming.frame, &failed);
    let answer = reply_to(
        &incoming.head,
        &incoming.frame,
        &who,
        &failed,
        false,
        client.tells_closing(),
    );
    if let Some(bytes) = answer {
        // A caller that does not read it misses it.
        let _ = client.write(&bytes).await;
    }
}

/// The answer that names the limit, and takes the connection with it.
fn refusal(over: Over) -> Failed {
    let (key, n, open) = match over {
        Over::Connections(n) => ("max_connections", n, format!("{n} connections are open")),
        Over::PerSource(n, source) => (
            "max_connections_per_source",
            n,
            format!("{n} connections from {source} are open"),
        ),
    };
    Failed::new(Outcome::Overloaded, Instant::now())
        .limit(Limit::Count(key, n), Duration::ZERO)
        .because(open)
        .closing()
}
