//! One client connection, from its first bytes to its close.
//!
//! The first bytes decide: Thrift calls, one after another or several in flight, or anything else, relayed as bytes.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Protocol;
use crate::listener::Door;
use crate::protocol::{Detected, Looks, detect};
use crate::stack::alarm::Alarm;

mod client;
mod close;
mod mux;
mod record;
mod redirect;
pub mod relay;
pub mod thrift;
mod turn_away;
pub mod upload;

pub use client::Client;
pub use close::Closed;
pub use turn_away::turn_away;

/// Carries a client connection to its end; says why it ended.
pub async fn serve(mut client: Box<Client>, door: Arc<Door>) {
    let peer = client.peer();
    let alarm = Alarm::default();
    // In boxes, as all that is rare here: an idle connection must not pay for their sizes.
    let closed = if door.config().transparent {
        Box::pin(redirect::serve(client, &door, alarm)).await
    } else {
        match sort(&mut client, &door, &alarm).await {
            Ok(Sorted::Thrift) => thrift::serve(client, &door, alarm).await,
            Ok(Sorted::Relay) => Box::pin(relay::to_service(client, &door)).await,
            Err(closed) => {
                Box::pin(client.hang_up()).await;
                closed
            }
        }
    };
    door.metrics.closed(closed.label());
    tracing::debug!(listener = %door.name, client.addr = %peer, reason = closed.label(), "connection ended");
}

enum Sorted {
    Thrift,
    Relay,
}

/// What the connection speaks.
async fn sort(client: &mut Client, door: &Door, alarm: &Alarm) -> Result<Sorted, Closed> {
    let config = door.config();
    if config.protocol == Protocol::Opaque {
        door.metrics.protocol("opaque");
        return Ok(Sorted::Relay);
    }
    client
        .first_bytes(alarm, config.client_idle_timeout)
        .await?;
    let detected = loop {
        match detect(client.bytes()) {
            Detected::More => client.more_bytes(alarm, config.detect_timeout).await?,
            detected => break detected,
        }
    };
    match detected {
        Detected::Relay(looks) => {
            let known = config.service.is_some() || config.transparent;
            other(looks, door, config.protocol, known)
        }
        _ => Ok(Sorted::Thrift),
    }
}

/// Another protocol than Thrift: relayed where that can be right, else closed, with its name.
fn other(looks: Looks, door: &Door, protocol: Protocol, fixed: bool) -> Result<Sorted, Closed> {
    door.metrics.protocol(looks.label());
    if protocol == Protocol::Auto && fixed {
        door.say_once(
            looks,
            "is relayed as bytes: each connection to one endpoint",
        );
        return Ok(Sorted::Relay);
    }
    let why = if protocol == Protocol::Thrift {
        "is closed: this listener takes Thrift calls only (protocol = \"thrift\")"
    } else {
        "is closed: it names no service; a listener of its own with service = \"…\" would relay it"
    };
    door.say_once(looks, why);
    Err(Closed::Protocol)
}

/// How long what still arrives is read and dropped after an end, and how much of it: an answer must not be destroyed
/// by a reset.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);
#[cfg(test)]
mod tests;
