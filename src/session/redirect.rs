//! A connection that the firewall redirected here: to the service at its original destination, with that service's
//! whole stack; or, where nothing known is registered, to exactly that address.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::client::Client;
use super::close::Closed;
use super::turn_away::refuse;
use super::{Sorted, relay, sort, thrift};
use crate::discovery::Services;
use crate::listener::Door;
use crate::outcome::{Failed, Outcome};
use crate::registry;
use crate::route::Redirected;
use crate::stack::alarm::Alarm;
use crate::upstream::own;

/// Carries the connection to its end.
pub(super) async fn serve(mut client: Box<Client>, door: &Arc<Door>, alarm: Alarm) -> Closed {
    let origin = match origin(&client, door) {
        Ok(origin) => origin,
        Err(refused) => return turn_back(client, door, refused).await,
    };
    let services = services_at(origin, door).await;
    if services.is_empty() {
        return stranger(client, door, origin).await;
    }
    let to = Redirected::new(origin, services);
    let label = if to.is_shared() { "shared" } else { "service" };
    let sorted = sort(&mut client, door, &alarm).await;
    if came_back(&client, origin) {
        return turn_back(client, door, TurnedBack::own(origin)).await;
    }
    door.metrics.redirected(label);
    match sorted {
        Ok(Sorted::Thrift) => {
            client.redirected = Some(Box::new(to));
            thrift::serve(client, door, alarm).await
        }
        // Bytes that say nothing yet may be the whole of what this protocol says first.
        Ok(Sorted::Relay) | Err(Closed::DetectTimeout) => bytes(client, door, &to).await,
        Err(closed) => {
            client.hang_up().await;
            closed
        }
    }
}

/// Nothing known is registered there.
async fn stranger(client: Box<Client>, door: &Arc<Door>, origin: SocketAddr) -> Closed {
    if came_back(&client, origin) {
        return turn_back(client, door, TurnedBack::own(origin)).await;
    }
    door.metrics.redirected("unregistered");
    let why = match door.routes.unlisted(&door.config()) {
        Some(trouble) => format!("the registry could not be listed: {trouble}"),
        None => "no service known here is registered there".to_owned(),
    };
    relay::exactly(client, door, origin.into(), &why).await
}

/// The services at the address; what is being read for the first time is waited for.
async fn services_at(origin: SocketAddr, door: &Door) -> Services {
    let config = door.config();
    let services = door.routes.services_at(origin, &config);
    if !services.is_empty() {
        return services;
    }
    door.routes.first_read(&config).await;
    door.routes.services_at(origin, &config)
}

/// What carries no calls goes to one endpoint of its service, or, where several are registered, where it was going.
async fn bytes(client: Box<Client>, door: &Arc<Door>, to: &Redirected) -> Closed {
    match door.routes.redirect_target(door, to) {
        Some(target) => relay::serve(client, door, target).await,
        None => {
            let there = door.routes.exactly(to);
            relay::exactly(client, door, there, SEVERAL).await
        }
    }
}

/// Why a call of several services' address went to that address and nowhere else.
pub(super) const SEVERAL: &str =
    "several services are registered there, and the call does not say which it is for";

/// Why a connection cannot be carried on.
struct TurnedBack {
    label: &'static str,
    /// Where it was going, or the listener that it came to.
    to: String,
    why: String,
}

impl TurnedBack {
    fn own(origin: SocketAddr) -> Self {
        let why = "a connection of tidegate's own came back to it: the firewall's rules must exempt it (tidegate iptables \
                   --uid, --gid or --mark)";
        Self {
            label: "loop",
            to: origin.to_string(),
            why: why.to_owned(),
        }
    }
}

/// The address that the client dialled.
fn origin(client: &Client, door: &Door) -> Result<SocketAddr, TurnedBack> {
    let turned = |label, to: String, why: &str| {
        Err(TurnedBack {
            label,
            to,
            why: why.to_owned(),
        })
    };
    let Some(origin) = client.origin() else {
        let why = "it was dialled itself, and no firewall says where the caller wanted to go; dial the service's own \
                   address, or a listener that has a service";
        return turned("direct", format!("listener {}", door.name), why);
    };
    if came_back(client, origin) {
        return Err(TurnedBack::own(origin));
    }
    if door.routes.is_own_listener(origin) {
        let why = "the caller dialled a listener of tidegate through the redirect, and would be sent round in a \
                   circle; dial the service's own address, or exempt this port (tidegate iptables --exclude)";
        return turned("direct", origin.to_string(), why);
    }
    if registry::forbidden(origin.ip()) {
        let why = "a metadata address is never dialled (R14); exempt it from the redirect (tidegate iptables --exclude)";
        return turned("forbidden", origin.to_string(), why);
    }
    Ok(origin)
}

/// Whether it is one of our own. At its accept that may not be known yet: it is asked again before anything is sent on.
fn came_back(client: &Client, origin: SocketAddr) -> bool {
    let peer = client.peer().addr();
    peer.is_some_and(|peer| own::came_back(peer, origin))
}

async fn turn_back(client: Box<Client>, door: &Arc<Door>, refused: TurnedBack) -> Closed {
    let TurnedBack { label, to, why } = refused;
    door.metrics.redirected(label);
    if door.is_first(label) {
        tracing::warn!(listener = %door.name, client.addr = %client.peer(), to, "turned back, and so are others like it: {why}");
    }
    let failed = Failed::new(Outcome::LoopDetected, Instant::now()).because(why);
    refuse(client, door, &to, failed.closing()).await;
    Closed::NoEndpoint
}
