//! What helps with one registration: the remedies of its finding with its address filled in, to be pasted.

use std::net::IpAddr;
use std::time::Duration;

use self::fits::fits;
use self::particular::{beyond_this_network, particular};
use self::place::Place;
use super::{Code, Lang};

mod etcdctl;
mod fits;
mod particular;
mod place;
#[cfg(test)]
mod tests;

pub use etcdctl::Etcdctl;
pub(crate) use place::{has_a_name_of_its_own, is_a_bridges_own};

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
    /// The `[[rewrite]]` rule that leads to what the finding is of, in words that say where it stands.
    pub rule: Option<&'a str>,
    /// Of a finding about etcd: which step failed, where that is known.
    pub step: &'a str,
    /// The registry stands in no config: it was named on the command line.
    pub unconfigured: bool,
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
    // What registers a bridge's own address runs outside of containers, and takes it for its host's: as a link-local one.
    let in_general = match code {
        Code::R04 if is_a_bridges_own(subject.address) => Code::R03,
        code => code,
    };
    let general = beyond_this_network(code, subject, lang).chain(in_general.text(lang).remedies);
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
    for remedy in found
        .iter_mut()
        .filter(|it| it.what.contains("[[registry]]"))
    {
        remedy.paste = remedy.paste.take().map(|lines| subject.registry(&lines));
    }
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
        !self.in_file
            && !self.key.is_empty()
            && (!place::ends_in_address(self.key, self.address) || self.is_by_chance())
    }

    /// Whether the key merely looks like one of a registration, where every program's keys stand: its value names no
    /// address, or more stands between the service and the address.
    fn is_by_chance(&self) -> bool {
        let rest = self.key.strip_prefix(&*self.range());
        let is_deeper = rest.is_some_and(|it| it.contains('/') && it != self.address);
        self.own_prefix == Some("") && (self.address.is_empty() || is_deeper)
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

    /// The lines as part of a registry that stands in no config yet; they stay as they are where it does.
    fn registry(&self, lines: &str) -> String {
        let url = self.etcd.map(|etcd| etcd.endpoint.as_str());
        match url.filter(|_| self.unconfigured) {
            Some(url) => {
                let url = if place::is_safe(url) { url } else { "URL" };
                format!(
                    "[[registry]]\nname = \"etcd\"\nkind = \"etcd\"\nendpoints = [\"{url}\"]\n{lines}"
                )
            }
            None => lines.to_owned(),
        }
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
