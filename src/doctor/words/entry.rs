//! What is said of one registration beside its findings' own words.

use std::fmt::Write as _;

use super::{evidence, idle, sentence, short};
use crate::diagnosis::KITEX_CONNECT_TIMEOUT;
use crate::doctor::report::Entry;
use crate::finding::{Code, Lang, plain};
use crate::outcome::human;
use crate::platform;
use crate::probe::{Called, Idle};
use crate::registry::{Naming, Shown};

/// What is worth knowing beyond a connect that went well: `answers calls`, `stayed open for 6s`.
#[must_use]
pub fn beyond(entry: &Entry, lang: Lang) -> Vec<String> {
    let Some(seen) = &entry.seen else {
        return Vec::new();
    };
    let far = entry.connect().filter(|took| *took > KITEX_CONNECT_TIMEOUT);
    let far = far.map(|_| {
        let limit = human(KITEX_CONNECT_TIMEOUT);
        say!(
            lang,
            "too long for a Kitex client that dials by itself ({limit} by default)",
            "对自行连接的 Kitex 客户端来说太久（默认 {limit}）",
        )
    });
    let called = match &seen.call {
        Some(Called::Answered(..)) => Some(say!(lang, "answers calls", "会回答调用")),
        _ => None,
    };
    let idle = match seen.idle {
        Some(Idle::Open(after)) => {
            let after = human(after);
            Some(say!(
                lang,
                "stayed open for {after}",
                "空闲 {after} 仍然打开"
            ))
        }
        Some(it @ Idle::Closed(_)) => Some(idle(it, lang) + &harmless(lang)),
        None => None,
    };
    far.into_iter().chain(called).chain(idle).collect()
}

/// Why it is no finding that a server closes idle connections so late.
fn harmless(lang: Lang) -> String {
    say!(
        lang,
        ": later than Kitex's clients do by default (30s, a pool 1min), so only those that keep theirs longer meet it",
        "：晚于 Kitex 客户端默认的关闭时间（30 秒，连接池 1 分钟），只有保持更久的客户端才会遇到",
    )
}

/// What proves a finding of this registration: what was seen, or what is wrong with what is registered.
#[must_use]
pub fn proof(entry: &Entry, code: Code, lang: Lang) -> Option<String> {
    let seen = entry.seen.as_ref();
    let seen = seen.and_then(|it| evidence(code, it, lang));
    seen.or_else(|| of_what_is_registered(entry, code, lang))
}

fn of_what_is_registered(entry: &Entry, code: Code, lang: Lang) -> Option<String> {
    let shown = &entry.shown;
    match code {
        Code::P12 => far(entry, lang),
        Code::R04 if entry.own_bridge => Some(say!(
            lang,
            "it is this host's own on a container bridge, and any other host's",
            "它是本机在容器网桥上的地址，别的主机也有同样的地址",
        )),
        Code::R04 if entry.on_link => Some(say!(
            lang,
            "a container bridge of this host has this network, and any other host's may",
            "本机的容器网桥就在这个网络中，别的主机上的也可能如此",
        )),
        Code::R08 => {
            let key = short(&plain(&entry.instance().key));
            Some(say!(lang, "the key is {key}", "键是 {key}"))
        }
        Code::R07 | Code::R15 | Code::R17 if shown.code == Some(code) && !shown.why.is_empty() => {
            let why = sentence(&plain(&shown.why));
            Some(say!(lang, "{why}", "原文：{why}"))
        }
        _ => None,
    }
}

/// Why nothing is known of a registration, though nothing is held against it.
#[must_use]
pub fn unknown(shown: &Shown, lang: Lang) -> String {
    let why = sentence(&plain(&shown.why));
    match (lang, shown.naming) {
        (Lang::En, _) => why,
        (Lang::Zh, Naming::Unanswered) => {
            let settings = platform::resolvers().unwrap_or("网络的 DNS 设置");
            format!(
                "不知道它的主机名对应什么：本机的 DNS 解析没有应答；请检查 {settings}；如果这是某个容器网络里的名字，请改为注册 \
                 IP 地址（原文：{why}）"
            )
        }
        (Lang::Zh, _) => format!("原文：{why}"),
    }
}

/// How long the connect takes, and may take.
fn far(entry: &Entry, lang: Lang) -> Option<String> {
    let took = human(entry.connect()?);
    Some(match entry.connect_timeout.map(human) {
        Some(limit) => say!(
            lang,
            "the connect takes {took}, connect_timeout is {limit}",
            "建立连接要 {took}，而 connect_timeout 是 {limit}",
        ),
        None => {
            let limit = human(KITEX_CONNECT_TIMEOUT);
            say!(
                lang,
                "the connect takes {took}, Kitex's default connect timeout is {limit}",
                "建立连接要 {took}，而 Kitex 默认的连接超时是 {limit}",
            )
        }
    })
}

/// How many registrations each finding is held against: `4,999 × P01, 1 × P05`.
#[must_use]
pub fn counts(entries: &[&Entry]) -> String {
    let mut counts: Vec<(Code, usize)> = Vec::new();
    let codes = entries.iter().flat_map(|it| &it.codes);
    for code in codes.filter(|it| !it.is_note()) {
        match counts.iter_mut().find(|(it, _)| it == code) {
            Some((_, n)) => *n += 1,
            None => counts.push((*code, 1)),
        }
    }
    counts.sort_by_key(|(code, n)| (std::cmp::Reverse(*n), *code));
    let mut text = String::new();
    for (nth, (code, n)) in counts.into_iter().enumerate() {
        let comma = if nth > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{} × {code}", thousands(n));
    }
    text
}

fn thousands(n: usize) -> String {
    match n {
        0..1000 => n.to_string(),
        _ => format!("{},{:03}", thousands(n / 1000), n % 1000),
    }
}

/// So many remedies are not shown.
#[must_use]
pub fn more_remedies(n: usize, code: Code, lang: Lang) -> String {
    say!(
        lang,
        "{n} more: tidegate explain {code}",
        "另有 {n} 条：tidegate explain {code}",
    )
}

/// What helps was said of an earlier registration.
#[must_use]
pub fn as_above(code: Code, lang: Lang) -> String {
    say!(
        lang,
        "{code}: as above, with this address",
        "{code}：同上，换成这个地址",
    )
}
