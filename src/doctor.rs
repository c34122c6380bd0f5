//! `tidegate doctor`: what is registered, what of it can be called from here, and what to do about the rest.
//!
//! | step | |
//! |---|---|
//! | [`places`] | the registries of the config, and the services that stand in it; each is surveyed once |
//! | [`case`] | every registration is judged as a running tidegate would: rewritten, resolved, classified |
//! | [`round`] | every address that would be dialled is tried once, some at a time |
//! | [`case`] | registrations and what was seen, to findings |
//! | `whole` | findings about services and registries as a whole |
//! | here | services with an accused registration are looked at again: what has gone meanwhile is no finding |
//!
//! What it comes to is a [`Report`], printed by [`text`] for people and by [`json`] for programs. Nothing is ever written
//! anywhere, and without [`Plan::call`] no call is sent.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, ListenAddr};
use crate::discovery;
use crate::finding::Code;
use crate::probe::{Plan, Seen};
use crate::registry::survey::Survey;
use crate::registry::{DialAddr, Found, Host, Resolved};

pub mod case;
pub mod helps;
pub mod here;
pub mod json;
pub(crate) mod page;
pub mod places;
pub mod recent;
pub mod report;
pub mod round;
pub mod text;
mod whole;
pub mod words;

pub use report::Report;

use case::Case;
use places::Place;
pub(crate) use whole::missing;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// These services, each once; all, where it names none.
    pub services: Vec<Arc<str>>,
    /// What is done at each address.
    pub plan: Plan,
    /// Nothing is configured: how long callers wait is what Kitex's clients do by themselves.
    pub unconfigured: bool,
}

/// Learns how far it is: addresses done, and how many there are.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// What was seen at the addresses.
type Looks = HashMap<DialAddr, Seen>;

/// What is known by now.
#[derive(Default)]
struct Known {
    looks: Looks,
    names: Resolved,
}

/// Looks at everything that is asked for. `running` says what a tidegate that runs here listens on.
///
/// # Errors
///
/// A registry whose options make no sense: a certificate that cannot be read, a URL that is none.
pub async fn examine(
    config: &Config,
    asked: &Asked,
    running: impl Future<Output = Vec<DialAddr>>,
    progress: Progress<'_>,
) -> Result<Report, String> {
    let host = this_host(config);
    let mut places = places::open(config, &host).await?;
    for place in &mut places {
        place.unconfigured = asked.unconfigured;
    }
    let surveys = places::survey(&places, config, &asked.services);
    let (surveys, running) = tokio::join!(surveys, running);
    host.set_own_listeners(own_listeners(config).chain(running).collect());
    let mut known = Known::default();
    let mut cases = case::judge_knowing(config, &places, &surveys, &host, &mut known.names).await;
    round::look(cases.iter(), &asked.plan, &mut known.looks, progress).await;
    settle(
        config, asked, &places, &host, &mut cases, &mut known, progress,
    )
    .await;
    Ok(report(&places, &surveys, cases, &known.looks, &host).await)
}

/// The services with an accused registration are surveyed once more and take the place of what was seen of them first:
/// an entry that has gone meanwhile was a server that stopped, one that was put again is tried again.
async fn settle(
    config: &Config,
    asked: &Asked,
    places: &[Place],
    host: &Arc<Host>,
    cases: &mut Vec<Case>,
    known: &mut Known,
    progress: Progress<'_>,
) {
    let Known { looks, names } = known;
    let is_accused = |case: &Case| case.is_accused(places, looks, host);
    let accused: Vec<usize> = (0..cases.len())
        .filter(|at| is_accused(&cases[*at]))
        .collect();
    let named = accused.iter().map(|at| {
        let case = &cases[*at];
        (case.place, case.seen.name.clone())
    });
    let surveys = places::survey_again(places, named).await;
    // What was found stands: a resolver that is slower now takes none of it back.
    names.retain(|_, found| matches!(found, Found::Addresses(_)));
    let again = case::judge_knowing(config, places, &surveys, host, names).await;
    let again = again
        .into_iter()
        .filter(|it| it.was_read() && !it.seen.partly);
    let mut again: HashMap<_, Case> = again.map(|it| (it.id(), it)).collect();
    for case in cases.iter() {
        let now = again.get(&case.id());
        now.into_iter().for_each(|now| case.forget(now, looks));
    }
    round::look(again.values(), &asked.plan, looks, progress).await;
    let mut gone = false;
    for case in cases.iter_mut() {
        if let Some(now) = again.remove(&case.id()) {
            // What was there before the first look is not asked for twice.
            let before = std::mem::replace(case, now);
            case.seen.gone = before.seen.gone;
            gone |= case.is_empty();
        }
    }
    if gone && asked.services.is_empty() {
        cases.retain(|case| !case.is_empty() || is_configured(config, case));
    }
}

/// Whether the config names the service: it is missed where it is not registered.
fn is_configured(config: &Config, case: &Case) -> bool {
    config.service(&case.seen.name).is_some()
}

async fn report(
    places: &[Place],
    surveys: &[(usize, Survey)],
    cases: Vec<Case>,
    looks: &Looks,
    host: &Host,
) -> Report {
    let mut registries = whole::registries(places, surveys);
    let left = whole::unregistered(&cases, surveys, host).await;
    let mut services = Vec::with_capacity(cases.len());
    for (at, case) in cases.into_iter().enumerate() {
        let place = &places[case.place];
        let survey = surveys.iter().find(|(place, _)| *place == case.place);
        let mut findings = survey.map_or(Vec::new(), |(_, survey)| {
            whole::service(place, survey, &case)
        });
        findings.extend(left.get(&at).into_iter().flatten().cloned());
        let mut service = case.report(places, looks, host, findings);
        here::find_hosts(&mut service, place, host).await;
        services.push(service);
    }
    for registry in &mut registries {
        let on_trust = whole::on_trust(places, registry, &services);
        let own_bridge = whole::own_bridge(registry, &services);
        registry
            .findings
            .extend(on_trust.into_iter().chain(own_bridge));
    }
    Report {
        registries,
        services,
    }
}

/// This host as a running tidegate would see it, with the listeners of the config though nothing listens now.
pub(crate) fn this_host(config: &Config) -> Arc<Host> {
    let listeners = own_listeners(config).collect();
    Arc::new(Host::new(discovery::interfaces(), listeners))
}

/// What a tidegate with this config listens on.
pub(crate) fn own_listeners(config: &Config) -> impl Iterator<Item = DialAddr> {
    config.listeners.iter().map(|it| match &it.listen {
        ListenAddr::Tcp(addr) => DialAddr::Tcp(*addr),
        ListenAddr::Unix(path) => DialAddr::Unix(path.as_path().into()),
    })
}

/// Whether the registration, as it is registered, means another host for everybody who reads it.
fn names_no_host(code: Code) -> bool {
    matches!(code, Code::R01 | Code::R02 | Code::R03 | Code::R17)
}
