//! `tidegate resolve`: what a caller would really dial, after rewrite rules, lanes and preferences, and why.
//!
//! It builds the very set of endpoints that a running tidegate picks from, of what is registered now and of nothing that
//! is known of anybody's health. No connection is made but to the registry.

use std::net::IpAddr;
use std::sync::Arc;

use crate::call::{Attribute, Attributes};
use crate::config::{Config, Key, NoKey};
use crate::doctor::case::{self, Case};
use crate::doctor::places::{self, Place};
use crate::doctor::report::Whole;
use crate::doctor::{missing, this_host};
use crate::endpoint::{Choice, Endpoint, EndpointSet, Member, Tags, Waiters};
use crate::finding::Code;
use crate::health::Peers;
use crate::registry::survey::MemberFault;
use crate::registry::{DialAddr, Shown};

pub mod json;
#[cfg(test)]
mod tests;
pub mod text;
mod words;

/// What a call says of itself: `env=gray`, `RPC_PERSIST_LANE=a`, `source=10.0.0.7`.
#[derive(Debug, Clone, Default)]
pub struct Says(Vec<(Key, Said)>);

#[derive(Debug, Clone)]
enum Said {
    Text(String),
    Source(IpAddr),
}

/// Why a text says nothing that a call can say of itself.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotSaid {
    /// No `=`, or nothing behind it.
    #[error("expected KEY=VALUE, such as env=gray, RPC_PERSIST_LANE=a or source=10.0.0.7")]
    NoPair,
    /// What stands before the `=`.
    #[error(transparent)]
    Key(#[from] NoKey),
    /// Of `source`.
    #[error("expected an IP address behind source=")]
    NoAddress,
}

impl Says {
    /// Adds a `KEY=VALUE`. Of a key that is there twice the last counts, as it does in a call.
    ///
    /// # Errors
    ///
    /// See [`NotSaid`].
    pub fn add(&mut self, pair: &str) -> Result<(), NotSaid> {
        let (key, value) = pair.split_once('=').ok_or(NotSaid::NoPair)?;
        if value.is_empty() {
            return Err(NotSaid::NoPair);
        }
        let key = Key::new(key)?;
        let said = match key {
            Key::Source => Said::Source(value.parse().map_err(|_| NotSaid::NoAddress)?),
            _ => Said::Text(value.to_owned()),
        };
        self.0.push((key, said));
        Ok(())
    }
}

impl Attributes for Says {
    fn attribute(&self, key: &Key) -> Option<Attribute<'_>> {
        let (_, said) = self.0.iter().rfind(|(it, _)| it == key)?;
        Some(match said {
            Said::Text(text) => Attribute::of_bytes(text.as_bytes()),
            Said::Source(ip) => Attribute::of_source(*ip),
        })
    }
}

/// What a call would come to.
pub struct Resolution {
    /// The service.
    pub service: Arc<str>,
    /// The registry's name, or `config`.
    pub registry: Arc<str>,
    /// Its way through lanes and preferences, and the endpoints that it may get.
    pub choice: Choice,
    /// Everything that is registered.
    pub shown: Vec<Shown>,
    /// Entries that cannot be read as registrations, with what is wrong.
    pub skipped: Vec<(String, Code, String)>,
    /// Why there is no service.
    pub missing: Option<Whole>,
    /// Why the call's lanes leave it without an instance, where they do.
    pub stranded: Option<String>,
}

impl Resolution {
    /// The registration that an endpoint stands for.
    #[must_use]
    pub fn behind(&self, endpoint: &Endpoint) -> Option<&Shown> {
        let mut used = self.shown.iter().filter(|it| it.used);
        used.find(|it| it.dial.as_ref() == Some(&endpoint.addr))
    }

    /// Registrations that are dialled, but not for this call.
    pub fn for_others(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(|it| {
            let is_it = |dial: &DialAddr| {
                let mut chances = self.choice.endpoints.iter();
                chances.any(|it| it.endpoint.addr == *dial)
            };
            it.used && !it.dial.as_ref().is_some_and(is_it)
        })
    }

    /// Registrations that are never dialled.
    pub fn not_dialled(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(|it| !it.used)
    }

    /// 0: something is dialled; 1: nothing.
    #[must_use]
    pub fn exit(&self) -> u8 {
        u8::from(self.choice.endpoints.is_empty())
    }
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// A registry whose options make no sense.
    #[error("{0}")]
    Registry(String),
    /// The registry could not be read.
    #[error("{registry}: {fault}")]
    Fault {
        /// Its name.
        registry: Arc<str>,
        /// Why not.
        fault: MemberFault,
    },
    /// There is none that may have the service.
    #[error("no registry may have {0}: the config names none for it")]
    Nowhere(Arc<str>),
}

/// Looks the service up, and says what a call of it would come to.
///
/// # Errors
///
/// See [`Unread`].
pub async fn resolve(
    config: &Config,
    service: &Arc<str>,
    call: &Says,
) -> Result<Resolution, Unread> {
    let host = this_host(config);
    let opened = places::open(config, &host).await;
    let places = opened.map_err(Unread::Registry)?;
    let surveys = places::survey(&places, config, std::slice::from_ref(service)).await;
    for (at, survey) in &surveys {
        let of_service = survey.services.iter().find_map(|it| it.failed.as_ref());
        if let Some(fault) = survey.failed.as_ref().or(of_service) {
            let registry = places[*at].name.clone();
            let fault = fault.clone();
            return Err(Unread::Fault { registry, fault });
        }
    }
    let mut cases = case::judge(config, &places, &surveys, &host).await;
    // A service that is in several registries is looked up in the first that the config has.
    cases.truncate(1);
    let case = cases
        .pop()
        .ok_or_else(|| Unread::Nowhere(service.clone()))?;
    let place = &places[case.place];
    let survey = surveys.iter().find(|(at, _)| *at == case.place);
    let missing = survey.and_then(|(_, survey)| missing(place, survey, &case.seen));
    Ok(choose(config, place, case, missing, call))
}

fn choose(
    config: &Config,
    place: &Place,
    case: Case,
    missing: Option<Whole>,
    call: &Says,
) -> Resolution {
    let name = case.seen.name;
    let policy = config.policy_of(&name);
    let (waiters, peers) = (Arc::<Waiters>::default(), Arc::<Peers>::default());
    let members = case.members.list.iter().map(|it| Member {
        endpoint: Endpoint::new(&name, it.dial.clone(), waiters.clone(), peers.clone()),
        weight: it.weight.max(1),
        tags: Tags::of(&it.instance),
        here: it.is_here(),
    });
    let set = EndpointSet::new(members.collect(), policy, peers.clone());
    let choice = set.choice(call);
    let stranded = choice.endpoints.is_empty();
    let skipped = case.seen.set.skipped.into_iter();
    Resolution {
        stranded: stranded
            .then(|| set.scope(call).why(&name, policy))
            .flatten(),
        service: name,
        registry: place.name.clone(),
        choice,
        shown: case.members.shown,
        skipped: skipped.map(|it| (it.key, it.code, it.why)).collect(),
        missing,
    }
}
