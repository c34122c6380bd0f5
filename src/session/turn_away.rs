//! A connection that cannot be carried, such as one over a limit of its listener: told so in an answer to its first
//! call, where it makes one in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::client::Client;
use super::record::{Unrouted, record_unrouted};
use super::thrift::{log, reply_to};
use crate::config::Protocol;
use crate::listener::{Door, Over};
use crate::outcome::{Failed, Limit, Outcome};
use crate::stack::alarm::Alarm;

/// Ends a connection over a limit. Its first call is answered, if it is one and is whole within `detect_timeout`.
pub async fn turn_away(client: Box<Client>, door: Arc<Door>, over: Over) {
    let who = format!("listener {}", door.name);
    refuse(client, &door, &who, refusal(over)).await;
    door.metrics.closed(over.closed().label());
}

/// Ends a connection that cannot be carried on; `to` is whom the answer speaks of.
pub(super) async fn refuse(mut client: Box<Client>, door: &Door, to: &str, failed: Failed) {
    let config = door.config();
    if config.protocol != Protocol::Opaque {
        // Answered or not, the connection ends.
        let answering = answer(&mut client, door, to, &failed);
        let _ = timeout(config.detect_timeout, answering).await;
    }
    client.hang_up().await;
}

async fn answer(client: &mut Client, door: &Door, who: &str, failed: &Failed) {
    let Ok(incoming) = client.frame(&Alarm::default()).await else {
        return;
    };
    door.count_call();
    let account = Unrouted {
        call: Some((&incoming.head, &incoming.frame)),
        caller: client.peer().addr(),
        arrived: Some(incoming.arrived),
        // It speaks of the listener, though the call may name a service.
        failed: Some(failed.clone().to(0, &who.into())),
    };
    record_unrouted(door, failed.outcome, account);
    log(who, &incoming.head, &incoming.frame, failed);
    let answer = reply_to(
        &incoming.head,
        &incoming.frame,
        who,
        failed,
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
