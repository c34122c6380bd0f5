//! The task that follows one service in etcd: read, watch from the next revision, begin anew on any
//! end of the watch.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Event, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, Lease};
use super::fault::{Fault, Kind};
use super::read::{self, MAX_MESSAGE, Snapshot};
use super::table::{Put, Table};
use crate::registry::backoff::Backoff;
use crate::registry::state::Saver;
use crate::registry::{Known, StateDir};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A watch that lived so long was a good one: the next wait is short again.
const GOOD_WATCH: Duration = Duration::from_secs(5);
/// Events that come close together are published as one change.
const GATHER: Duration = Duration::from_millis(10);
/// How often etcd is asked whether the watch lives, and how long it may say nothing at all.
const ASK_EVERY: Duration = Duration::from_secs(15);
const SILENT: Duration = Duration::from_secs(50);

/// Why a round ended.
enum End {
    /// Time to read everything anew; nothing is wrong.
    Relist,
    /// etcd's revision is lower than what we read: it was wiped or restored.
    Rewound,
    /// The stream ended or said nothing for too long.
    Lost(&'static str),
    /// An error, or a cancelled watch.
    Failed(Fault),
}

/// Follows `service` until all receivers are dropped.
pub(super) fn spawn(connection: Arc<Connection>, service: &str) -> watch::Receiver<Known> {
    let (known, receiver) = watch::channel(Known::Unread);
    let service: Arc<str> = service.into();
    tokio::spawn(async move {
        let unwanted = known.clone();
        tokio::select! {
            () = unwanted.closed() => {}
            () = run(connection, service, known) => {}
        }
    });
    receiver
}

async fn run(connection: Arc<Connection>, service: Arc<str>, known: watch::Sender<Known>) {
    let options = connection.options();
    let state = options
        .state_dir
        .as_ref()
        .map(|dir| StateDir::new(dir, &options.name));
    if let Some(state) = state.clone() {
        remember(state, Arc::clone(&service), &known).await;
    }
    let saver = state.map(|state| Saver::spawn(state, Arc::clone(&service)));
    let range = options.layout.range(&service);
    let table = Table::new(options.layout.clone(), range.clone());
    let mut follower = Follower {
        connection: Arc::clone(&connection),
        service,
        range,
        table,
        known,
        saver,
        unpublished: false,
        denied: None,
    };
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let end = follower.round(&mut backoff).await;
        let wait = follower.after(&end, &mut backoff);
        sleep(wait).await;
    }
}

/// Publishes what an earlier run of tidegate left, until etcd says more.
async fn remember(state: StateDir, service: Arc<str>, known: &watch::Sender<Known>) {
    let name = Arc::clone(&service);
    if let Ok(Some(set)) = tokio::task::spawn_blocking(move || state.load(&name)).await {
        tracing::info!(%service, instances = set.instances.len(), "instances of an earlier run, until etcd is read");
        known.send_replace(Known::Read(Arc::new(set)));
    }
}

struct Follower {
    connection: Arc<Connection>,
    service: Arc<str>,
    range: String,
    table: Table,
    known: watch::Sender<Known>,
    saver: Option<Saver>,
    /// The table changed since it was last published.
    unpublished: bool,
    /// What etcd refuses this service, as it was last logged.
    denied: Option<Arc<str>>,
}

impl Follower {
    /// One read and one watch, to its end.
    async fn round(&mut self, backoff: &mut Backoff) -> End {
        let (lease, snapshot) = match read::read(&self.connection, &self.range).await {
            Ok(read) => read,
            Err(fault) => {
                self.unread(&fault);
                return End::Failed(fault);
            }
        };
        let revision = snapshot.revision;
        self.replace(&snapshot);
        let begun = Instant::now();
        let end = match self.open(&lease, revision).await {
            Ok((asking, stream)) => self.watch(asking, stream, revision).await,
            Err(fault) => End::Failed(fault),
        };
        if begun.elapsed() >= GOOD_WATCH {
            backoff.reset();
        }
        if !matches!(end, End::Relist) {
            self.connection.watcher().watch_restarted(end.cause());
        }
        self.give_up(&lease, &end).await;
        end
    }

    /// How long to wait before the next round.
    fn after(&self, end: &End, backoff: &mut Backoff) -> Duration {
        match end {
            End::Relist => return Duration::ZERO,
            End::Failed(fault) if fault.is_final() => {
                return self.connection.options().retry_refused_every;
            }
            End::Rewound => {
                tracing::warn!(service = %self.service, "etcd went back to an earlier revision: reading anew");
            }
            End::Lost(_) | End::Failed(_) => {
                tracing::debug!(service = %self.service, cause = end.cause(), "the watch ended: reading anew");
            }
        }
        backoff.next()
    }

    /// Says that a client is dead where the end of a watch shows it.
    async fn give_up(&self, lease: &Lease, end: &End) {
        let fault = match end {
            End::Failed(fault) => fault.clone(),
            End::Lost(_) => Fault::new(Kind::Away, end.cause()),
            End::Relist | End::Rewound => return,
        };
        if matches!(fault.kind, Kind::Away | Kind::Token | Kind::AuthOff) {
            self.connection.failed(lease, &fault).await;
        }
    }

    /// The read failed. A refusal is told only where nothing is known: else the last set stays.
    fn unread(&mut self, fault: &Fault) {
        let refused = fault.is_final().then(|| self.refusal(fault));
        let told = refused.as_ref().map_or_else(
            || fault.clone(),
            |why| Fault::new(fault.kind, Arc::clone(why)),
        );
        self.connection.unwell(&told);
        let Some(why) = refused else { return };
        if fault.kind == Kind::Denied && self.denied.as_ref() != Some(&why) {
            tracing::error!(service = %self.service, "etcd refuses to tell the instances: {why}");
            self.denied = Some(Arc::clone(&why));
        }
        self.known.send_if_modified(|known| {
            let is_news = match known {
                Known::Unread => true,
                Known::Denied(before) => *before != why,
                Known::Read(_) => false,
            };
            if is_news {
                *known = Known::Denied(Arc::clone(&why));
            }
            is_news
        });
    }

    /// What a person must do, with the range and the command.
    fn refusal(&self, fault: &Fault) -> Arc<str> {
        let (text, range) = (&fault.text, &self.range);
        let user = self.connection.options().user.as_deref().unwrap_or("none");
        let end = String::from_utf8_lossy(&read::end_of(range)).into_owned();
        match fault.kind {
            Kind::Denied => format!(
                "{text}: user {user:?} may not read the keys from {range:?} up to {end:?}; grant it to one of the \
                 user's roles: etcdctl role grant-permission ROLE --prefix=true read {range}"
            )
            .into(),
            _ => format!("{text}: check user ({user:?}) and password of this registry").into(),
        }
    }

    fn replace(&mut self, snapshot: &Snapshot) {
        let puts = snapshot.entries.iter().map(|entry| Put {
            key: entry.key(),
            value: entry.value(),
            revision: entry.mod_revision(),
        });
        let (differs, findings) = self.table.replace(puts);
        let watcher = self.connection.watcher();
        findings.into_iter().for_each(|code| watcher.skipped(code));
        self.connection.synced();
        self.denied = None;
        let is_fresh = matches!(&*self.known.borrow(), Known::Read(set) if !set.stale);
        if differs || self.unpublished || !is_fresh {
            watcher.update("full");
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.unpublished = false;
        let set = Arc::new(self.table.set());
        if let Some(saver) = &self.saver {
            saver.save(Arc::clone(&set));
        }
        self.known.send_replace(Known::Read(set));
    }

    async fn open(
        &self,
        lease: &Lease,
        revision: i64,
    ) -> Result<(WatchRequestSender, WatchResponseStream), Fault> {
        let options = WatchOptions::new()
            .with_range(read::end_of(&self.range))
            .with_start_revision(revision + 1)
            .with_prev_key()
            .with_fragment()
            .with_progress_notify();
        let mut client = lease
            .client
            .watch_client()
            .max_decoding_message_size(MAX_MESSAGE);
        let limit = self.connection.options().request_timeout;
        match timeout(limit, client.watch(self.range.as_str(), Some(options))).await {
            Ok(stream) => Ok(stream?.split()),
            Err(_) => Err(Fault::timeout("a watch", limit)),
        }
    }

    async fn watch(
        &mut self,
        mut asking: WatchRequestSender,
        mut stream: WatchResponseStream,
        revision: i64,
    ) -> End {
        let begun = Instant::now();
        let relist = begun
            + self
                .connection
                .options()
                .relist_every
                .mul_f64(0.9 + fastrand::f64() * 0.2);
        let mut created = false;
        let mut heard = begun;
        let mut ask = begun + ASK_EVERY;
        let mut publish: Option<Instant> = None;
        let first = begun + self.connection.options().request_timeout;
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => {
                        if let Some(end) = check(&message, revision) {
                            return end;
                        }
                        (created, heard) = (true, Instant::now());
                        if self.apply(&message) {
                            self.unpublished = true;
                            publish = publish.or(Some(heard + GATHER));
                        }
                    }
                    Ok(None) => return End::Lost("closed"),
                    Err(error) => return End::Failed(error.into()),
                },
                () = sleep_until(publish.unwrap_or(relist)), if publish.is_some() => {
                    publish = None;
                    self.publish();
                }
                () = sleep_until(first), if !created => return End::Lost("silent"),
                () = sleep_until(relist), if publish.is_none() => return End::Relist,
                () = sleep_until(ask) => {
                    ask += ASK_EVERY;
                    if heard.elapsed() > SILENT || asking.request_progress().await.is_err() {
                        return End::Lost("silent");
                    }
                }
            }
        }
    }

    /// Says whether the set changed.
    fn apply(&mut self, message: &WatchResponse) -> bool {
        self.connection.synced();
        let mut changed = false;
        for event in message.events() {
            changed |= self.apply_event(event);
        }
        changed
    }

    /// A deletion is told by its version of 0: the library's own reading of the kind of event panics
    /// at one that it does not know.
    fn apply_event(&mut self, event: &Event) -> bool {
        let Some(entry) = event.kv() else {
            return false;
        };
        let watcher = self.connection.watcher();
        if entry.version() == 0 {
            watcher.update("delete");
            return self.table.delete(entry.key());
        }
        watcher.update("put");
        let put = Put {
            key: entry.key(),
            value: entry.value(),
            revision: entry.mod_revision(),
        };
        if let Some(code) = self.table.put(&put) {
            watcher.skipped(code);
        }
        true
    }
}

impl End {
    /// The word for metrics.
    fn cause(&self) -> &'static str {
        match self {
            End::Relist => "relist",
            End::Rewound => "rewound",
            End::Lost(cause) => cause,
            End::Failed(fault) => fault.cause(),
        }
    }
}

/// Whether a message ends the watch. A cancelled watch stays silent on an open stream; a watch from
/// a revision that etcd has not reached (again) is accepted, and just as silent.
fn check(message: &WatchResponse, revision: i64) -> Option<End> {
    if message.canceled() {
        return Some(End::Failed(Fault::canceled(
            message.cancel_reason(),
            message.compact_revision(),
        )));
    }
    let now = message
        .header()
        .map_or(revision, etcd_client::ResponseHeader::revision);
    (now < revision).then_some(End::Rewound)
}
