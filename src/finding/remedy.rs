//! What helps with one registration: the remedies of its finding with its address filled in, to be pasted.

use std::net::IpAddr;
use std::time::Duration;

use self::place::Place;
use super::{Code, Lang, plain};
use crate::outcome::human;

mod etcdctl;
mod place;
#[cfg(test)]
mod tests;

pub use etcdctl::Etcdctl;

/// The most that are given for one finding.
const MOST: usize = 5;

/// What a finding is about. Texts of a registry stand here as they are; what is made of them is safe to print and to
/// paste.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The service.
    pub service: &'a str,
    /// The address as it is registered; of a finding about etcd (`E…`), the member's URL.
    pub address: &'a str,
    /// The key of the registration; of `E03`, the range that is to be read.
    pub key: &'a str,
    /// It stands in a file or in tidegate's config, so that nothing of Kitex's registrar or of etcd's helps.
    pub in_file: bool,
    /// An address of the instance's host that others can dial, where one is known; else texts say `HOST_IP`.
    pub host: Option<IpAddr>,
    /// That address is this very host's: right only if the server runs here.
    pub here: bool,
    /// How the etcd in which it stands is reached; `None` where it stands in none.
    pub etcd: Option<&'a Etcdctl>,
    /// What stands before the names of the services there; `None`: registry-etcd's own.
    pub own_prefix: Option<&'a str>,
    /// Its entry has no lease: nothing but a person takes it away.
    pub no_lease: bool,
    /// The address is private, and no interface of this host is in its network.
    pub elsewhere: bool,
    /// `P12`, where a config says how long a connect may take: what it would have to say.
    pub longer: Option<Duration>,
    /// Of a finding about etcd: which step failed, where that is known.
    pub step: &'a str,
    /// `R13`: it was registered, so that neither its name nor the prefix is wrong.
    pub was_registered: bool,
    /// `R13`: the nearest name there is.
    pub nearest: Option<&'a str>,
    /// `R13`: the prefix under which services stand, where it is another; may be empty.
    pub prefix: Option<&'a str>,
}

/// One thing that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, as a sentence; one that ends in a colon goes on in [`paste`](Self::paste).
    pub what: String,
    /// Lines exactly as they are to be pasted. What is not known, or not safe to paste, stays a word in capitals, such
    /// as `HOST_IP`.
    pub paste: Option<String>,
    /// It is the same as the one before it, said for another system, or what comes next: never shown alone.
    pub goes_on: bool,
}

impl Remedy {
    fn new(what: String, paste: Option<String>) -> Self {
        Self {
            what,
            paste,
            goes_on: false,
        }
    }
}

/// The first so many of them, each with all that it goes on with.
#[must_use]
pub fn first(all: &[Remedy], most: usize) -> &[Remedy] {
    let begins = all.iter().enumerate().filter(|(_, it)| !it.goes_on);
    let end = begins.map(|(at, _)| at).nth(most);
    &all[..end.unwrap_or(all.len())]
}

/// What helps with a finding, the most important first; at most five, the same for the same subject. What one of them
/// [goes on](Remedy::goes_on) with is not counted.
#[must_use]
pub fn remedies(code: Code, subject: &Subject<'_>, lang: Lang) -> Vec<Remedy> {
    let range = subject.range();
    let subject = &Subject {
        // Who may not read a range is told which.
        key: if code == Code::E03 && subject.key.is_empty() {
            &range
        } else {
            subject.key
        },
        ..*subject
    };
    let place = Place::of(subject);
    let general = beyond_this_network(code, subject, lang).chain(code.text(lang).remedies);
    let fitting = general.filter(|remedy| fits(remedy, subject, &place));
    let general =
        fitting
            .flat_map(|remedy| (0..).zip(parts(remedy)))
            .map(|(nth, (what, paste))| Remedy {
                what: place.fill(&what),
                paste: paste
                    .map(|lines| subject.etcdctl(&place.fill(&subject.under_its_prefix(&lines)))),
                goes_on: nth > 0,
            });
    let mut found: Vec<Remedy> = particular(code, subject, lang)
        .into_iter()
        .chain(general)
        .collect();
    if code == Code::R12 && subject.no_lease {
        // Nobody renews what has no lease, and nothing but this takes it away.
        let is_kept = |it: &Remedy| !it.paste.as_ref().is_some_and(|it| it.contains(" del "));
        found.sort_by_key(is_kept);
    }
    found.truncate(first(&found, MOST).len());
    if let (true, Some(ip)) = (subject.here, subject.host) {
        say_where(&mut found, ip, lang);
    }
    found
}

/// The first remedy that has this host's own address in it says whose it is.
fn say_where(remedies: &mut [Remedy], ip: IpAddr, lang: Lang) {
    let ip = ip.to_canonical().to_string();
    let has_it = |it: &&mut Remedy| it.paste.as_ref().is_some_and(|lines| lines.contains(&ip));
    let Some(first) = remedies.iter_mut().find(has_it) else {
        return;
    };
    let what = first.what.trim_end_matches([':', '：']);
    first.what = match lang {
        Lang::En => format!("{what} ({ip} is this host: right if the server runs here):"),
        Lang::Zh => format!("{what}（{ip} 是本机：仅当服务端就在本机运行时才对）："),
    };
}

/// What texts call the prefix that registry-etcd has unless told otherwise.
const PREFIX: &str = "kitex/registry-etcd/";

impl Subject<'_> {
    /// The keys of the service, or of all; nothing where the prefix is not known.
    fn range(&self) -> String {
        match (self.own_prefix, self.service) {
            (None, _) => String::new(),
            (Some(prefix), "") => format!("{prefix}/"),
            (Some(prefix), service) => format!("{prefix}/{service}/"),
        }
    }

    /// Whether the key may be any program's, and none of a registration: nothing that changes it is to be pasted.
    fn is_of_another_program(&self) -> bool {
        !self.in_file && !self.key.is_empty() && !place::ends_in_address(self.key, self.address)
    }

    /// The lines with the registry's own prefix.
    fn under_its_prefix(&self, lines: &str) -> String {
        let own = match self.own_prefix {
            None => return lines.to_owned(),
            Some(prefix) if prefix.is_empty() || place::is_safe(prefix) => prefix,
            Some(_) => "PREFIX",
        };
        lines.replace(PREFIX, &format!("{own}/"))
    }

    /// The lines with what `etcdctl` is to be told of the registry's etcd.
    fn etcdctl(&self, lines: &str) -> String {
        let Some(etcd) = self.etcd else {
            return lines.to_owned();
        };
        let told: Vec<String> = lines.lines().map(|line| etcd.tell(line)).collect();
        told.join("\n")
    }
}

/// A sentence with the words in capitals filled in, as far as they are known and safe to paste.
pub(crate) fn fill(text: &str, subject: &Subject<'_>) -> String {
    Place::of(subject).fill(text)
}

/// What only this subject tells.
fn particular(code: Code, subject: &Subject<'_>, lang: Lang) -> Vec<Remedy> {
    let say = |en: String, zh: String| match lang {
        Lang::En => en,
        Lang::Zh => zh,
    };
    let mut found = Vec::new();
    if subject.in_file && !subject.key.is_empty() && !code.label().starts_with('E') {
        let key = plain(subject.key);
        let what = say(
            format!("Correct the entry at {key}."),
            format!("改正 {key} 处的条目。"),
        );
        found.push(Remedy::new(what, None));
    }
    if code != Code::R09 && code.label().starts_with('R') && subject.is_of_another_program() {
        let what = say(
            "See whether another program uses the same prefix: the key does not end in an address."
                .to_owned(),
            "看看是不是有别的程序用了同一个前缀：这个键不以地址结尾。".to_owned(),
        );
        found.push(Remedy::new(what, None));
    }
    if code == Code::P02 && subject.elsewhere {
        let what = say(
            "It is a private address of another network. If this host is outside of that, no rule of a firewall helps: \
             connect the VPN, add the route or the peering that is missing, or register an address that can be dialled \
             from here."
                .to_owned(),
            "这是另一个网络的私有地址。如果本机不在那个网络里，改防火墙规则没有用：连上 VPN，补上缺少的路由、对等连接，或者\
             注册一个从这里能连上的地址。"
                .to_owned(),
        );
        found.push(Remedy::new(what, None));
    }
    if let (Code::P12, Some(longer)) = (code, subject.longer) {
        found.push(wait_longer(subject, longer, &say));
    }
    if code != Code::R13 {
        return found;
    }
    if subject.was_registered {
        found.extend(starts(lang));
    }
    if let Some(name) = subject.nearest.map(plain) {
        let what = say(
            format!("Ask for {name}, if that is meant: it is the nearest name there is."),
            format!("如果指的是 {name}，请改用这个名字：它是现有的最接近的名字。"),
        );
        found.push(Remedy::new(what, None));
    }
    if let Some(prefix) = subject.prefix {
        let what = say(
            "Services stand under another prefix. Tell tidegate, in its [[registry]]:".to_owned(),
            "服务注册在另一个前缀之下。请写进 tidegate 的 [[registry]]：".to_owned(),
        );
        let safe = prefix.is_empty() || place::is_safe(prefix);
        let prefix = if safe { prefix } else { "PREFIX" };
        let paste = Some(format!("prefix = \"{prefix}\""));
        found.push(Remedy::new(what, paste));
    }
    found
}

/// Of a service of which no instance is left.
fn starts(lang: Lang) -> [Remedy; 2] {
    let (see, restart) = match lang {
        Lang::En => (
            "See whether its process runs, and start it; its log says why it stopped.",
            "If it runs, restart it: after five failed looks its registrar has given up for good (R22), and its log says \
             why etcd could not be reached.",
        ),
        Lang::Zh => (
            "看看它的进程是否还在运行；不在就启动它，日志会写明它为什么停止。",
            "如果还在运行，就重启它：连续五次检查失败之后，注册器就永远放弃了（R22），日志会写明当时为什么连不上 etcd。",
        ),
    };
    [see, restart].map(|what| Remedy::new(what.to_owned(), None))
}

/// Where a private address of another network does not answer (P02), this host is outside of that network, or a firewall
/// is in between. Nobody knows which: what helps with the former (R05), where no firewall's rule does, comes first.
fn beyond_this_network(
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

fn wait_longer(
    subject: &Subject<'_>,
    longer: Duration,
    say: &dyn Fn(String, String) -> String,
) -> Remedy {
    let what = say(
        "Let tidegate wait longer for a connect:".to_owned(),
        "让 tidegate 等连接更久：".to_owned(),
    );
    let longer = human(longer);
    let lines = format!("[[service]]\nname = \"SERVICE\"\nconnect_timeout = \"{longer}\"");
    Remedy::new(what, Some(fill(&lines, subject)))
}

/// Whether a remedy may help this subject.
fn fits(remedy: &str, subject: &Subject<'_>, place: &Place<'_>) -> bool {
    const REGISTRAR: [&str; 5] = [
        "KITEX_",
        "etcd.",
        "etcdctl",
        "server.WithServiceAddr",
        "server.WithRegistryInfo",
    ];
    if subject.in_file && REGISTRAR.iter().any(|its| remedy.contains(its)) {
        return false;
    }
    if subject.is_of_another_program()
        && ["etcdctl put", "etcdctl del"]
            .iter()
            .any(|it| remedy.contains(it))
    {
        return false;
    }
    if subject.was_registered {
        return false;
    }
    // Another prefix is the answer only where one is known, or where nothing nearer is.
    if (subject.prefix.is_some() || subject.nearest.is_some()) && remedy.contains("\"PREFIX\"") {
        return false;
    }
    if subject.prefix.is_none()
        && subject.nearest.is_some()
        && remedy.contains("NewEtcdResolverWithAuth")
    {
        return false;
    }
    // Nobody of this link has an address of another network.
    if subject.elsewhere && remedy.contains("ip neigh") {
        return false;
    }
    // Who calls through tidegate already needs another of its timeouts.
    if subject.longer.is_some() && remedy.contains("connect_timeout") {
        return false;
    }
    let is_of_listening = remedy.contains("--listen-client-urls");
    let is_of_a_firewall = !is_of_listening && remedy.contains("TCP") && remedy.contains("2379");
    match subject.step {
        "name" if is_of_listening || is_of_a_firewall => return false,
        "answer" if is_of_a_firewall => return false,
        _ => {}
    }
    // Kitex drops the brackets of what it registers by these, and leaves an address that nobody can read.
    let drops_brackets = remedy.contains("KITEX_IP_TO_REGISTRY=HOST_IP\n")
        || remedy.contains("server.WithServiceAddr") && !remedy.contains("HOST_IPV4");
    !(drops_brackets && place.reach.is_some_and(|ip| ip.is_ipv6()))
}

/// The sentences of a remedy, each with the lines to be pasted that follow it.
fn parts(remedy: &str) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for line in remedy.lines() {
        match (line.strip_prefix('\t'), found.last_mut()) {
            (Some(line), Some((_, Some(lines)))) => {
                lines.push('\n');
                lines.push_str(line);
            }
            (Some(line), Some((_, paste))) => *paste = Some(line.to_owned()),
            (Some(line), None) => found.push((String::new(), Some(line.to_owned()))),
            (None, _) => found.push((line.to_owned(), None)),
        }
    }
    found
}
