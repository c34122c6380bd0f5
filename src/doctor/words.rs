//! What `doctor` says, in both languages. Nothing that a registry or a server wrote is printed as it came.

use std::time::Duration;

use super::report::{BLIND, Summary, Verdict};
use crate::diagnosis::Lease;
use crate::finding::{Code, Lang, plain};
use crate::outcome::human;
use crate::probe::{Called, Connect, Idle, NO_EXCEPTION, ONLY_BYTES, Plan, Seen, Spoke};

/// One sentence in the language that is spoken.
macro_rules! say {
    ($lang:expr, $en:literal, $zh:literal $(,)?) => {
        match $lang {
            Lang::En => format!($en),
            Lang::Zh => format!($zh),
        }
    };
}

pub(crate) use say;

mod entry;
mod whole;

pub use entry::{as_above, beyond, counts, more_remedies, proof, unknown};
pub use whole::{unread, whole};

/// Longer texts of a registry are cut.
const LONGEST: usize = 120;

/// The beginning of a text that others wrote, if it is long.
#[must_use]
pub fn short(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same of a sentence with such texts in it.
#[must_use]
pub fn sentence(text: &str) -> String {
    cut(text, 3 * LONGEST)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What `doctor` does, said before anything else.
#[must_use]
pub fn opening(plan: &Plan, lang: Lang) -> String {
    let method = crate::probe::NO_SUCH_METHOD;
    let mut text = match plan.call {
        false => say!(
            lang,
            "Tries each registered address from here. Nothing is changed, no call is sent.",
            "从本机逐个尝试每个已注册的地址。不修改任何东西，也不发送任何调用。",
        ),
        true => say!(
            lang,
            "Tries each registered address from here. Nothing is changed; each server is sent a call of {method}, a \
             method that cannot exist, which a generic server sees: up to three while it gives no answer (framed, \
             TTHeader, buffered).",
            "从本机逐个尝试每个已注册的地址。不修改任何东西；会向每个服务端发送 {method} 调用，这个方法不可能存在，但泛化服\
             务端会看到它：没有回答时最多发三次（framed、TTHeader、buffered）。",
        ),
    };
    if let Some(held) = plan.idle {
        let held = human(held);
        text += &say!(
            lang,
            " A connection to each is held idle for {held}.",
            "还会与每个服务端保持一条空闲连接 {held}。",
        );
    }
    text
}

/// The last line.
#[must_use]
pub fn closing(sum: &Summary, code: Option<Code>, lang: Lang) -> String {
    let Summary {
        registrations,
        services,
        reachable,
        wrong,
        unknown,
        missing,
        others,
        exit,
    } = sum;
    let mut text = match lang {
        _ if *exit == BLIND && *registrations == 0 => say!(
            lang,
            "could not look: no registry could be read",
            "无法检查：没有一个注册中心可以读取"
        ),
        Lang::En if *registrations == 0 && *missing > 0 => {
            format!("{} not found", count(*missing, "service"))
        }
        Lang::Zh if *registrations == 0 && *missing > 0 => {
            format!("{missing} 个服务没有找到")
        }
        Lang::En => format!(
            "{} of {}: {reachable} reachable, {wrong} wrong",
            count(*registrations, "registration"),
            count(*services, "service"),
        ),
        Lang::Zh => format!(
            "{services} 个服务，{registrations} 个注册：{reachable} 个可达，{wrong} 个有问题"
        ),
    };
    if *unknown > 0 {
        text += &say!(lang, ", {unknown} unknown", "，{unknown} 个不确定");
    }
    if *missing > 0 && *registrations > 0 {
        text += &match lang {
            Lang::En => format!(", {} not found", count(*missing, "service")),
            Lang::Zh => format!("，{missing} 个服务没有找到"),
        };
    }
    if *others > 0 && *exit != BLIND {
        text += &match lang {
            Lang::En => format!(", {} as a whole", count(*others, "finding")),
            Lang::Zh => format!("，另有 {others} 个针对整体的问题"),
        };
    }
    if *exit == BLIND && *registrations > 0 {
        text += &say!(lang, "; could not look at all of them", "；未能全部检查");
    }
    if let Some(code) = code {
        text += &say!(
            lang,
            "; more: tidegate explain {code}",
            "；更多说明见 tidegate explain {code}",
        );
    }
    text
}

/// What an all-clear without a call does not cover.
#[must_use]
pub fn none_called(lang: Lang) -> String {
    say!(
        lang,
        "none was called: a hung server is found by --call",
        "没有发送调用：卡住的服务端要用 --call 才能发现"
    )
}

fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

/// A registry's headline: `registry main (etcd)`.
#[must_use]
pub fn registry(name: &str, kind: &str, lang: Lang) -> String {
    let name = plain(name);
    say!(
        lang,
        "registry {name} ({kind})",
        "注册中心 {name}（{kind}）"
    )
}

/// A member that answered.
#[must_use]
pub fn member(endpoint: &str, took: Duration, lang: Lang) -> String {
    let (endpoint, took) = (plain(endpoint), human(took));
    say!(
        lang,
        "{endpoint} answers in {took}",
        "{endpoint} 在 {took} 内应答"
    )
}

/// So many registrations were left out.
#[must_use]
pub fn left_out(n: usize, lang: Lang) -> String {
    say!(
        lang,
        "{n} more entries were not looked at: they are too many; name the services that matter",
        "另有 {n} 个条目未检查：数量太多，请指明要检查的服务",
    )
}

/// So many keys were taken for other programs'.
#[must_use]
pub fn passed_over(n: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!(
            "passed over under the empty prefix: {} of other programs (none of a name is a registration)",
            count(n, "key")
        ),
        Lang::Zh => {
            format!("空前缀下有 {n} 个其他程序的键（同一名字下没有一个是注册），已略过")
        }
    }
}

/// A service's headline.
#[must_use]
pub fn service(
    name: &str,
    registry: &str,
    registered: usize,
    reachable: usize,
    lang: Lang,
) -> String {
    let (name, registry) = (plain(name), plain(registry));
    say!(
        lang,
        "{name} ({registry}): {registered} registered, {reachable} reachable",
        "{name}（{registry}）：已注册 {registered} 个，可达 {reachable} 个",
    )
}

/// Some healthy registrations that are not listed one by one.
#[must_use]
pub fn healthy(n: usize, slowest: &str, took: Duration, lang: Lang) -> String {
    let (slowest, took) = (plain(slowest), human(took));
    say!(
        lang,
        "{n} reachable; the slowest connect took {took}, to {slowest}",
        "{n} 个可达；最慢的连接用了 {took}（{slowest}）",
    )
}

/// More that is not shown.
#[must_use]
pub fn more(n: usize, what: More, lang: Lang) -> String {
    match what {
        More::Services => say!(
            lang,
            "{n} more services are not shown here; --json shows all",
            "另有 {n} 个服务未显示；--json 会给出全部",
        ),
        More::Registrations => say!(
            lang,
            "{n} more registrations that are wrong are not shown here; --json shows all",
            "另有 {n} 个有问题的注册未显示；--json 会给出全部",
        ),
    }
}

/// What there is more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Blocks.
    Services,
    /// Lines of one block.
    Registrations,
}

/// `lease 42s of 60s`; nothing where the registry has no leases.
#[must_use]
pub fn lease(lease: Lease, lang: Lang) -> String {
    match lease {
        Lease::Unknown => String::new(),
        Lease::None => say!(lang, "no lease", "无租约"),
        Lease::Held { granted, left } => {
            let (granted, left) = (granted.as_secs(), left.as_secs());
            say!(
                lang,
                "lease {left}s of {granted}s",
                "租约剩 {left}s，共 {granted}s",
            )
        }
    }
}

/// A verdict in one or two words.
#[must_use]
pub fn verdict(verdict: Verdict, lang: Lang) -> &'static str {
    match (verdict, lang) {
        (Verdict::Reachable, Lang::En) => "reachable",
        (Verdict::Reachable, Lang::Zh) => "可达",
        (Verdict::Wrong, Lang::En) => "wrong",
        (Verdict::Wrong, Lang::Zh) => "有问题",
        (Verdict::Unknown, Lang::En) => "unknown",
        (Verdict::Unknown, Lang::Zh) => "不确定",
    }
}

/// How the connect went, in a few words.
#[must_use]
pub fn connect(connect: &Connect, lang: Lang) -> String {
    let after = match connect {
        Connect::Open(it) | Connect::Refused(it) | Connect::TimedOut(it) | Connect::Reset(it) => {
            human(*it)
        }
        _ => String::new(),
    };
    match connect {
        Connect::Open(_) => say!(lang, "connected in {after}", "{after} 内连上"),
        Connect::Refused(_) => say!(lang, "refused after {after}", "{after} 后被拒绝"),
        Connect::TimedOut(_) => say!(lang, "no answer within {after}", "{after} 内没有应答"),
        Connect::Reset(_) => say!(lang, "reset after {after}", "{after} 后被重置"),
        Connect::Unreachable(said) | Connect::NoSocket(said) => plain(said).into_owned(),
        Connect::Ours(said) => {
            let said = plain(said);
            say!(lang, "could not look: {said}", "无法检查：{said}")
        }
    }
}

/// What was seen that proves this finding; nothing where the registration itself does.
#[must_use]
pub fn evidence(code: Code, seen: &Seen, lang: Lang) -> Option<String> {
    Some(match code {
        Code::P01 | Code::P02 | Code::P03 | Code::P04 | Code::R19 => connect(&seen.connect, lang),
        Code::P05 | Code::P06 | Code::P07 | Code::P11 => spoke(seen.spoke.as_ref()?, lang),
        Code::P10 => match seen.call.as_ref()? {
            // Who answers otherwise than with an exception does not say that it knows no such method.
            Called::Answered(..) if !is_exception(seen) => say!(
                lang,
                "it answers calls, with a reply that is no exception",
                "它会回答调用，回复不是异常",
            ),
            call => called(call, lang),
        },
        Code::P08 | Code::R16 => called(seen.call.as_ref()?, lang),
        Code::P09 => idle(seen.idle?, lang),
        _ => return None,
    })
}

fn is_exception(seen: &Seen) -> bool {
    match &seen.call {
        Some(Called::Answered(_, said)) => said != NO_EXCEPTION && said != ONLY_BYTES,
        _ => false,
    }
}

fn spoke(spoke: &Spoke, lang: Lang) -> String {
    let what = match spoke {
        Spoke::Http(said) | Spoke::Ssh(said) | Spoke::Other(said) => plain(said).into_owned(),
        Spoke::Http2 => "HTTP/2".to_owned(),
        Spoke::Tls => "TLS".to_owned(),
        Spoke::Redis => "Redis".to_owned(),
        Spoke::MySql => "MySQL".to_owned(),
    };
    say!(lang, "it answered {what}", "它的回答是 {what}")
}

fn called(called: &Called, lang: Lang) -> String {
    match called {
        Called::Answered(took, said) => {
            let (took, said) = (human(*took), plain(said));
            say!(
                lang,
                "it answered the call after {took}: {said}",
                "{took} 后回答了调用：{said}",
            )
        }
        Called::Silent(took) => {
            let took = human(*took);
            say!(
                lang,
                "of up to three calls (framed, TTHeader, buffered) it answered none, each within {took}",
                "最多三次调用（framed、TTHeader、buffered），每次 {took} 内都没有回答",
            )
        }
        Called::Closed => say!(
            lang,
            "it closed the connection without an answer",
            "它没有回答就关闭了连接",
        ),
    }
}

fn idle(idle: Idle, lang: Lang) -> String {
    match idle {
        Idle::Closed(after) => {
            let after = human(after);
            say!(
                lang,
                "it closed an idle connection after {after}",
                "空闲 {after} 后它关闭了连接",
            )
        }
        Idle::Open(after) => {
            let after = human(after);
            say!(
                lang,
                "an idle connection was still open after {after}",
                "空闲 {after} 后连接仍然打开",
            )
        }
    }
}
