//! One range, read whole at one revision.

use std::time::Duration;

use etcd_client::{GetOptions, GetResponse, KeyValue, KvClient};
use tokio::time::timeout;

use super::connection::{Connection, Lease};
use super::fault::{Fault, Kind};

/// Keys asked for at once: far below any limit on the size of an answer, for values as small as
/// registrations are.
const PAGE: i64 = 1000;
/// The library's own limit is 4 MiB.
pub(super) const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// All entries of a range at one revision.
pub(super) struct Snapshot {
    pub(super) revision: i64,
    pub(super) entries: Vec<KeyValue>,
}

/// Reads the range from the first endpoint that answers; each is asked once, and once more after
/// signing in again.
pub(super) async fn read(
    connection: &Connection,
    range: &str,
    keys_only: bool,
) -> Result<(Lease, Snapshot), Fault> {
    let tries = connection.options().endpoints.len() + 1;
    let mut last = None;
    for _ in 0..tries {
        let lease = connection.client().await?;
        let limit = connection.options().request_timeout;
        let fault = match read_once(&lease, range, keys_only, limit).await {
            Ok(snapshot) => return Ok((lease, snapshot)),
            Err(fault) => fault.at(&lease.endpoint, connection.options().cert.is_some()),
        };
        match fault.kind {
            Kind::Away | Kind::Token | Kind::AuthOff => connection.failed(&lease, &fault).await,
            Kind::Compacted => {}
            Kind::Credentials | Kind::Denied | Kind::TooLarge => return Err(fault),
        }
        last = Some(fault);
    }
    Err(settle_token(connection, last))
}

/// A token that is refused although it was fetched a moment ago is no token's fault.
fn settle_token(connection: &Connection, last: Option<Fault>) -> Fault {
    match last {
        Some(fault) if fault.kind == Kind::Token && connection.options().user.is_none() => {
            Fault::new(
                Kind::Credentials,
                format!(
                    "{}: etcd has authentication enabled: give user and password",
                    fault.text
                ),
            )
        }
        Some(fault) => fault,
        None => Fault::new(Kind::Away, "no endpoint answered"),
    }
}

async fn read_once(
    lease: &Lease,
    range: &str,
    keys_only: bool,
    limit: Duration,
) -> Result<Snapshot, Fault> {
    let mut page = PAGE;
    loop {
        let options = GetOptions::new().with_range(end_of(range)).with_limit(page);
        let options = match keys_only {
            true => options.with_keys_only(),
            false => options,
        };
        match read_pages(lease, range, &options, limit).await {
            Err(fault) if fault.kind == Kind::TooLarge && page > 1 => page /= 10,
            other => return other,
        }
    }
}

async fn read_pages(
    lease: &Lease,
    range: &str,
    options: &GetOptions,
    limit: Duration,
) -> Result<Snapshot, Fault> {
    let mut kv = lease
        .client
        .kv_client()
        .max_decoding_message_size(MAX_MESSAGE);
    let mut answer = get(&mut kv, range.as_bytes().to_vec(), options.clone(), limit).await?;
    let revision = answer
        .header()
        .map_or(0, etcd_client::ResponseHeader::revision);
    let mut entries = answer.take_kvs();
    while answer.more() {
        let Some(last) = entries.last() else { break };
        let mut next = last.key().to_vec();
        next.push(0);
        answer = get(
            &mut kv,
            next,
            options.clone().with_revision(revision),
            limit,
        )
        .await?;
        let more = answer.take_kvs();
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    Ok(Snapshot { revision, entries })
}

async fn get(
    kv: &mut KvClient,
    key: Vec<u8>,
    options: GetOptions,
    limit: Duration,
) -> Result<GetResponse, Fault> {
    match timeout(limit, kv.get(key, Some(options))).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::timeout("a read", limit)),
    }
}

/// The first key behind all that begin with `range`. One exists, since no text ends in the byte 255.
pub(super) fn end_of(range: &str) -> Vec<u8> {
    let mut end = range.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}
