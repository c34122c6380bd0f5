//! Whether what is missing stands under another prefix.

use std::collections::BTreeMap;
use std::sync::Arc;

use etcd_client::GetOptions;

use super::reader::Reader;
use crate::registry::address::is_of_tcp;
use crate::registry::etcd::read::end_of;
use crate::registry::survey::Elsewhere;
use crate::registry::{KITEX_PREFIX, Layout, is_name};

/// Keys that are looked at.
const MAX_KEYS: i64 = 2000;
/// Prefixes that are told.
const MAX_PREFIXES: usize = 20;

/// Other prefixes that hold services, first those that hold one of `asked`. What may not be read is not there.
pub(super) async fn look(reader: &Reader<'_>, asked: &[Arc<str>]) -> Vec<Elsewhere> {
    let Layout::Kitex { prefix: own } = &reader.options.layout;
    let mut found = Found::default();
    // The common ones, by name: a role may read no more than that, and the whole may be large.
    let usual = ["", KITEX_PREFIX].into_iter().filter(|it| it != own);
    for prefix in usual {
        for service in asked.iter().take(MAX_PREFIXES) {
            let range = format!("{prefix}/{service}/");
            let one = GetOptions::new().with_range(end_of(&range)).with_limit(1);
            found.take(reader, range.into(), one, own, asked).await;
        }
    }
    let all = GetOptions::new().with_from_key().with_limit(MAX_KEYS);
    found.take(reader, vec![0], all, own, asked).await;
    found.told()
}

/// One service under each prefix, and whether it was asked for.
#[derive(Default)]
struct Found(BTreeMap<String, (bool, Arc<str>)>);

impl Found {
    async fn take(
        &mut self,
        reader: &Reader<'_>,
        start: Vec<u8>,
        options: GetOptions,
        own: &str,
        asked: &[Arc<str>],
    ) {
        let Ok(answer) = reader.get(start, &options.with_keys_only()).await else {
            return;
        };
        let shaped = answer.kvs().iter().filter_map(|entry| shape(entry.key()));
        for (prefix, service) in shaped {
            let is_own = prefix
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') && !own.is_empty());
            if is_own {
                continue;
            }
            let is_asked = asked.iter().any(|it| **it == *service);
            let entry = self.0.entry(prefix.to_owned());
            let before = entry.or_insert_with(|| (is_asked, service.into()));
            if is_asked && !before.0 {
                *before = (true, service.into());
            }
        }
    }

    fn told(self) -> Vec<Elsewhere> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by_key(|(_, (is_asked, _))| !is_asked);
        let told = all.into_iter().take(MAX_PREFIXES);
        told.map(|(prefix, (_, service))| Elsewhere { prefix, service })
            .collect()
    }
}

/// Prefix and service of a key that Kitex's registrar could have put: `{prefix}/{service}/{host}:{port}`.
fn shape(key: &[u8]) -> Option<(&str, &str)> {
    let (rest, address) = std::str::from_utf8(key).ok()?.rsplit_once('/')?;
    let (prefix, service) = rest.rsplit_once('/')?;
    (is_of_tcp(address) && is_name(service)).then_some((prefix, service))
}
