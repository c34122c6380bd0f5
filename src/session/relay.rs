//! Anything that is no Thrift: bytes, both ways, to one endpoint picked the same way.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::io::poll_read_buf;

use super::client::Client;
use super::close::Closed;
use super::turn_away::refuse;
use crate::buffer::Buf;
use crate::call::{Attribute, Attributes, Call, Course, Shared, Status, Target};
use crate::config::Key;
use crate::listener::Door;
use crate::metrics::Counter;
use crate::outcome::{Failed, Phase, Reach};
use crate::platform;
use crate::registry::DialAddr;
use crate::rpc::Reply;
use crate::stack::balance::find::find;
use crate::upstream::Conn;
use crate::upstream::connect::{ConnectError, connect};

/// Relays the connection to its listener's own service.
pub async fn to_service(client: Box<Client>, door: &Arc<Door>) -> Closed {
    let Some(target) = door.routes.relay_target(door) else {
        tracing::warn!(listener = %door.name, "closed: a relay needs a listener with a fixed service");
        client.hang_up().await;
        return Closed::NoEndpoint;
    };
    serve(client, door, target).await
}

/// Relays the connection to an endpoint of this service, to its end.
pub async fn serve(client: Box<Client>, door: &Arc<Door>, target: Target) -> Closed {
    // Connect failover before a byte has moved: the same search as a call's, with a connection of its own.
    let connection = Connection(
        Arc::new(Opened {
            target,
            status: Status::default(),
            at: Instant::now(),
            source: client.peer().addr().map(|addr| addr.ip()),
        }),
        course(),
    );
    let found = match find(connection, None).await {
        Ok(found) => found,
        Err(failed) => {
            tracing::warn!(listener = %door.name, "{failed}");
            client.hang_up().await;
            return Closed::NoEndpoint;
        }
    };
    let idle = door.config().client_idle_timeout;
    pump(client, found.conn, door, Some(idle)).await
}

/// Relays a redirected connection to exactly where its client wanted to go; `why` says why there and nowhere else.
pub(super) async fn exactly(
    client: Box<Client>,
    door: &Arc<Door>,
    to: DialAddr,
    why: &str,
) -> Closed {
    let limit = door.routes.table().defaults.connect_timeout;
    let dialled = connect(&to, limit).await;
    door.dialled(dialled.as_ref().map_or_else(ConnectError::label, |_| "ok"));
    match dialled {
        Ok(conn) => {
            // What is no call of ours has clocks of its own.
            platform::lift_unacknowledged(&conn.stream);
            pump(client, conn, door, None).await
        }
        Err(error) => {
            tracing::debug!(listener = %door.name, %to, "cannot connect: {}; {why}", error.detail);
            let failed = Failed::new(error.outcome, Instant::now())
                .during(Phase::Connect, Reach::Unwritten)
                .because(format!("{}; {why}", error.detail));
            refuse(client, door, &to.to_string(), failed.closing()).await;
            Closed::NoEndpoint
        }
    }
}

/// Bytes, both ways, until both have ended, or none has moved for the `limit`.
async fn pump(
    client: Box<Client>,
    conn: Box<Conn>,
    door: &Door,
    limit: Option<Duration>,
) -> Closed {
    let Some((from, to, buf)) = client.into_parts() else {
        return Closed::Error;
    };
    let (back, forth) = conn.stream.into_split();
    let idle = Idle::new(limit);
    let up = copy(from, forth, buf, &door.metrics.relay_up, &idle);
    let down = copy(back, to, None, &door.metrics.relay_down, &idle);
    let closing = door.drain.cut();
    tokio::select! {
        closed = both(up, down) => closed,
        () = idle.expired() => Closed::Idle,
        () = closing => Closed::Drain,
    }
}

/// Both directions to their ends; a half-close is passed on, and the other half goes on.
async fn both(up: impl Future<Output = bool>, down: impl Future<Output = bool>) -> Closed {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let (first, clean) = tokio::select! {
        clean = &mut up => (Closed::Client, clean),
        clean = &mut down => (Closed::Upstream, clean),
    };
    if !clean {
        return first;
    }
    match first {
        Closed::Client => down.await,
        _ => up.await,
    };
    first
}

/// One direction. True if it ended with a FIN, which was passed on; false if the connection broke.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    first: Option<Buf>,
    bytes: &Counter,
    idle: &Idle,
) -> bool {
    let mut held = first;
    loop {
        if let Some(buf) = held.take().filter(|buf| !buf.is_empty()) {
            if to.write_all(&buf).await.is_err() {
                return false;
            }
            bytes.add(buf.len() as u64);
            idle.moved();
        }
        // Nothing is held while there is nothing.
        let read = poll_fn(|cx| {
            let mut buf = Buf::take();
            let poll = poll_read_buf(Pin::new(&mut from), cx, &mut *buf);
            held = Some(buf).filter(|buf| !buf.is_empty());
            poll
        })
        .await;
        match read {
            Ok(0) => return to.shutdown().await.is_ok(),
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// When bytes last moved, in either direction.
struct Idle {
    began: Instant,
    limit: Option<Duration>,
    last_ms: AtomicU64,
}

impl Idle {
    fn new(limit: Option<Duration>) -> Self {
        Self {
            began: Instant::now(),
            limit,
            last_ms: AtomicU64::new(0),
        }
    }

    fn moved(&self) {
        self.last_ms.store(
            u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            Relaxed,
        );
    }

    /// Ends when nothing moved for the limit.
    async fn expired(&self) {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        loop {
            let until = self.began + Duration::from_millis(self.last_ms.load(Relaxed)) + limit;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// A relayed connection, as balancing sees it: like a call that is written on a connection of its own.
struct Connection(Arc<Opened>, Course);

struct Opened {
    target: Target,
    status: Status,
    at: Instant,
    source: Option<IpAddr>,
}

fn course() -> Course {
    Course {
        fresh: true,
        ..Course::new(Instant::now())
    }
}

impl Call for Connection {
    type Reply = Reply;
    type Shared = Arc<Opened>;
    fn shared(&self) -> &Arc<Opened> {
        &self.0
    }
    fn course(&self) -> &Course {
        &self.1
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.1
    }
}

/// Its bytes are not looked at: all that is known is where it comes from.
impl Attributes for Arc<Opened> {
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>> {
        match key {
            Key::Source => self.source.map(Attribute::of_source),
            _ => None,
        }
    }
}

impl Shared for Arc<Opened> {
    fn target(&self) -> &Target {
        &self.target
    }
    fn status(&self) -> &Status {
        &self.status
    }
    fn arrived(&self) -> Instant {
        self.at
    }
    fn stated(&self) -> Option<Duration> {
        None
    }
    fn expects_reply(&self) -> bool {
        true
    }
    fn is_retry(&self) -> bool {
        false
    }
    fn repeatable(&self) -> bool {
        true
    }
}
