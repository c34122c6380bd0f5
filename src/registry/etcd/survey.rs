//! One look at etcd, for a person who asks. It only ever reads.
//!
//! Each endpoint is asked on its own ([`member`]), which says how far one gets with it. One of those that answered is
//! read ([`entries`]), and asked for what stands around: leases, other prefixes, and what was there before.

mod elsewhere;
mod entries;
mod gone;
mod leases;
mod member;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::Instant;

use super::fault::{Fault, Kind};
use super::options::EtcdOptions;
use crate::registry::Code;
use crate::registry::survey::{Ask, MemberFault, Survey};
use reader::Reader;

/// The longest that all of it may take, but for a last answer that is waited for.
const LIMIT: Duration = Duration::from_secs(10);
/// A person waits for it: one connect, and one read, at most.
const CONNECT: Duration = Duration::from_millis(1500);
const READ: Duration = Duration::from_secs(3);

/// What [`Registry::survey`](crate::registry::Registry::survey) gives.
pub(super) async fn survey(options: &EtcdOptions, ask: Ask) -> Survey {
    let until = Instant::now() + LIMIT;
    let options = EtcdOptions {
        connect_timeout: options.connect_timeout.min(CONNECT),
        request_timeout: options.request_timeout.min(READ),
        ..options.clone()
    };
    let range = match ask.services.first() {
        Some(service) => options.layout.range(service),
        None => options.layout.range_of_names(""),
    };
    let asked = options.endpoints.iter();
    let asked = asked.map(|endpoint| member::ask(&options, endpoint, &range));
    let (members, clients): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
    let clients: Vec<_> = clients.into_iter().flatten().collect();
    let mut survey = Survey {
        members,
        ..Survey::default()
    };
    if clients.is_empty() {
        survey.failed = unreachable(&survey);
        return survey;
    }
    let reader = Reader::new(clients, &options, until);
    read(&reader, &ask.services, &mut survey).await;
    survey
}

async fn read(reader: &Reader<'_>, asked: &[Arc<str>], survey: &mut Survey) {
    let leases = match asked {
        [] => entries::all(reader, survey).await,
        asked => entries::of(reader, asked, survey).await,
    };
    if survey.failed.is_some() {
        return;
    }
    leases::ask(reader, leases, &mut survey.services).await;
    let seen = &survey.services;
    let is_empty = seen
        .iter()
        .all(|it| it.set.instances.is_empty() && it.set.skipped.is_empty() && it.failed.is_none());
    let elsewhere = async {
        match is_empty {
            true => elsewhere::look(reader, asked).await,
            false => Vec::new(),
        }
    };
    let gone = gone::of(reader, if asked.is_empty() { &[] } else { seen });
    let (elsewhere, gone) = join(elsewhere, gone).await;
    survey.elsewhere = elsewhere;
    for (service, gone) in survey.services.iter_mut().zip(gone) {
        service.gone = gone;
    }
}

/// Why no member could be asked: what the first one said, under its name.
fn unreachable(survey: &Survey) -> Option<MemberFault> {
    survey.members.iter().find_map(|member| {
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
        _ if code == Code::E07 => (
            "tls",
            "check ca, cert, key and domain, and that etcd serves https there".to_owned(),
        ),
        _ => (
            "answer",
            "is etcd stopped, overloaded, without a leader?".to_owned(),
        ),
    };
    MemberFault {
        code: match step {
            "answer" => Code::E01,
            _ => code,
        },
        step,
        text: format!("{text}; {check}"),
    }
}
