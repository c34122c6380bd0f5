//! The task that follows one range of etcd: read, watch from the next revision, begin anew on any
//! end of the watch. What is made of the entries is [`Kept`]'s to say.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Event, KeyValue, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, Lease};
use super::fault::{Fault, Kind};
use super::read::{self, MAX_MESSAGE, Snapshot};
use crate::registry::backoff::Backoff;

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

/// What is made of a range's entries, and told to whoever listens.
pub(super) trait Kept: Send {
    /// What the entries tell, in the plural.
    const WHAT: &'static str;
    /// The keys alone tell it.
    const KEYS_ONLY: bool;
    /// What else a person can do where the range is denied, as the end of a sentence; may be empty.
    const OTHERWISE: &'static str;

    /// Takes in a fresh read. Says whether there is anything to publish.
    fn replace(&mut self, entries: &[KeyValue]) -> bool;
    /// Takes in one put. Says whether there is anything to publish.
    fn put(&mut self, entry: &KeyValue) -> bool;
    /// Takes in one deletion. Says whether there is anything to publish.
    fn delete(&mut self, key: &[u8]) -> bool;
    /// Tells how things stand.
    fn publish(&mut self);
    /// Tells that etcd refuses to tell, unless something is known already: that stays.
    fn refuse(&mut self, why: &Arc<str>);
}

/// Follows `range` for ever.
pub(super) async fn follow(connection: Arc<Connection>, range: String, kept: impl Kept) {
    let mut follower = Follower {
        connection,
        range,
        kept,
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

struct Follower<K> {
    connection: Arc<Connection>,
    range: String,
    kept: K,
    /// It changed since it was last published.
    unpublished: bool,
    /// What etcd refuses, as it was last logged.
    denied: Option<Arc<str>>,
}

impl<K: Kept> Follower<K> {
    /// One read and one watch, to its end.
    async fn round(&mut self, backoff: &mut Backoff) -> End {
        let (lease, snapshot) = match read::read(&self.connection, &self.range, K::KEYS_ONLY).await
        {
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
                tracing::warn!(range = %self.range, "etcd went back to an earlier revision: reading anew");
            }
            End::Lost(_) | End::Failed(_) => {
                tracing::debug!(range = %self.range, cause = end.cause(), "the watch ended: reading anew");
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
        let code = fault.code();
        if fault.kind == Kind::Denied && self.denied.as_ref() != Some(&why) {
            tracing::error!(range = %self.range, %code, "etcd refuses to tell the {}: {why}", K::WHAT);
            self.denied = Some(Arc::clone(&why));
        }
        self.kept.refuse(&format!("{why} ({code})").into());
    }

    /// What a person must do, with the range and the command.
    fn refusal(&self, fault: &Fault) -> Arc<str> {
        let (text, range) = (&fault.text, &self.range);
        let options = self.connection.options();
        let user = options.user.as_deref();
        let again = format!("{:?}", options.retry_refused_every);
        let end = String::from_utf8_lossy(&read::end_of(range)).into_owned();
        let what = match (fault.kind, user) {
            (Kind::Denied, user) => {
                let who = match user {
                    Some(user) => format!("user {user:?} may not"),
                    None => "a registry without `user` may not".to_owned(),
                };
                format!(
                    "{who} read the keys from {range:?} up to {end:?}; grant it to one of the user's roles: \
                     etcdctl role grant-permission ROLE --prefix=true read {range}{}",
                    K::OTHERWISE
                )
            }
            (_, Some(user)) => format!("check `user` ({user:?}) and `password`"),
            (_, None) => "this registry has no `user` and no `password` in the config".to_owned(),
        };
        format!("{text}: {what}; etcd is asked again every {again}").into()
    }

    fn replace(&mut self, snapshot: &Snapshot) {
        let is_news = self.kept.replace(&snapshot.entries);
        self.connection.synced();
        self.denied = None;
        if is_news || self.unpublished {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.unpublished = false;
        self.kept.publish();
    }

    async fn open(
        &self,
        lease: &Lease,
        revision: i64,
    ) -> Result<(WatchRequestSender, WatchResponseStream), Fault> {
        let options = WatchOptions::new()
            .with_range(read::end_of(&self.range))
            .with_start_revision(revision + 1)
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

    /// Says whether there is anything to publish.
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
        match entry.version() {
            0 => self.kept.delete(entry.key()),
            _ => self.kept.put(entry),
        }
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
