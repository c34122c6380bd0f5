//! What only a subject tells, beside the remedies that its finding has in general.

use std::time::Duration;

use super::{Remedy, Subject, fill, place};
use crate::finding::{Code, Lang, plain};
use crate::outcome::human;

/// What only this subject tells, the most important first.
pub(super) fn particular(code: Code, subject: &Subject<'_>, lang: Lang) -> Vec<Remedy> {
    let is_of_etcd = code.label().starts_with('E');
    let is_of_a_registration = code.label().starts_with('R');
    let mut found = Vec::new();
    found.extend(
        subject
            .rule
            .map(|rule| correct_rule(rule, is_of_a_registration, lang)),
    );
    if subject.in_file && subject.rule.is_none() && !subject.key.is_empty() && !is_of_etcd {
        found.push(correct(subject, lang));
    }
    if code != Code::R09 && is_of_a_registration && subject.is_of_another_program() {
        found.push(whose(lang));
    }
    if code == Code::P02 && subject.elsewhere {
        found.push(come_nearer(lang));
    }
    if let (Code::P12, Some(longer)) = (code, subject.longer) {
        found.push(wait_longer(subject, longer, lang));
    }
    if code == Code::R13 {
        if subject.was_registered {
            found.extend(starts(lang));
        }
        found.extend(subject.nearest.map(|name| ask_for(name, lang)));
        found.extend(subject.prefix.map(|prefix| look_under(prefix, lang)));
    }
    found
}

/// Where a private address of another network does not answer (P02), this host is outside of that network, or a firewall
/// is in between. Nobody knows which: what helps with the former (R05), where no firewall's rule does, comes first.
pub(super) fn beyond_this_network(
    code: Code,
    subject: &Subject<'_>,
    lang: Lang,
) -> impl Iterator<Item = &'static &'static str> {
    let outside = match code == Code::P02 && subject.elsewhere {
        true => Code::R05.text(lang).remedies,
        false => &[],
    };
    let is_short = |it: &&&str| it.contains("KITEX_IP_TO_REGISTRY") || it.contains("[[rewrite]]");
    outside.iter().filter(is_short)
}

/// Of a finding about the address, the rule is wrong; what answers there, or does not, may be as well.
fn correct_rule(rule: &str, is_wrong: bool, lang: Lang) -> Remedy {
    let rule = plain(rule);
    let what = match (lang, is_wrong) {
        (Lang::En, true) => format!("Correct the rule that leads there: {rule}."),
        (Lang::En, false) => format!("Correct the rule that leads there, if it is wrong: {rule}."),
        (Lang::Zh, true) => format!("改正把地址指到那里的规则：{rule}。"),
        (Lang::Zh, false) => format!("如果把地址指到那里的规则不对，就改正它：{rule}。"),
    };
    Remedy::new(what, None)
}

fn correct(subject: &Subject<'_>, lang: Lang) -> Remedy {
    let key = plain(subject.key);
    let what = match lang {
        Lang::En => format!("Correct the entry at {key}."),
        Lang::Zh => format!("改正 {key} 处的条目。"),
    };
    Remedy::new(what, None)
}

fn whose(lang: Lang) -> Remedy {
    say(
        lang,
        "See whether another program uses the same prefix: this is no entry as a registrar writes it.",
        "看看是不是有别的程序用了同一个前缀：这个条目不像是注册器写的。",
    )
}

fn come_nearer(lang: Lang) -> Remedy {
    say(
        lang,
        "It is a private address of another network. If this host is outside of that, no rule of a firewall helps: \
         connect the VPN, add the route or the peering that is missing, or register an address that can be dialled from \
         here.",
        "这是另一个网络的私有地址。如果本机不在那个网络里，改防火墙规则没有用：连上 VPN，补上缺少的路由、对等连接，或者注册一个\
         从这里能连上的地址。",
    )
}

fn wait_longer(subject: &Subject<'_>, longer: Duration, lang: Lang) -> Remedy {
    let what = match lang {
        Lang::En => "Let tidegate wait longer for a connect:",
        Lang::Zh => "让 tidegate 等连接更久：",
    };
    let longer = human(longer);
    let lines = format!("[[service]]\nname = \"SERVICE\"\nconnect_timeout = \"{longer}\"");
    Remedy::new(what.to_owned(), Some(fill(&lines, subject)))
}

/// Of a service of which no instance is left.
fn starts(lang: Lang) -> [Remedy; 2] {
    [
        say(
            lang,
            "See whether its process runs, and start it; its log says why it stopped.",
            "看看它的进程是否还在运行；不在就启动它，日志会写明它为什么停止。",
        ),
        say(
            lang,
            "If it runs, restart it: after five failed looks its registrar has given up for good (R22), and its log says \
             why etcd could not be reached.",
            "如果还在运行，就重启它：连续五次检查失败之后，注册器就永远放弃了（R22），日志会写明当时为什么连不上 etcd。",
        ),
    ]
}

fn ask_for(name: &str, lang: Lang) -> Remedy {
    let name = plain(name);
    let what = match lang {
        Lang::En => {
            format!("Ask for {name}, if that is meant: it is the nearest name there is.")
        }
        Lang::Zh => format!("如果指的是 {name}，请改用这个名字：它是现有的最接近的名字。"),
    };
    Remedy::new(what, None)
}

fn look_under(prefix: &str, lang: Lang) -> Remedy {
    let what = match lang {
        Lang::En => "Services stand under another prefix. Tell tidegate, in its [[registry]]:",
        Lang::Zh => "服务注册在另一个前缀之下。请写进 tidegate 的 [[registry]]：",
    };
    let is_safe = prefix.is_empty() || place::is_safe(prefix);
    let prefix = if is_safe { prefix } else { "PREFIX" };
    Remedy::new(what.to_owned(), Some(format!("prefix = \"{prefix}\"")))
}

/// One that pastes nothing.
fn say(lang: Lang, en: &str, zh: &str) -> Remedy {
    let what = match lang {
        Lang::En => en,
        Lang::Zh => zh,
    };
    Remedy::new(what.to_owned(), None)
}
