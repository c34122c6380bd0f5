//! Where services are registered: the registries of a config, and the config itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::helps::Whence;
use crate::config::{self, Config, Source};
use crate::discovery;
use crate::finding::Code;
use crate::finding::remedy::Etcdctl;
use crate::registry::survey::{Ask, ServiceSeen, Survey};
use crate::registry::{Fixed, Host, Registry, host_and_port};

/// How long the name of a registry's host may take to resolve.
const PATIENCE: Duration = Duration::from_secs(2);

/// One of them.
pub struct Place {
    /// The registry's name, or `config`.
    pub name: Arc<str>,
    /// `etcd`, `file` or `static`.
    pub kind: &'static str,
    /// What stands before the services' names, where there is such a thing.
    pub prefix: Option<String>,
    /// Of a service that stands in the config: its name.
    pub only: Option<Arc<str>>,
    /// Whoever registers there shares this host.
    pub alone: bool,
    /// What is to be pasted must know this of it.
    pub whence: Whence,
    /// A socket of the registry, where it has one that was found.
    pub at: Option<SocketAddr>,
    registry: Arc<dyn Registry>,
}

impl Place {
    /// Whether the instances stand in the config.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.only.is_some()
    }
}

/// All of a config.
///
/// # Errors
///
/// A certificate that cannot be read, a URL that is none.
pub async fn open(config: &Config, host: &Host) -> Result<Vec<Place>, String> {
    let mut places = Vec::new();
    for registry in &config.registries {
        places.push(open_registry(registry, host).await?);
    }
    let fixed = config.services.iter().filter_map(|service| {
        let Source::Static(endpoints) = &service.source else {
            return None;
        };
        let endpoints = endpoints.iter();
        let endpoints = endpoints.map(|it| (it.address.clone(), it.weight, it.tags.clone()));
        Some(Place {
            name: "config".into(),
            kind: "static",
            prefix: None,
            only: Some(service.name.clone()),
            alone: true,
            whence: Whence {
                in_file: true,
                ..Whence::default()
            },
            at: None,
            registry: Arc::new(Fixed::new(endpoints)),
        })
    });
    places.extend(fixed);
    Ok(places)
}

async fn open_registry(config: &config::Registry, host: &Host) -> Result<Place, String> {
    let registry = discovery::open_once(config)?;
    let (kind, prefix, sockets) = match config {
        config::Registry::Etcd(etcd) => {
            let sockets = sockets(&etcd.endpoints).await;
            ("etcd", Some(etcd.prefix.clone()), sockets)
        }
        config::Registry::File(_) => ("file", None, Vec::new()),
    };
    // By the URLs as they stand, as a running tidegate does; or by what their names stand for, which only a look asks.
    let is_named_here = !sockets.is_empty() && sockets.iter().all(|it| host.is_here(it.ip()));
    let whence = match config {
        config::Registry::Etcd(etcd) => Whence {
            in_file: false,
            etcd: Some(Arc::new(etcdctl(etcd))),
            prefix: Some(etcd.prefix.as_str().into()),
            ..Whence::default()
        },
        config::Registry::File(_) => Whence {
            in_file: true,
            ..Whence::default()
        },
    };
    Ok(Place {
        whence,
        name: config.name().clone(),
        kind,
        prefix,
        only: None,
        alone: registry.is_on(host) || is_named_here,
        at: sockets.first().copied(),
        registry,
    })
}

/// How a person reaches it.
fn etcdctl(etcd: &config::Etcd) -> Etcdctl {
    let tls = etcd.tls.clone().unwrap_or_default();
    let text = |path: Option<PathBuf>| path.map(|it| it.display().to_string());
    Etcdctl {
        endpoint: etcd.endpoints.first().cloned().unwrap_or_default(),
        user: etcd.user.clone(),
        cacert: text(tls.ca),
        cert: text(tls.cert),
        key: text(tls.key),
    }
}

/// What the hosts of these URLs stand for.
async fn sockets(urls: &[String]) -> Vec<SocketAddr> {
    let found = urls.iter().map(|url| async move {
        let (host, port) = host_and_port(url);
        let found = timeout(PATIENCE, tokio::net::lookup_host((&*host, port))).await;
        let found = found.ok().and_then(Result::ok);
        found.into_iter().flatten().collect::<Vec<_>>()
    });
    join_all(found).await.concat()
}

/// Looks at all of them, side by side, for these services; for all where there are none. A place where none of them can
/// be is not asked. The result is in the order of the places, each with its number.
pub async fn survey(
    places: &[Place],
    config: &Config,
    services: &[Arc<str>],
) -> Vec<(usize, Survey)> {
    let asks = places.iter().enumerate();
    let asks = asks.filter_map(|(at, place)| Some((at, ask(place, config, services)?)));
    let mut surveys = run(places, asks).await;
    if services.is_empty() {
        name_configured(places, config, &mut surveys).await;
    } else {
        drop_needless(config, &mut surveys);
    }
    surveys
}

/// The same for some services of some places. Nothing is looked for elsewhere, nor what was there before.
pub async fn survey_again(
    places: &[Place],
    names: impl Iterator<Item = (usize, Arc<str>)>,
) -> Vec<(usize, Survey)> {
    let mut asks: HashMap<usize, Ask> = HashMap::new();
    for (at, name) in names {
        asks.entry(at).or_default().services.push(name);
    }
    run(places, asks.into_iter()).await
}

async fn run(places: &[Place], asks: impl Iterator<Item = (usize, Ask)>) -> Vec<(usize, Survey)> {
    let surveys = asks.map(|(at, ask)| async move { (at, places[at].registry.survey(ask).await) });
    join_all(surveys).await
}

fn ask(place: &Place, config: &Config, services: &[Arc<str>]) -> Option<Ask> {
    if let Some(only) = &place.only {
        let is_asked = services.is_empty() || services.contains(only);
        return is_asked.then(|| Ask::of(vec![only.clone()]));
    }
    if services.is_empty() {
        return Some(Ask::default());
    }
    let may_be_there = |name: &&Arc<str>| match config.service(name).map(|it| &it.source) {
        None => true,
        Some(Source::Registry(registry)) => *registry == place.name,
        Some(Source::Static(_)) => false,
    };
    let services: Vec<Arc<str>> = services.iter().filter(may_be_there).cloned().collect();
    (!services.is_empty()).then(|| Ask::of(services))
}

/// Services that the config names are looked at although they are not there; by name, where nobody may list them.
async fn name_configured(places: &[Place], config: &Config, surveys: &mut [(usize, Survey)]) {
    for (at, survey) in surveys {
        let place = &places[*at];
        let is_here = |it: &&config::Service| matches!(&it.source, Source::Registry(name) if *name == place.name);
        let named = config.services.iter().filter(is_here);
        let named: Vec<Arc<str>> = named.map(|it| it.name.clone()).collect();
        let denied = survey
            .failed
            .as_ref()
            .is_some_and(|it| it.code == Some(Code::E03));
        if denied && !named.is_empty() {
            *survey = place.registry.survey(Ask::of(named)).await;
        } else if survey.failed.is_none() {
            let all = &survey.services;
            let is_new = |name: &Arc<str>| all.iter().all(|it| it.name != *name || it.partly);
            let new: Vec<Arc<str>> = named.into_iter().filter(is_new).collect();
            if !new.is_empty() {
                // They may be among what was left out, or passed over; or they were there until lately.
                survey.services.retain(|it| !new.contains(&it.name));
                let by_name = place.registry.survey(Ask::of(new)).await;
                survey.services.extend(by_name.services);
                survey.names.extend(by_name.names);
                survey.still.extend(by_name.still);
                if survey.elsewhere.is_empty() {
                    survey.elsewhere = by_name.elsewhere;
                }
                survey.failed = by_name.failed;
            }
        }
    }
}

/// A service that may be in several registries is missing only where it is in none.
fn drop_needless(config: &Config, surveys: &mut [(usize, Survey)]) {
    let is_empty = |it: &ServiceSeen| {
        it.failed.is_none() && it.set.instances.is_empty() && it.set.skipped.is_empty()
    };
    let all = surveys.iter().flat_map(|(_, it)| &it.services);
    let found: Vec<Arc<str>> = all
        .filter(|it| !is_empty(it))
        .map(|it| it.name.clone())
        .collect();
    for (_, survey) in surveys {
        survey.services.retain(|it| {
            !is_empty(it) || config.service(&it.name).is_some() || !found.contains(&it.name)
        });
    }
}
