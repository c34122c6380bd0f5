//! Reads from a member that answered, within the time that is left.

use std::time::Duration;

use etcd_client::{Client, GetOptions, GetResponse, KeyValue, ResponseHeader};
use tokio::time::{Instant, timeout};

use super::step;
use crate::registry::etcd::fault::{Fault, Kind};
use crate::registry::etcd::options::EtcdOptions;
use crate::registry::etcd::read::MAX_MESSAGE;
use crate::registry::survey::MemberFault;

/// The first page of entries. More are asked for at once as long as that does not take long: over a slow line a large
/// page would not come in time; but etcd goes through all that is left of a range for each page of it, to count it, so
/// that a few large pages cost it less than many small ones.
const FIRST_PAGE: i64 = 1000;
const MAX_PAGE: i64 = 16_000;

/// A client to a member that answered.
pub(super) struct Reader<'a> {
    pub(super) client: Client,
    pub(super) options: &'a EtcdOptions,
    until: Instant,
}

impl<'a> Reader<'a> {
    pub(super) fn new(client: Client, options: &'a EtcdOptions, until: Instant) -> Self {
        Reader {
            client,
            options,
            until,
        }
    }

    /// What one request may still take.
    pub(super) fn left(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left.min(self.options.request_timeout)
    }

    /// One read.
    pub(super) async fn get(
        &self,
        key: Vec<u8>,
        options: &GetOptions,
    ) -> Result<GetResponse, Fault> {
        let left = self.left();
        if left.is_zero() {
            return Err(Fault::new(Kind::Away, "the time for one look is over"));
        }
        let kv = self.client.kv_client();
        let mut kv = kv.max_decoding_message_size(MAX_MESSAGE);
        match timeout(left, kv.get(key, Some(options.clone()))).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::timeout("a read", left)),
        }
    }

    /// As the one who looks is told.
    pub(super) fn fault(&self, fault: &Fault, range: &str) -> MemberFault {
        step(self.options, fault, range)
    }

    /// An end before the end.
    pub(super) fn stopped(&self, fault: &Fault, range: &str, read: usize) -> MemberFault {
        let mut told = self.fault(fault, range);
        if told.step == "answer" {
            let text = &told.text;
            told.text = format!(
                "it answered, but stopped in the middle of {range:?}, after {read} keys: {text}"
            );
        }
        told
    }
}

/// A range, page by page, all of it as it was at one moment.
pub(super) struct Pages<'a> {
    reader: &'a Reader<'a>,
    next: Vec<u8>,
    options: GetOptions,
    size: i64,
    max_size: i64,
    revision: i64,
    more: bool,
    /// The keys of the range, read or not; known with the first page.
    pub(super) total: usize,
    /// Those that were read.
    pub(super) read: usize,
}

impl<'a> Pages<'a> {
    /// From `start` up to `end`, as `options` say.
    pub(super) fn new(
        reader: &'a Reader<'a>,
        start: Vec<u8>,
        end: Vec<u8>,
        keys_only: bool,
    ) -> Self {
        let options = GetOptions::new().with_range(end);
        Pages {
            reader,
            next: start,
            options: match keys_only {
                true => options.with_keys_only(),
                false => options,
            },
            size: FIRST_PAGE,
            max_size: MAX_PAGE,
            revision: 0,
            more: true,
            total: 0,
            read: 0,
        }
    }

    /// With pages of just this many keys.
    pub(super) fn of(mut self, size: i64) -> Self {
        (self.size, self.max_size) = (size, size);
        self
    }

    /// The next page is to begin at this key.
    pub(super) fn skip_to(&mut self, key: Vec<u8>) {
        self.next = key;
    }

    /// The next entries; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<KeyValue>, Fault> {
        while self.more {
            let options = self.options.clone().with_limit(self.size);
            let options = options.with_revision(self.revision);
            let begun = Instant::now();
            match self.reader.get(self.next.clone(), &options).await {
                Ok(answer) => {
                    if begun.elapsed() * 3 < self.reader.options.request_timeout {
                        self.size = (self.size * 4).min(self.max_size);
                    }
                    return Ok(self.take(answer));
                }
                Err(fault) if fault.kind == Kind::TooLarge && self.size > 1 => {
                    self.size = (self.size / 10).max(1);
                    self.max_size = self.size;
                }
                // Compacted meanwhile: the rest is read as it is now.
                Err(fault) if fault.kind == Kind::Compacted && self.revision > 0 => {
                    self.revision = 0;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Vec::new())
    }

    fn take(&mut self, mut answer: GetResponse) -> Vec<KeyValue> {
        if self.revision == 0 {
            self.revision = answer.header().map_or(0, ResponseHeader::revision);
        }
        let entries = answer.take_kvs();
        let seen = usize::try_from(answer.count()).unwrap_or(0);
        self.total = self.total.max(seen).max(entries.len());
        self.read += entries.len();
        self.more = answer.more();
        match entries.last() {
            Some(last) => {
                self.next = last.key().to_vec();
                self.next.push(0);
            }
            None => self.more = false,
        }
        entries
    }
}
