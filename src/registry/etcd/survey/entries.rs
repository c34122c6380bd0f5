//! The registrations, and the names of the services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use etcd_client::KeyValue;
use tokio::time::Instant;

use super::leases::Leases;
use super::reader::{Pages, Reader};
use crate::registry::etcd::fault::{Fault, Kind};
use crate::registry::etcd::read::end_of;
use crate::registry::survey::{ServiceSeen, Survey};
use crate::registry::{Layout, ReadSet};

/// Entries that are kept at most, and the bytes of their values: a survey must fit into memory.
const MAX_KEPT: usize = 100_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Names that are kept at most.
const MAX_NAMES: usize = 10_000;
/// Names are read by looking at a few keys, and skipping the rest of the last one's service.
const NAMES_PAGE: i64 = 200;

/// All services. Keys that tell of none are other programs', and passed over.
pub(super) async fn all(reader: &Reader<'_>, survey: &mut Survey) -> Leases {
    let layout = &reader.options.layout;
    let range = layout.range_of_names("");
    let mut pages = Pages::new(reader, range.clone().into(), end_of(&range), false);
    let mut kept = Kept::new(layout);
    let mut services: BTreeMap<Arc<str>, ServiceSeen> = BTreeMap::new();
    let mut told: BTreeSet<Arc<str>> = BTreeSet::new();
    let ended = loop {
        let page = match pages.next().await {
            Ok(page) if page.is_empty() => break None,
            Ok(page) => page,
            Err(fault) => break Some(fault),
        };
        for entry in &page {
            let Some((name, address)) = layout.name_of(entry.key()) else {
                continue;
            };
            if !told.contains(name) && layout.tells_service(address, entry.value()) {
                told.insert(name.into());
            }
            if !services.contains_key(name) && services.len() == MAX_NAMES {
                kept.left_out += 1;
                continue;
            }
            let service = services
                .entry(name.into())
                .or_insert_with_key(|name| ServiceSeen::new(name.clone(), nothing()));
            kept.put(service, &layout.range(name), entry);
        }
        if kept.is_full() {
            break None;
        }
    };
    survey.left_out = kept.left_out + pages.total - pages.read;
    kept.leases.keep_those_of(|name| told.contains(name));
    let (services, others): (Vec<_>, Vec<_>) = services
        .into_values()
        .partition(|service| told.contains(&service.name));
    let keys = |it: &ServiceSeen| it.set.instances.len() + it.set.skipped.len();
    survey.passed_over = others.iter().map(keys).sum();
    survey.names = services.iter().map(|it| it.name.clone()).collect();
    survey.services = services;
    match ended {
        Some(fault) => survey.failed = Some(reader.stopped(&fault, &range, pages.read)),
        None if kept.is_full() => rest_of_names(reader, survey).await,
        None => {}
    }
    kept.leases
}

/// These services, and the names of all.
pub(super) async fn of(reader: &Reader<'_>, asked: &[Arc<str>], survey: &mut Survey) -> Leases {
    let mut kept = Kept::new(&reader.options.layout);
    for name in asked {
        let mut service = ServiceSeen::new(name.clone(), nothing());
        if let Err(fault) = one(reader, &mut service, &mut kept).await {
            let is_away = !matches!(fault.kind, Kind::Denied);
            let range = reader.options.layout.range(name);
            let told = reader.stopped(&fault, &range, service.set.instances.len());
            survey.failed = is_away.then(|| told.clone());
            service.failed = Some(told);
        }
        survey.services.push(service);
        if survey.failed.is_some() {
            return kept.leases;
        }
    }
    survey.left_out = kept.left_out;
    rest_of_names(reader, survey).await;
    kept.leases
}

async fn one(
    reader: &Reader<'_>,
    service: &mut ServiceSeen,
    kept: &mut Kept<'_>,
) -> Result<(), Fault> {
    let range = reader.options.layout.range(&service.name);
    let mut pages = Pages::new(reader, range.clone().into(), end_of(&range), false);
    loop {
        let page = pages.next().await;
        for entry in page.iter().flatten() {
            kept.put(service, &range, entry);
        }
        if page?.is_empty() || kept.is_full() {
            let left = pages.total - pages.read;
            service.partly |= left > 0;
            kept.left_out += left;
            return Ok(());
        }
    }
}

/// The names behind those that are known. What keeps them from being read is no failure of what was asked for.
async fn rest_of_names(reader: &Reader<'_>, survey: &mut Survey) {
    let range = reader.options.layout.range_of_names("");
    if let Err(fault) = names(reader, &range, &mut survey.names).await {
        let told = reader.fault(&fault, &range);
        survey.names_unread = Some(told.text);
    }
}

async fn names(
    reader: &Reader<'_>,
    range: &str,
    names: &mut BTreeSet<Arc<str>>,
) -> Result<(), Fault> {
    let layout = &reader.options.layout;
    let start = names.last().map_or_else(
        || range.as_bytes().to_vec(),
        |last| end_of(&layout.range(last)),
    );
    let keys_only = layout.tells_by_keys();
    let mut pages = Pages::new(reader, start, end_of(range), keys_only).of(NAMES_PAGE);
    while names.len() < MAX_NAMES {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        if let Some((name, _)) = layout.name_of(last.key()) {
            pages.skip_to(end_of(&layout.range(name)));
        }
        let found = page.iter().filter_map(|entry| {
            let (name, address) = layout.name_of(entry.key())?;
            let is_told = layout.tells_service(address, entry.value());
            is_told.then(|| Arc::from(name))
        });
        names.extend(found);
    }
    Ok(())
}

/// What is kept of all the entries that are read.
struct Kept<'a> {
    layout: &'a Layout,
    entries: usize,
    bytes: usize,
    left_out: usize,
    leases: Leases,
}

impl<'a> Kept<'a> {
    fn new(layout: &'a Layout) -> Self {
        Kept {
            layout,
            entries: 0,
            bytes: 0,
            left_out: 0,
            leases: Leases::default(),
        }
    }

    fn is_full(&self) -> bool {
        self.entries >= MAX_KEPT || self.bytes >= MAX_BYTES
    }

    fn put(&mut self, service: &mut ServiceSeen, range: &str, entry: &KeyValue) {
        if self.is_full() {
            self.left_out += 1;
            service.partly = true;
            return;
        }
        self.entries += 1;
        let revision = u64::try_from(entry.mod_revision()).unwrap_or(0);
        let read = self
            .layout
            .read(range, entry.key(), entry.value(), revision);
        let key = match read {
            Ok(instance) => {
                self.bytes += entry.key().len() + entry.value().len();
                let key = instance.key.clone();
                service.set.instances.push(Arc::new(instance));
                key
            }
            Err(skipped) => {
                let key = skipped.key.clone();
                self.bytes += key.len() + skipped.why.len();
                service.set.skipped.push(skipped);
                key
            }
        };
        self.leases.add(entry.lease(), &service.name, key);
    }
}

fn nothing() -> ReadSet {
    ReadSet {
        instances: Vec::new(),
        skipped: Vec::new(),
        at: Instant::now(),
        stale: false,
    }
}
