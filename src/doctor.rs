//! `tidegate doctor`: what is registered, what of it can be called from here, and what to do about the rest.
//!
//! | step | |
//! |---|---|
//! | [`places`] | the registries of the config, and the services that stand in it; each is surveyed once |
//! | [`case`] | every registration is judged as a running tidegate would: rewritten, resolved, classified |
//! | [`round`] | every address that would be dialled is tried once, some at a time |
//! | [`case`] | registrations and what was seen, to findings |
//! | `whole` | findings about services and registries as a whole |
//! | again | services with an accused registration are looked at again: what has gone meanwhile is no finding; so are, a
//! while later, those that seem to be registered no more: what comes back is none either |
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
use crate::registry::{DialAddr, Host, Resolved};

mod again;
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

use again::Again;
use case::Case;
use places::Place;
use report::Whole;
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
        place.whence.unconfigured = asked.unconfigured;
    }
    let surveys = places::survey(&places, config, &asked.services);
    let (surveys, running) = tokio::join!(surveys, running);
    host.set_own_listeners(own_listeners(config).chain(running).collect());
    let mut known = Known::default();
    let mut cases = case::judge_knowing(config, &places, &surveys, &host, &mut known.names).await;
    round::look(cases.iter(), &asked.plan, &mut known.looks, progress).await;
    let again = Again {
        config,
        asked,
        places: &places,
        host: &host,
        progress,
    };
    again.settle(&mut cases, &mut known).await;
    let left = again.unregistered(&surveys, &mut cases, &mut known).await;
    Ok(report(&places, &surveys, cases, left, &known.looks, &host).await)
}

async fn report(
    places: &[Place],
    surveys: &[(usize, Survey)],
    cases: Vec<Case>,
    mut left: HashMap<usize, Vec<Whole>>,
    looks: &Looks,
    host: &Host,
) -> Report {
    let mut registries = whole::registries(places, surveys);
    let mut services = Vec::with_capacity(cases.len());
    for (at, case) in cases.into_iter().enumerate() {
        let place = &places[case.place];
        let survey = surveys.iter().find(|(place, _)| *place == case.place);
        // That a server has given up tells more than that nothing is there.
        let mut findings = left.remove(&at).unwrap_or_default();
        findings.extend(
            survey
                .into_iter()
                .flat_map(|(_, survey)| whole::service(place, survey, &case)),
        );
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
