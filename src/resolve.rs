//! `tidegate resolve`: what a caller would really dial, after rewrite rules, lanes and preferences, and why.
//!
//! It builds the very set of endpoints that a running tidegate picks from, of what is registered now and of nothing that
//! is known of anybody's health. No connection is made but to the registry.

use std::net::IpAddr;
use std::sync::Arc;

use crate::call::{Attribute, Attributes};
use crate::config::{Config, Key, NoKey, Policy, Source, Suspicious};
use crate::doctor::case::{self, Case};
use crate::doctor::helps::{About, Whence};
use crate::doctor::places::{self, Place};
use crate::doctor::report::Whole;
use crate::doctor::{missing, this_host};
use crate::endpoint::{Choice, Endpoint, EndpointSet, Member, Tags, Waiters};
use crate::finding::{Code, Lang};
use crate::health::Peers;
use crate::registry::survey::MemberFault;
use crate::registry::{DialAddr, Host, Shown};

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

impl NotSaid {
    /// In words.
    #[must_use]
    pub fn said(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.to_string(),
            Lang::Zh => words::not_said(self),
        }
    }
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

impl Says {
    /// The keys that nothing of this policy looks at.
    fn unseen(&self, policy: &Policy) -> Vec<String> {
        let rules = policy.lanes.iter().flat_map(|it| &it.when);
        let looked_at: Vec<&Key> = rules.map(|it| &it.key).chain(&policy.hash_key).collect();
        let said = self.0.iter().map(|(key, _)| key);
        said.filter(|key| !looked_at.contains(key))
            .map(ToString::to_string)
            .collect()
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
    /// Where that is.
    pub whence: Whence,
    /// The listeners that look there; none where the config has none for the service.
    pub listeners: Vec<Arc<str>>,
    /// Its policy takes addresses that are likely registered by mistake for what is meant.
    pub is_allowed: bool,
    /// Registries that could not be read.
    pub notes: Vec<String>,
    /// What the call says of itself and no rule looks at.
    pub unseen: Vec<String>,
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

    /// What the findings about it have in common.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        About {
            service: &self.service,
            whence: &self.whence,
        }
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

/// Looks the service up where a running tidegate would, and says what a call of it would come to: once for each registry
/// that a listener of the config would look in. Of a config without such a listener, the first registry that has it.
///
/// # Errors
///
/// See [`Unread`].
pub async fn resolve(
    config: &Config,
    service: &Arc<str>,
    call: &Says,
) -> Result<Vec<Resolution>, Unread> {
    let host = this_host(config);
    let opened = places::open(config, &host).await;
    let places = opened.map_err(Unread::Registry)?;
    let asked = Asked {
        config,
        host,
        service,
        call,
    };
    let ways = ways(config, &places, service);
    if ways.is_empty() {
        return Ok(vec![asked.answer(&places, Vec::new()).await?]);
    }
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (at, listeners) in ways {
        match asked.answer(&places[at..=at], listeners).await {
            Ok(answer) => found.push(answer),
            Err(fault) => faults.push(fault),
        }
    }
    let Some(first) = found.first_mut() else {
        let fault = faults.into_iter().next();
        return Err(fault.unwrap_or_else(|| Unread::Nowhere(service.clone())));
    };
    first.notes.extend(faults.iter().map(ToString::to_string));
    Ok(found)
}

/// The places where listeners look the service up, in their order, each with their names.
fn ways(config: &Config, places: &[Place], service: &str) -> Vec<(usize, Vec<Arc<str>>)> {
    let mut ways: Vec<(usize, Vec<Arc<str>>)> = Vec::new();
    let configured = config.service(service).map(|it| &it.source);
    for listener in &config.listeners {
        let may_be_called = match (&listener.service, &listener.services) {
            (Some(own), _) => **own == *service,
            (None, Some(patterns)) => patterns.matches(service),
            (None, None) => true,
        };
        let is_there = |place: &Place| match configured {
            Some(Source::Static(_)) => place.only.as_deref() == Some(service),
            Some(Source::Registry(name)) => !place.is_static() && place.name == *name,
            None => !place.is_static() && listener.registry.as_ref() == Some(&place.name),
        };
        let Some(at) = places.iter().position(is_there).filter(|_| may_be_called) else {
            continue;
        };
        match ways.iter_mut().find(|(it, _)| *it == at) {
            Some((_, listeners)) => listeners.push(listener.name.clone()),
            None => ways.push((at, vec![listener.name.clone()])),
        }
    }
    ways
}

/// What is asked.
struct Asked<'a> {
    config: &'a Config,
    host: Arc<Host>,
    service: &'a Arc<str>,
    call: &'a Says,
}

impl Asked<'_> {
    /// The answer of the first of these places that has the service. What cannot be read is a note where another has it.
    async fn answer(
        &self,
        places: &[Place],
        listeners: Vec<Arc<str>>,
    ) -> Result<Resolution, Unread> {
        let (config, service) = (self.config, std::slice::from_ref(self.service));
        let surveys = places::survey(places, config, service).await;
        let faults = surveys.iter().filter_map(|(at, survey)| {
            let of_service = survey.services.iter().find_map(|it| it.failed.as_ref());
            Some(Unread::Fault {
                registry: places[*at].name.clone(),
                fault: survey.failed.as_ref().or(of_service)?.clone(),
            })
        });
        let faults: Vec<Unread> = faults.collect();
        let cases = case::judge(config, places, &surveys, &self.host).await;
        let readable = |case: &Case| case.was_read() && (faults.is_empty() || !case.is_empty());
        let Some(case) = cases.into_iter().find(readable) else {
            let fault = faults.into_iter().next();
            return Err(fault.unwrap_or_else(|| Unread::Nowhere(self.service.clone())));
        };
        let place = &places[case.place];
        let survey = surveys.iter().find(|(at, _)| *at == case.place);
        let missing = survey.and_then(|(_, survey)| missing(place, survey, &case.seen));
        let mut answer = choose(config, place, case, missing, self.call);
        answer.listeners = listeners;
        answer.notes = faults.iter().map(ToString::to_string).collect();
        Ok(answer)
    }
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
    let missed = missing.is_some();
    Resolution {
        whence: place.whence.clone(),
        listeners: Vec::new(),
        notes: Vec::new(),
        is_allowed: policy.suspicious == Suspicious::Allow,
        unseen: call.unseen(policy),
        stranded: (stranded && !missed)
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
