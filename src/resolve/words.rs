//! What `resolve` says, in both languages.

use super::{NotSaid, Resolution};
use crate::config::NoKey;
use crate::doctor::words::{say, sentence, unknown};
use crate::endpoint::Step;
use crate::finding::{Code, Lang, plain};
use crate::registry::{Naming, Shown};

/// Why a text says nothing that a call can say of itself, in Chinese.
pub(super) fn not_said(error: &NotSaid) -> String {
    match error {
        NotSaid::NoPair => {
            "应为 KEY=VALUE，例如 env=gray、RPC_PERSIST_LANE=a 或 source=10.0.0.7".to_owned()
        }
        NotSaid::Key(NoKey::Malformed) => {
            "应为调用自己带的某个键，例如 env、to_cluster、from_service、source 或 RPC_PERSIST_LANE"
                .to_owned()
        }
        NotSaid::Key(NoKey::Near(name)) => format!("是不是想写 {name}？"),
        NotSaid::NoAddress => "source= 后面应为 IP 地址".to_owned(),
    }
}

/// The headline of `resolve`.
pub(super) fn resolved(
    service: &str,
    registry: &str,
    endpoints: usize,
    all: usize,
    lang: Lang,
) -> String {
    let (service, registry) = (plain(service), plain(registry));
    say!(
        lang,
        "{service} ({registry}): {all} registered; this call may go to {endpoints}",
        "{service}（{registry}）：已注册 {all} 个；这个调用可以去 {endpoints} 个",
    )
}

/// A rule of `lane` that the call fits.
pub(super) fn rule(step: &Step, lang: Lang) -> String {
    let Step { lane, at, live, .. } = step;
    let text = say!(
        lang,
        "lane {lane} ({at}): the call fits, {live} registered",
        "泳道 {lane}（{at}）：符合，其中有 {live} 个实例",
    );
    match (live, step.fallback) {
        (0, true) => text + &say!(lang, "; it goes on to the next rule", "；继续看下一条规则"),
        (0, false) => text + &say!(lang, "; fallback = false", "；fallback = false"),
        _ => text,
    }
}

/// What is worth knowing beside the answer.
pub(super) fn notes(it: &Resolution, lang: Lang) -> Vec<String> {
    let faults = it.notes.iter().map(|note| {
        let note = plain(note);
        say!(lang, "not read: {note}", "没有读到：{note}")
    });
    let service = plain(&it.service);
    let unseen = it.unseen.iter().map(|key| {
        let key = plain(key);
        say!(
            lang,
            "{key}: no rule of {service} looks at it",
            "{key}：{service} 没有任何规则看它",
        )
    });
    faults.chain(unseen).collect()
}

/// The listeners that look there.
pub(super) fn listeners(it: &Resolution, lang: Lang) -> String {
    let names: Vec<_> = it.listeners.iter().map(|it| plain(it)).collect();
    let names = names.join(", ");
    say!(lang, "at listener {names}:", "监听器 {names}：")
}

/// Why a registration is not used. The reason comes as a running tidegate says it.
pub(super) fn unused(shown: &Shown, lang: Lang) -> String {
    match shown.code {
        Some(code) if shown.naming != Naming::Unanswered => wrong(code, &shown.why, lang),
        _ => unknown(shown, lang),
    }
}

/// Why nothing takes the call, as a running tidegate says it.
pub(super) fn stranded(why: &str, lang: Lang) -> String {
    let why = sentence(&plain(why));
    say!(lang, "{why}", "原文：{why}")
}

/// What is wrong with an entry.
pub(super) fn wrong(code: Code, why: &str, lang: Lang) -> String {
    let why = sentence(&plain(why));
    match lang {
        Lang::En => format!("{code}: {why}"),
        Lang::Zh => format!("{code}：{}（原文：{why}）", code.text(lang).cause),
    }
}

/// What is held against a registration that is used all the same, and why it is.
pub(super) fn used(code: Code, is_allowed: bool, lang: Lang) -> String {
    let cause = code.text(lang).cause;
    let because = match code {
        Code::R02 | Code::R03 if is_allowed => say!(
            lang,
            "; used since suspicious = \"allow\"",
            "；因为 suspicious = \"allow\"，仍会使用",
        ),
        Code::R02 | Code::R03 => say!(
            lang,
            "; used because nothing else is registered",
            "；因为没有注册别的地址，仍会使用",
        ),
        _ => String::new(),
    };
    say!(lang, "{code}: {cause}{because}", "{code}：{cause}{because}")
}

/// What may keep a registration that is used from being reached.
pub(super) fn unsure(code: Code, lang: Lang) -> String {
    let cause = code.text(lang).cause;
    say!(
        lang,
        "{code}: {cause}; not dialled here, tidegate doctor tries it",
        "{code}：{cause}；这里没有去连接，tidegate doctor 会尝试连接",
    )
}

/// No lane takes it.
pub(super) fn baseline(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "baseline: the instances that belong to no lane",
        Lang::Zh => "基线：不属于任何泳道的实例",
    }
}

/// Which item of `prefer` counts.
pub(super) fn preferred(item: &str, lang: Lang) -> String {
    let item = plain(item);
    say!(
        lang,
        "preferred: {item}; the others while none of these can take it",
        "优先：{item}；这些都不能用时才用其余的",
    )
}

/// The share of the calls.
pub(super) fn share(share: f64, lang: Lang) -> String {
    match share > 0.0 {
        true => format!("{:.0} %", share * 100.0),
        false => say!(lang, "spare", "备用"),
    }
}

/// A weight.
pub(super) fn weight(weight: u32, lang: Lang) -> String {
    say!(lang, "weight {weight}", "权重 {weight}")
}

/// What is dialled, but not for this call.
pub(super) fn for_other_calls(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "for other calls:",
        Lang::Zh => "给其他调用的：",
    }
}

/// What is not dialled.
pub(super) fn not_dialled(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "not dialled:",
        Lang::Zh => "不会连接的：",
    }
}
