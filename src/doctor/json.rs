//! The report as JSON: stable, see `docs/doctor.md`. It is written as it goes, so that a large one takes no memory.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::helps::About;
use super::report::{Entry, RegistryReport, Report, ServiceReport, Summary, Whole};
use super::words;
use crate::diagnosis::Lease;
use crate::finding::remedy::Remedy;
use crate::finding::{Code, Lang};
use crate::registry::survey::MemberSeen;

mod seen;

use seen::SeenJson;

/// A report in a language: that of the remedies.
pub struct Json<'a>(pub &'a Report, pub Lang);

/// A part of it.
struct In<'a, T>(&'a T, Lang);

/// Some parts of it.
struct Each<'a, T>(&'a [T], Lang);

impl<'a, T> Serialize for Each<'a, T>
where
    In<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|it| In(it, self.1)))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(report, lang) = *self;
        let mut out = to.serialize_struct("Report", 3)?;
        out.serialize_field("registries", &Each(&report.registries, lang))?;
        out.serialize_field("services", &Each(&report.services, lang))?;
        out.serialize_field("summary", &report.summary())?;
        out.end()
    }
}

impl Serialize for In<'_, RegistryReport> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(it, lang) = *self;
        let mut out = to.serialize_struct("Registry", 6)?;
        out.serialize_field("name", &*it.name)?;
        out.serialize_field("kind", it.kind)?;
        out.serialize_field("members", &Each(&it.members, lang))?;
        out.serialize_field("findings", &Wholes(it.about(), &it.findings, lang))?;
        out.serialize_field("left_out", &it.left_out)?;
        out.serialize_field("passed_over", &it.passed_over)?;
        out.end()
    }
}

impl Serialize for In<'_, MemberSeen> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let it = self.0;
        let fault = it.answer.as_ref().err();
        let mut out = to.serialize_struct("Member", 6)?;
        out.serialize_field("endpoint", &it.endpoint)?;
        let took = it.answer.as_ref().ok();
        out.serialize_field("took_seconds", &took.map(std::time::Duration::as_secs_f64))?;
        out.serialize_field("code", &fault.and_then(|it| it.code))?;
        out.serialize_field("step", &fault.map(|it| it.step))?;
        out.serialize_field("said", &fault.map(|it| &it.text))?;
        out.serialize_field("advertises_loopback", &it.advertises_loopback)?;
        out.end()
    }
}

impl Serialize for In<'_, ServiceReport> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(it, lang) = *self;
        let mut out = to.serialize_struct("Service", 7)?;
        out.serialize_field("name", &*it.name)?;
        out.serialize_field("registry", &*it.registry)?;
        out.serialize_field("registered", &it.registered())?;
        out.serialize_field("reachable", &it.count(super::report::Verdict::Reachable))?;
        out.serialize_field("findings", &Wholes(it.about(), &it.findings, lang))?;
        let skipped = it.skipped.iter().map(|entry| Said {
            key: &entry.key,
            code: entry.code,
            said: &entry.why,
            remedies: Help::all(entry.code, &it.about().of_skipped(entry, lang)),
        });
        out.serialize_field("skipped", &skipped.collect::<Vec<_>>())?;
        out.serialize_field("instances", &Entries(it, lang))?;
        out.end()
    }
}

#[derive(Serialize)]
struct Said<'a> {
    key: &'a str,
    code: Code,
    said: &'a str,
    remedies: Vec<Help>,
}

/// The findings about a service, or about no service in particular.
struct Wholes<'a>(About<'a>, &'a [Whole], Lang);

impl Serialize for Wholes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(about, all, lang) = *self;
        to.collect_seq(all.iter().map(|it| {
            let helps = |code| Help::all(code, &about.of_whole(it, lang));
            WholeJson {
                code: it.code,
                said: words::whole(about.service, it, lang),
                remedies: it.code.map_or(Vec::new(), helps),
            }
        }))
    }
}

#[derive(Serialize)]
struct WholeJson {
    code: Option<Code>,
    said: String,
    remedies: Vec<Help>,
}

#[derive(Serialize)]
struct Help {
    code: Code,
    what: String,
    paste: Option<String>,
}

impl Help {
    fn all(code: Code, all: &[Remedy]) -> Vec<Self> {
        let helps = all.iter().map(|it| Self {
            code,
            what: it.what.clone(),
            paste: it.paste.clone(),
        });
        helps.collect()
    }
}

/// The entries of a service.
struct Entries<'a>(&'a ServiceReport, Lang);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(service, lang) = *self;
        to.collect_seq(service.entries.iter().map(|entry| EntryJson {
            about: service.about(),
            entry,
            lang,
        }))
    }
}

struct EntryJson<'a> {
    about: About<'a>,
    entry: &'a Entry,
    lang: Lang,
}

impl Serialize for EntryJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let it = self.entry;
        let shown = &it.shown;
        let rule = shown.rewritten.as_ref().map(|it| &*it.rule);
        let mut out = to.serialize_struct("Instance", 12)?;
        out.serialize_field("key", &it.instance().key)?;
        out.serialize_field("address", &it.instance().address)?;
        out.serialize_field("class", shown.dialled_class().label())?;
        out.serialize_field("dials", &shown.dial.as_ref().map(ToString::to_string))?;
        out.serialize_field("rewritten_by", &rule)?;
        out.serialize_field("used", &shown.used)?;
        out.serialize_field("why", &shown.why)?;
        out.serialize_field("lease", &lease(it.lease))?;
        out.serialize_field("verdict", it.verdict.label())?;
        out.serialize_field("codes", &it.codes)?;
        out.serialize_field("seen", &it.seen.as_ref().map(SeenJson::new))?;
        out.serialize_field("remedies", &self.remedies())?;
        out.end()
    }
}

impl EntryJson<'_> {
    fn remedies(&self) -> Vec<Help> {
        let helps = |code: &Code| {
            let all = self.about.of_entry(self.entry, *code, self.lang);
            Help::all(*code, &all)
        };
        let accusing = self.entry.codes.iter().filter(|code| !code.is_note());
        accusing.flat_map(helps).collect()
    }
}

#[derive(Serialize)]
struct LeaseJson {
    granted_seconds: f64,
    left_seconds: f64,
}

fn lease(lease: Lease) -> Option<LeaseJson> {
    match lease {
        Lease::Unknown | Lease::None => None,
        Lease::Held { granted, left } => Some(LeaseJson {
            granted_seconds: granted.as_secs_f64(),
            left_seconds: left.as_secs_f64(),
        }),
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_struct("Summary", 8)?;
        out.serialize_field("registrations", &self.registrations)?;
        out.serialize_field("services", &self.services)?;
        out.serialize_field("reachable", &self.reachable)?;
        out.serialize_field("wrong", &self.wrong)?;
        out.serialize_field("unknown", &self.unknown)?;
        out.serialize_field("missing", &self.missing)?;
        out.serialize_field("others", &self.others)?;
        out.serialize_field("exit", &self.exit)?;
        out.end()
    }
}
