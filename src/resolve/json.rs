//! The resolution as JSON: stable, see `docs/doctor.md`.

use serde::Serialize;

use super::Resolution;
use crate::doctor::report::Whole;
use crate::doctor::words;
use crate::endpoint::{Chance, Step};
use crate::finding::{Code, Lang};
use crate::registry::Shown;

/// What is printed.
#[derive(Serialize)]
pub struct Json<'a> {
    service: &'a str,
    registry: &'a str,
    rules: Vec<Rule<'a>>,
    lane: Option<&'a str>,
    preferred: Option<&'a str>,
    endpoints: Vec<One<'a>>,
    others: Vec<Other<'a>>,
    not_dialled: Vec<Left<'a>>,
    findings: Vec<Finding>,
    why: Option<&'a str>,
    listeners: Vec<&'a str>,
    notes: Vec<String>,
    exit: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Json<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    lane: &'a str,
    at: &'a str,
    live: usize,
    registered: usize,
    fallback: bool,
}

#[derive(Serialize)]
struct One<'a> {
    dials: &'a str,
    weight: u32,
    share: f64,
    address: Option<&'a str>,
    key: Option<&'a str>,
    rewritten_by: Option<&'a str>,
    code: Option<Code>,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Other<'a> {
    dials: Option<String>,
    address: &'a str,
    key: &'a str,
    tags: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Left<'a> {
    address: Option<&'a str>,
    key: &'a str,
    code: Option<Code>,
    why: &'a str,
}

#[derive(Serialize)]
struct Finding {
    code: Option<Code>,
    said: String,
    remedies: Vec<Help>,
}

#[derive(Serialize)]
struct Help {
    what: String,
    paste: Option<String>,
}

impl<'a> Json<'a> {
    /// Of all answers, the first with the others in it.
    #[must_use]
    pub fn of(all: &'a [Resolution], lang: Lang) -> Option<Self> {
        let mut all = all.iter().map(|it| Self::new(it, lang));
        let mut first = all.next()?;
        first.also = all.collect();
        Some(first)
    }

    /// Of a resolution, in a language.
    #[must_use]
    pub fn new(it: &'a Resolution, lang: Lang) -> Self {
        let findings = it.missing.iter().map(|whole| Finding {
            code: whole.code,
            said: words::whole(&it.service, whole, lang),
            remedies: help(it, whole, lang),
        });
        let unreadable = it.skipped.iter().map(|(key, code, why)| Left {
            address: None,
            key,
            code: Some(*code),
            why,
        });
        let chances = it.choice.endpoints.iter();
        Self {
            service: &it.service,
            registry: &it.registry,
            rules: it.choice.rules.iter().map(Rule::new).collect(),
            lane: it.choice.lane(),
            preferred: it.choice.preferred.as_deref(),
            endpoints: chances.map(|chance| One::new(it, chance)).collect(),
            others: it.for_others().map(Other::new).collect(),
            not_dialled: it.not_dialled().map(Left::new).chain(unreadable).collect(),
            findings: findings.collect(),
            why: it.stranded.as_deref(),
            listeners: it.listeners.iter().map(|it| &**it).collect(),
            notes: super::words::notes(it, lang),
            exit: it.exit(),
            also: Vec::new(),
        }
    }
}

fn help(it: &Resolution, whole: &Whole, lang: Lang) -> Vec<Help> {
    let all = it.about().of_whole(whole, lang).into_iter();
    let all = all.map(|it| Help {
        what: it.what,
        paste: it.paste,
    });
    all.collect()
}

impl<'a> Rule<'a> {
    fn new(step: &'a Step) -> Self {
        Self {
            lane: &step.lane,
            at: &step.at,
            live: step.live,
            registered: step.registered,
            fallback: step.fallback,
        }
    }
}

impl<'a> One<'a> {
    fn new(it: &'a Resolution, chance: &'a Chance) -> Self {
        let shown = it.behind(&chance.endpoint);
        let rule = shown.and_then(|it| it.rewritten.as_ref());
        Self {
            dials: &chance.endpoint.name,
            weight: chance.weight,
            share: chance.share,
            address: shown.map(|it| &*it.instance.address),
            key: shown.map(|it| &*it.instance.key),
            rewritten_by: rule.map(|it| &*it.rule),
            code: shown.and_then(|it| it.code),
            why: shown.map(|it| &*it.why).filter(|it| !it.is_empty()),
        }
    }
}

impl<'a> Other<'a> {
    fn new(it: &'a Shown) -> Self {
        Self {
            dials: it.dial.as_ref().map(ToString::to_string),
            address: &it.instance.address,
            key: &it.instance.key,
            tags: &it.instance.tags,
        }
    }
}

impl<'a> Left<'a> {
    fn new(it: &'a Shown) -> Self {
        Self {
            address: Some(&it.instance.address),
            key: &it.instance.key,
            code: it.code,
            why: &it.why,
        }
    }
}
