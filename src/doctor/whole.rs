//! Findings about a service or a registry as a whole.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::case::Case;
use super::places::Place;
use super::report::{Entry, RegistryReport, ServiceReport, What, Whole};
use crate::config::nearest;
use crate::finding::Code;
use crate::probe::{Connect, Plan, probe};
use crate::registry::survey::{ServiceSeen, Survey};
use crate::registry::{Address, Class, DialAddr, Host, classify, parse};

/// A registry that takes longer for a read is slow.
const SLOW: Duration = Duration::from_millis(200);
/// Longer names that are named, of one service.
const LONGER: usize = 3;
/// Of so few names all are told where none is near.
const FEW: usize = 5;
/// Shorter names say nothing by standing in another.
const SHORTEST: usize = 3;
/// Addresses registered no more that are looked at, of one service.
const GONE: usize = 16;

/// What is reported of the registries.
pub(super) fn registries(places: &[Place], surveys: &[(usize, Survey)]) -> Vec<RegistryReport> {
    let asked = surveys.iter().map(|(at, survey)| (&places[*at], survey));
    let asked = asked.filter(|(place, _)| !place.is_static());
    asked
        .map(|(place, survey)| RegistryReport {
            name: place.name.clone(),
            kind: place.kind,
            whence: place.whence.clone(),
            members: survey.members.clone(),
            findings: registry(place, survey),
            unread: survey.failed.is_some() && survey.services.is_empty(),
            left_out: survey.left_out,
            passed_over: survey.passed_over,
        })
        .collect()
}

fn registry(place: &Place, survey: &Survey) -> Vec<Whole> {
    let mut found = Vec::new();
    for member in &survey.members {
        let endpoint = member.endpoint.clone();
        match &member.answer {
            Err(fault) => found.push(Whole {
                code: fault.code,
                what: What::Member {
                    endpoint,
                    step: fault.step,
                    text: fault.text.clone(),
                },
            }),
            Ok(took) if *took > SLOW => found.push(Whole {
                code: Some(Code::E06),
                what: What::Slow {
                    endpoint,
                    took: *took,
                },
            }),
            Ok(_) => {}
        }
        if !member.advertises_loopback.is_empty() {
            found.push(Whole {
                code: Some(Code::E04),
                what: What::Advertises {
                    endpoint: member.endpoint.clone(),
                    urls: member.advertises_loopback.clone(),
                },
            });
        }
    }
    if let Some(fault) = &survey.failed {
        // A member that said the same was named above.
        let is_said = |it: &Whole| match &it.what {
            What::Member { endpoint, text, .. } => {
                let said = fault.text.strip_prefix(&format!("{endpoint}: "));
                it.code == fault.code && *text == said.unwrap_or(&fault.text)
            }
            _ => false,
        };
        if !found.iter().any(is_said) {
            found.push(Whole {
                code: fault.code,
                what: What::Unread {
                    step: fault.step,
                    text: fault.text.clone(),
                },
            });
        }
    } else if survey.services.is_empty() && survey.names_unread.is_none() {
        found.push(Whole {
            code: Some(Code::R13),
            what: What::Nothing {
                prefix: place.prefix.clone(),
                elsewhere: survey.elsewhere.clone(),
            },
        });
    }
    found.sort_by_key(Whole::is_note);
    found
}

/// That loopback addresses answer: right, if the registry's own address says the truth about where its services are.
pub(super) fn on_trust(
    places: &[Place],
    registry: &RegistryReport,
    services: &[ServiceReport],
) -> Option<Whole> {
    let is_it = |it: &&Place| it.name == registry.name && it.kind == "etcd" && it.alone;
    places.iter().find(is_it)?;
    note(registry, services, Entry::is_excused, What::OnTrust)
}

/// That somebody answers at this host's own address on a container bridge.
pub(super) fn own_bridge(registry: &RegistryReport, services: &[ServiceReport]) -> Option<Whole> {
    note(registry, services, Entry::is_ambiguous, What::OwnBridge)
}

/// What is said of the registrations of a registry that look so, if there are any.
fn note(
    registry: &RegistryReport,
    services: &[ServiceReport],
    is_it: fn(&Entry) -> bool,
    what: fn(usize) -> What,
) -> Option<Whole> {
    let of_it = services.iter().filter(|it| it.registry == registry.name);
    let such = of_it
        .flat_map(ServiceReport::registrations)
        .filter(|all| all.iter().any(is_it));
    let n = such.count();
    (n > 0).then(|| Whole {
        code: None,
        what: what(n),
    })
}

/// What is wrong with a service as a whole.
pub(super) fn service(place: &Place, survey: &Survey, case: &Case) -> Vec<Whole> {
    let seen = &case.seen;
    if let Some(fault) = &seen.failed {
        return vec![Whole {
            code: fault.code,
            what: What::Unread {
                step: fault.step,
                text: fault.text.clone(),
            },
        }];
    }
    let mut found = Vec::new();
    found.extend(missing(place, survey, seen));
    let longer = longer(&survey.names, &seen.name);
    if place.kind == "etcd" && !longer.is_empty() {
        found.push(Whole {
            code: Some(Code::R20),
            what: What::Begins(longer),
        });
    }
    found
}

/// That nothing is registered for a service, where that is so.
pub(crate) fn missing(place: &Place, survey: &Survey, seen: &ServiceSeen) -> Option<Whole> {
    if seen.partly || !seen.set.instances.is_empty() || !seen.set.skipped.is_empty() {
        return None;
    }
    let is_known = survey.names.contains(&seen.name) || place.is_static();
    let what = match seen.gone.first() {
        Some(last) => What::Gone {
            last: last.clone(),
            elsewhere: survey.elsewhere.clone(),
        },
        None if is_known => What::Empty,
        None => no_service(place, survey, seen),
    };
    Some(Whole {
        code: Some(Code::R13),
        what,
    })
}

fn no_service(place: &Place, survey: &Survey, seen: &ServiceSeen) -> What {
    let names = survey.names.iter().map(|it| &**it);
    let near = nearest(&seen.name, names.clone()).or_else(|| containing(&seen.name, names));
    let near = near.and_then(|it| survey.names.get(it));
    let known = survey.names_unread.is_none();
    let few = near.is_none() && survey.names.len() <= FEW;
    What::NoService {
        prefix: place.prefix.clone(),
        services: known.then_some(survey.names.len()),
        nearest: near.cloned(),
        names: match few {
            true => survey.names.iter().cloned().collect(),
            false => Vec::new(),
        },
        elsewhere: survey.elsewhere.clone(),
    }
}

/// The shortest name that holds this one, or is held by it: `shop.item` of `item`.
fn containing<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let holds = |it: &&str| {
        let shorter = it.len().min(name.len());
        shorter >= SHORTEST && (it.contains(name) || name.contains(*it))
    };
    names.filter(holds).min_by_key(|it| it.len())
}

/// The names that this one begins, if it is a name there.
fn longer(names: &BTreeSet<Arc<str>>, name: &Arc<str>) -> Vec<Arc<str>> {
    if !names.contains(name) {
        return Vec::new();
    }
    let from = names.range(name.clone()..).skip(1);
    let longer = from.take_while(|it| it.starts_with(&**name));
    longer.take(LONGER).cloned().collect()
}

/// By the number of the service: what was registered, is no more, and still listens on this host.
pub(super) async fn unregistered(
    cases: &[Case],
    surveys: &[(usize, Survey)],
    host: &Host,
) -> HashMap<usize, Vec<Whole>> {
    let mut named = ports_here(cases, host);
    let still = surveys.iter().flat_map(|(_, survey)| &survey.still);
    named.extend(still.filter_map(|it| port_here(it, host)));
    let gone = cases.iter().enumerate().flat_map(|(at, case)| {
        let gone = case.seen.gone.iter().take(GONE);
        gone.filter_map(move |address| Some((at, on_this_host(address, host)?)))
    });
    let gone: Vec<(usize, SocketAddr)> = gone
        .filter(|(_, socket)| !named.contains(&socket.port()))
        .collect();
    let looks = stream::iter(gone).map(|(at, socket)| async move {
        let seen = probe(&DialAddr::Tcp(socket), &Plan::default()).await;
        // Another program may have the port now.
        let there = matches!(seen.connect, Connect::Open(_)) && seen.spoke.is_none();
        there.then_some((at, socket))
    });
    let found: Vec<_> = looks.buffer_unordered(GONE).collect().await;
    let mut by_service: HashMap<usize, Vec<Whole>> = HashMap::new();
    for (at, socket) in found.into_iter().flatten() {
        by_service.entry(at).or_default().push(Whole {
            code: Some(Code::R22),
            what: What::Unregistered(socket.to_string()),
        });
    }
    by_service
}

/// The address, where only this host can mean it: at a loopback address it may have been another's.
fn on_this_host(address: &str, host: &Host) -> Option<SocketAddr> {
    let address = parse(address).ok()?;
    let class = classify(&address, host);
    match address {
        Address::Socket(socket) if class == Class::ThisHost => Some(socket),
        _ => None,
    }
}

/// The ports of this host that are registered: who moved from loopback to a proper address listens on both.
fn ports_here(cases: &[Case], host: &Host) -> HashSet<u16> {
    let shown = cases.iter().flat_map(|it| &it.members.shown);
    let sockets = shown.filter_map(|it| it.registered);
    let here = sockets.filter(|it| may_be_here(it.ip(), host));
    here.map(|it| it.port()).collect()
}

/// The port of what a key names, unless that is another host's.
fn port_here(address: &str, host: &Host) -> Option<u16> {
    match parse(address) {
        Ok(Address::Socket(socket)) => may_be_here(socket.ip(), host).then_some(socket.port()),
        Ok(Address::Name(_, port)) => Some(port),
        Ok(Address::Unix(_)) => None,
        Err(_) => address.rsplit_once(':')?.1.parse().ok(),
    }
}

fn may_be_here(ip: IpAddr, host: &Host) -> bool {
    ip.is_unspecified() || host.is_here(ip)
}
