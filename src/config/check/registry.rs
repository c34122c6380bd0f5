//! `[[registry]]`, and finding the one a service means.

use std::sync::Arc;
use std::time::Duration;

use crate::config::load::source::Place;
use crate::config::nearest::nearest;
use crate::config::registry::{Etcd, File, Layout, Registry, Secret, Tls};

use super::value::found;
use super::{Section, Taken, Text};
use crate::config::load::tree::Kind;

const DEFAULT_PREFIX: &str = "kitex/registry-etcd";
const STEP: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);
const BUILT_IN: Duration = Duration::from_secs(3);

/// All registries, and the names of those too that are wrong otherwise, so that a wrong registry
/// is not reported again where it is referred to.
pub(super) struct Registries {
    pub(super) list: Vec<Registry>,
    names: Vec<Arc<str>>,
}

#[derive(Clone, Copy)]
enum Sort {
    Etcd,
    File,
}

impl Registries {
    pub(super) fn read(file: &mut Section<'_>) -> Self {
        let mut taken = Taken::default();
        let mut names = Vec::new();
        let list = file.tables("registry", |table| registry(table, &mut taken, &mut names));
        Self {
            list: list.into_iter().flatten().collect(),
            names,
        }
    }

    /// The registry that `named` names, else the only one. Reported if there is no such: `whose`
    /// says who wants one, `at` where.
    pub(super) fn pick(
        &self,
        table: &Section<'_>,
        named: Option<Text<'_>>,
        whose: &str,
        at: Place,
    ) -> Option<Arc<str>> {
        if let Some(named) = named {
            return self.find(table, named);
        }
        match self.names.as_slice() {
            [only] => return Some(Arc::clone(only)),
            [] => {
                let message = format!("expected a registry for {whose}, found none");
                let help = "add [[registry]], or a [[service]] with `endpoints`";
                table.report.error_with(at, message, help);
            }
            _ => {
                let message = format!(
                    "expected the registry of {whose} to be named, since there are several: {}",
                    self.all()
                );
                table.report.error(at, message);
            }
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn find(&self, table: &Section<'_>, named: Text<'_>) -> Option<Arc<str>> {
        let same = self.names.iter().find(|name| ***name == *named.text);
        if same.is_none() {
            let message = format!(
                "expected the name of a registry ({}), found \"{}\"",
                self.all(),
                named.text
            );
            match nearest(named.text, self.names.iter().map(|name| &**name)) {
                Some(near) => {
                    let help = format!("did you mean \"{near}\"?");
                    table.report.error_with(named.at, message, help);
                }
                None => table.report.error(named.at, message),
            }
        }
        same.cloned()
    }

    fn all(&self) -> String {
        if self.names.is_empty() {
            return "there is none".into();
        }
        let quoted: Vec<String> = self
            .names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        quoted.join(", ")
    }
}

fn registry(
    table: &mut Section<'_>,
    taken: &mut Taken,
    names: &mut Vec<Arc<str>>,
) -> Option<Registry> {
    let name = name(table, taken, "registry", "\"main\"");
    names.extend(name.clone());
    let sorts = [("etcd", Sort::Etcd), ("file", Sort::File)];
    let kind = table.word("kind", &sorts);
    if table.place("kind").is_none() {
        table.missing("kind", "\"etcd\"");
    }
    // Without a kind there is no telling which keys are known: read both, say nothing more.
    let etcd = matches!(kind, Some(Sort::Etcd) | None).then(|| etcd(table, kind.is_some()));
    let file = matches!(kind, Some(Sort::File) | None).then(|| path(table, kind.is_some()));
    let name = name?;
    match kind? {
        Sort::Etcd => Some(Registry::Etcd(Etcd { name, ..etcd? })),
        Sort::File => Some(Registry::File(File { name, path: file?? })),
    }
}

/// The `name` of a table of an array.
pub(super) fn name(
    table: &mut Section<'_>,
    taken: &mut Taken,
    what: &str,
    example: &str,
) -> Option<Arc<str>> {
    let name = table.text("name", "a name");
    match name {
        Some(name) => taken.take(table, &format!("a {what} name"), name),
        None if table.place("name").is_none() => table.missing("name", example),
        None => {}
    }
    name.map(|name| name.text.into())
}

fn path(table: &mut Section<'_>, required: bool) -> Option<std::path::PathBuf> {
    let path = table.file("path");
    if required && table.place("path").is_none() {
        table.missing("path", "\"instances.toml\"");
    }
    path
}

fn etcd(table: &mut Section<'_>, required: bool) -> Etcd {
    let layouts = [("kitex", Layout::Kitex)];
    let etcd = Etcd {
        name: "".into(),
        endpoints: endpoints(table, required),
        layout: table.word("layout", &layouts).unwrap_or_default(),
        prefix: prefix(table),
        user: table.text("user", "a user's name").map(|it| it.text.into()),
        password: table.secret("password").map(Secret::new),
        connect_timeout: table.duration("connect_timeout", STEP).unwrap_or(BUILT_IN),
        timeout: table.duration("timeout", STEP).unwrap_or(BUILT_IN),
        tls: table.table("tls", tls),
    };
    pair(table, "user", "password");
    if let Some(at) = table.place("tls")
        && etcd.endpoints.iter().any(|url| url.starts_with("http://"))
    {
        let message = "expected https:// endpoints beside [registry.tls], found http://";
        table.report.error(at, message);
    }
    etcd
}

fn prefix(table: &mut Section<'_>) -> String {
    let Some(text) = table.any_text("prefix", "a text, such as \"kitex/registry-etcd\"") else {
        return DEFAULT_PREFIX.into();
    };
    if text.text.ends_with('/') {
        let message = format!(
            "keys are looked for under \"{0}/SERVICE/\", with both slashes: \
             is \"{1}\" meant?",
            text.text,
            text.text.trim_end_matches('/')
        );
        table.report.warning(text.at, message);
    }
    text.text.into()
}

fn endpoints(table: &mut Section<'_>, required: bool) -> Vec<String> {
    let expected = "URLs, such as [\"http://127.0.0.1:2379\"]";
    let Some(items) = table.array("endpoints", expected) else {
        if required && table.place("endpoints").is_none() {
            table.missing("endpoints", "[\"http://127.0.0.1:2379\"]");
        }
        return Vec::new();
    };
    if let (true, Some(at)) = (items.is_empty(), table.place("endpoints")) {
        let message = format!("expected {expected}, found an empty array");
        table.report.error(at, message);
    }
    let mut urls: Vec<String> = Vec::new();
    for item in items {
        let Kind::Text { text, .. } = &item.kind else {
            let message = format!("expected a URL, found {}", found(item));
            table.report.error(item.at, message);
            continue;
        };
        let help = why_no_url(text, urls.first().map(String::as_str));
        if let Some(help) = help {
            let message = format!(
                "expected a URL such as \"http://127.0.0.1:2379\", found \"{}\"",
                masked(text)
            );
            table.report.error_with(item.at, message, help);
        }
        urls.push(text.trim_end_matches('/').to_owned());
    }
    urls
}

/// Why a text is no URL of an etcd member, `first` being another of the same cluster.
fn why_no_url(text: &str, first: Option<&str>) -> Option<String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(format!("write \"http://{text}\", or https://"));
    };
    if !["http", "https"].contains(&scheme) {
        return Some("the scheme is http or https".into());
    }
    if rest.contains('@') {
        return Some("user and password are keys of their own".into());
    }
    if let Some(problem) = super::address::not_dialable(rest.trim_end_matches('/')) {
        return Some(problem.into());
    }
    let other = first.and_then(|url| url.split_once("://"))?.0;
    (other != scheme)
        .then(|| format!("all members are reached by one scheme, the first by {other}"))
}

/// A URL without what stands before its `@`.
fn masked(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.into(),
    }
}

fn tls(table: &mut Section<'_>) -> Tls {
    let tls = Tls {
        ca: table.file("ca"),
        cert: table.file("cert"),
        key: table.file("key"),
        domain: table.text("domain", "a host name").map(|it| it.text.into()),
    };
    pair(table, "cert", "key");
    tls
}

/// Of two keys neither stands without the other.
fn pair(table: &Section<'_>, first: &str, second: &str) {
    let (at, missing) = match (table.place(first), table.place(second)) {
        (Some(at), None) => (at, second),
        (None, Some(at)) => (at, first),
        _ => return,
    };
    let message = format!("expected `{first}` and `{second}` together, found no `{missing}`");
    table.report.error(at, message);
}
