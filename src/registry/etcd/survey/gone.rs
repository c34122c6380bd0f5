//! What was registered, and is no more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use etcd_client::{Event, GetOptions, ResponseHeader, WatchOptions, WatchStream};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::reader::{Pages, Reader};
use crate::registry::etcd::read::{MAX_MESSAGE, end_of};
use crate::registry::survey::ServiceSeen;

/// What a look back may take, for one service.
const LIMIT: Duration = Duration::from_secs(1);
/// etcd does not say that it has told all. It hands history out every 100 ms: silence means the end.
const QUIET: Duration = Duration::from_millis(300);
/// How far back: etcd goes through all that happened, whichever keys are asked for.
const MAX_REVISIONS: i64 = 100_000;
const MAX_EVENTS: usize = 5000;
const AT_ONCE: usize = 8;
/// Addresses told of one service.
const MAX_GONE: usize = 1000;
/// Keys that are looked through for what is registered under another name.
const MAX_KEYS: usize = 100_000;

/// Those of each service, in the same order.
pub(super) async fn of(reader: &Reader<'_>, services: &[ServiceSeen]) -> Vec<Vec<String>> {
    let each: Vec<_> = services.iter().map(|it| one(reader, it)).collect();
    stream::iter(each).buffered(AT_ONCE).collect().await
}

/// Addresses that stand in the keys of any service, of the ports of those that are gone. `None` where not all keys may be
/// read, or where they are too many.
pub(super) async fn still(reader: &Reader<'_>, gone: &[Vec<String>]) -> Option<Vec<String>> {
    let ports: HashSet<&str> = gone.iter().flatten().filter_map(|it| port(it)).collect();
    let mut still = Vec::new();
    if ports.is_empty() {
        return Some(still);
    }
    let range = reader.options.layout.range_of_names("");
    let mut pages = Pages::new(reader, range.clone().into(), end_of(&range), true);
    loop {
        let page = pages.next().await.ok()?;
        if pages.total > MAX_KEYS {
            return None;
        }
        if page.is_empty() {
            return Some(still);
        }
        let keys = page.iter().filter_map(|entry| entry.key_str().ok());
        let addresses = keys.filter_map(|key| Some(key.rsplit_once('/')?.1));
        let of_ports = addresses.filter(|it| port(it).is_some_and(|it| ports.contains(it)));
        still.extend(of_ports.map(str::to_owned));
    }
}

/// The port of an address as text, whatever stands before it.
fn port(address: &str) -> Option<&str> {
    address.rsplit_once(':').map(|(_, port)| port)
}

/// Nothing, where history cannot be read.
async fn one(reader: &Reader<'_>, service: &ServiceSeen) -> Vec<String> {
    let until = Instant::now() + LIMIT.min(reader.left());
    let range = reader.options.layout.range(&service.name);
    let mut history = History::default();
    let _ = timeout_at(until, history.read(reader, &range)).await;
    let present = service.set.instances.iter();
    history.told(&present.map(|it| it.address.as_str()).collect())
}

/// The last address of each key that was deleted, and when.
#[derive(Default)]
struct History {
    deleted: HashMap<Vec<u8>, (i64, String)>,
    events: usize,
}

impl History {
    async fn read(&mut self, reader: &Reader<'_>, range: &str) -> Option<()> {
        let any = GetOptions::new().with_count_only();
        let answer = reader.get(range.into(), &any).await.ok()?;
        let now = answer.header().map_or(0, ResponseHeader::revision);
        let mut from = (now - MAX_REVISIONS).max(1);
        while from <= now {
            let mut stream = watch(reader, range, from).await?;
            match self.follow(reader, range, &mut stream, now).await {
                Some(compacted) if compacted >= from => from = compacted + 1,
                _ => break,
            }
        }
        Some(())
    }

    /// Takes in what etcd tells, up to the revision `now`; where it cannot since that is compacted, up to which.
    async fn follow(
        &mut self,
        reader: &Reader<'_>,
        range: &str,
        stream: &mut WatchStream,
        now: i64,
    ) -> Option<i64> {
        while let Ok(Ok(Some(message))) = timeout(QUIET, stream.message()).await {
            if message.canceled() {
                return Some(message.compact_revision());
            }
            for event in message.events() {
                self.take(reader, range, event);
            }
            let last = message.events().last().and_then(Event::kv);
            if self.events >= MAX_EVENTS || last.is_some_and(|it| it.mod_revision() >= now) {
                break;
            }
        }
        None
    }

    fn take(&mut self, reader: &Reader<'_>, range: &str, event: &Event) {
        self.events += 1;
        let Some(entry) = event.kv() else { return };
        if entry.version() > 0 {
            self.deleted.remove(entry.key());
            return;
        }
        let layout = &reader.options.layout;
        let before = event.prev_kv();
        let read = before.map(|it| layout.read(range, entry.key(), it.value(), 0));
        let address = match read {
            Some(Ok(instance)) => instance.address,
            Some(Err(_)) => return,
            // Its value is compacted; Kitex's keys say the same.
            None => match entry.key_str() {
                Ok(key) => key.strip_prefix(range).unwrap_or(key).to_owned(),
                Err(_) => return,
            },
        };
        let at = entry.mod_revision();
        self.deleted.insert(entry.key().to_vec(), (at, address));
    }

    /// The newest first, each once, without those that are there.
    fn told(self, present: &HashSet<&str>) -> Vec<String> {
        let mut all: Vec<_> = self.deleted.into_values().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let mut seen = HashSet::new();
        all.into_iter()
            .map(|(_, address)| address)
            .filter(|address| !present.contains(&**address) && seen.insert(address.clone()))
            .take(MAX_GONE)
            .collect()
    }
}

async fn watch(reader: &Reader<'_>, range: &str, from: i64) -> Option<WatchStream> {
    let options = WatchOptions::new()
        .with_range(end_of(range))
        .with_start_revision(from)
        .with_prev_key()
        .with_fragment();
    let client = reader.client.watch_client();
    let mut client = client.max_decoding_message_size(MAX_MESSAGE);
    client.watch(range, Some(options)).await.ok()
}
