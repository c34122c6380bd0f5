//! One look at etcd, for a person who asks. It only ever reads.
//!
//! Each endpoint is asked on its own ([`member`]), which says how far one gets with it. The first that answers is read
//! ([`entries`]), and asked for what stands around: leases, other prefixes, and what was there before.

mod elsewhere;
mod entries;
mod gone;
mod leases;
mod member;
mod reader;
mod speaks;

use std::time::Duration;

use etcd_client::Client;
use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::fault::{Fault, Kind};
use super::options::EtcdOptions;
use crate::platform::LATE_REFUSAL;
use crate::registry::Code;
use crate::registry::survey::{Ask, MemberFault, MemberSeen, Survey};
use reader::Reader;

/// The longest that all of it may take.
const LIMIT: Duration = Duration::from_secs(10);
/// A person waits for it: one connect, and one read, at most.
const CONNECT: Duration = Duration::from_millis(1500);
const READ: Duration = Duration::from_secs(3);

/// A member, by its place in the config, and a client to it where it answered.
type Asked = (usize, MemberSeen, Option<Client>);

/// What [`Registry::survey`](crate::registry::Registry::survey) gives.
pub(super) async fn survey(options: &EtcdOptions, ask: Ask) -> Survey {
    let until = Instant::now() + LIMIT;
    let options = EtcdOptions {
        connect_timeout: options.connect_timeout.min(CONNECT) + LATE_REFUSAL,
        request_timeout: options.request_timeout.min(READ),
        ..options.clone()
    };
    let range = match ask.services.first() {
        Some(service) => options.layout.range(service),
        None => options.layout.range_of_names(""),
    };
    let endpoints = options.endpoints.iter().enumerate();
    let mut asking: FuturesUnordered<_> = endpoints
        .map(|(at, endpoint)| member::ask(&options, at, endpoint, &range, until))
        .collect();
    let mut members: Vec<Asked> = Vec::new();
    let mut survey = Survey::default();
    while let Some(asked) = asking.next().await {
        let client = asked.2.clone();
        members.push(asked);
        if let Some(client) = client {
            let reader = Reader::new(client, &options, until);
            // The others are heard meanwhile: a dead one costs no time of the reading.
            let others = asking.collect::<Vec<_>>();
            let (read, others) = join(read(&reader, &ask), others).await;
            survey = or_from(read, &others, &options, until, &ask).await;
            members.extend(others);
            break;
        }
    }
    members.sort_by_key(|(at, ..)| *at);
    survey.members = members.into_iter().map(|(_, seen, _)| seen).collect();
    let is_reached = survey.members.iter().any(|it| it.answer.is_ok());
    if !is_reached {
        survey.failed = unreachable(&survey.members);
    }
    survey
}

/// What was read, or, where that member stopped in the middle, what another one gives.
async fn or_from(
    mut first: Survey,
    others: &[Asked],
    options: &EtcdOptions,
    until: Instant,
    ask: &Ask,
) -> Survey {
    let stopped = |it: &Survey| it.failed.as_ref().is_some_and(|it| it.step == "answer");
    for client in others.iter().filter_map(|(.., client)| client.clone()) {
        if !stopped(&first) {
            break;
        }
        let again = read(&Reader::new(client, options, until), ask).await;
        if again.failed.is_none() {
            first = again;
        }
    }
    first
}

async fn read(reader: &Reader<'_>, ask: &Ask) -> Survey {
    let asked = &ask.services[..];
    let mut survey = Survey::default();
    let leases = match asked {
        [] => entries::all(reader, &mut survey).await,
        asked => entries::of(reader, asked, &mut survey).await,
    };
    if survey.failed.is_some() {
        return survey;
    }
    leases::ask(reader, leases, &mut survey.services).await;
    let seen = &survey.services;
    let is_empty = seen
        .iter()
        .all(|it| it.set.instances.is_empty() && it.set.skipped.is_empty() && it.failed.is_none());
    let elsewhere = async {
        // Who asks again for some services knows what stands around.
        match is_empty && (ask.gone || asked.is_empty()) {
            true => elsewhere::look(reader, asked).await,
            false => Vec::new(),
        }
    };
    let gone = gone::of(reader, if ask.gone { seen } else { &[] });
    let (elsewhere, gone) = join(elsewhere, gone).await;
    survey.elsewhere = elsewhere;
    // Where not all names can be read, nobody knows what has merely moved to another one.
    if let Some(still) = gone::still(reader, &gone).await {
        survey.still = still;
        for (service, gone) in survey.services.iter_mut().zip(gone) {
            service.gone = gone;
        }
    }
    survey
}

/// Why no member could be asked: what the first one said, under its name.
fn unreachable(members: &[MemberSeen]) -> Option<MemberFault> {
    members.iter().find_map(|member| {
        let fault = member.answer.as_ref().err()?;
        Some(MemberFault {
            text: format!("{}: {}", member.endpoint, fault.text),
            ..fault.clone()
        })
    })
}

/// What a fault means for whoever looks: the step that failed, and what to check.
fn step(options: &EtcdOptions, fault: &Fault, range: &str) -> MemberFault {
    let (code, text) = (fault.code(), &fault.text);
    let user = match options.user.as_deref() {
        Some(user) => format!("user {user:?}"),
        None => "no user is given".to_owned(),
    };
    let (step, check) = match fault.kind {
        Kind::Denied => (
            "permission",
            format!(
                "{user}: let one of its roles read: etcdctl role grant-permission ROLE --prefix=true read {range}"
            ),
        ),
        Kind::Token if options.user.is_none() => (
            "password",
            "etcd has authentication enabled: give user and password".to_owned(),
        ),
        Kind::Credentials | Kind::Token | Kind::AuthOff => {
            ("password", format!("{user}: check user and password"))
        }
        Kind::Away if code == Code::E07 => (
            "tls",
            "check ca, cert, key and domain, and that etcd serves https there".to_owned(),
        ),
        Kind::Away | Kind::Compacted | Kind::TooLarge => (
            "answer",
            "is etcd stopped, overloaded, without a leader?".to_owned(),
        ),
    };
    MemberFault {
        code: Some(if step == "answer" { Code::E01 } else { code }),
        step,
        text: format!("{text}; {check}"),
    }
}
