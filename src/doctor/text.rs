//! The report for people: readable at 80 columns, the gravest first, the healthy ones short.

use std::fmt::Write;
use std::time::Duration;

use super::helps::About;
use super::page::{Colour, Page};
use super::report::{Entry, RegistryReport, Report, ServiceReport, Verdict, Whole};
use super::words::{self, More};
use crate::finding::remedy::{Remedy, first};
use crate::finding::{Code, Lang, plain};
use crate::probe::Plan;

/// Services that are shown, at most.
const BLOCKS: usize = 200;
/// Wrong registrations that are shown, of one service.
const LINES: usize = 50;
/// Of more wrong ones, how many each finding is held against is said first.
const COUNTED: usize = 5;
/// Healthy registrations that are shown one by one, of one service.
const HEALTHY: usize = 20;
/// Remedies that are shown, of the gravest finding and of each further one.
const REMEDIES: (usize, usize) = (4, 2);

/// How it is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The language.
    pub lang: Lang,
    /// Whether there are colours.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Services were asked for by name: what was not tried is said, too.
    pub named: bool,
}

/// The whole report.
#[must_use]
pub fn render(report: &Report, plan: &Plan, look: Look) -> String {
    let mut page = Page::new(look.width, look.colour);
    let lang = look.lang;
    page.wrapped(0, &words::opening(plan, lang));
    for it in &report.registries {
        registry(&mut page, it, lang);
    }
    let mut services: Vec<&ServiceReport> = report.services.iter().collect();
    services.sort_by_key(|it| !it.is_wrong());
    for it in services.iter().take(BLOCKS) {
        service(&mut page, it, lang);
    }
    if services.len() > BLOCKS {
        page.blank();
        page.wrapped(
            0,
            &words::more(services.len() - BLOCKS, More::Services, lang),
        );
    }
    let sum = report.summary();
    page.blank();
    let colour = if sum.exit == 0 {
        Colour::Good
    } else {
        Colour::Bad
    };
    page.coloured(0, colour, &words::closing(&sum, gravest(report), lang));
    if look.named && !plan.call && sum.exit == 0 && sum.reachable > 0 {
        page.coloured(0, Colour::Dim, &words::none_called(lang));
    }
    page.finish()
}

/// The first code that is shown: the one to ask more about.
fn gravest(report: &Report) -> Option<Code> {
    let services = || report.services.iter();
    let registries = report.registries.iter().flat_map(|it| &it.findings);
    let whole = registries.chain(services().flat_map(|it| &it.findings));
    let entries = services().flat_map(|it| &it.entries);
    let of_entries = entries.flat_map(|it| it.codes.iter().copied());
    let skipped = services().flat_map(|it| &it.skipped).map(|it| it.code);
    let mut all = whole
        .filter_map(|it| it.code)
        .chain(of_entries)
        .chain(skipped);
    all.find(|it| !it.is_note())
}

fn registry(page: &mut Page, it: &RegistryReport, lang: Lang) {
    page.blank();
    page.coloured(0, Colour::Head, &words::registry(&it.name, it.kind, lang));
    for member in &it.members {
        if let Ok(took) = &member.answer {
            page.marked(
                Colour::Good,
                "✓",
                &words::member(&member.endpoint, *took, lang),
            );
        }
    }
    wholes(page, it.about(), &it.findings, lang);
    if it.left_out > 0 {
        page.wrapped(2, &words::left_out(it.left_out, lang));
    }
    if it.passed_over > 0 {
        let (colour, mark) = mark(true);
        page.marked(colour, mark, &words::passed_over(it.passed_over, lang));
    }
}

fn service(page: &mut Page, it: &ServiceReport, lang: Lang) {
    page.blank();
    let reachable = it.count(Verdict::Reachable);
    let head = words::service(&it.name, &it.registry, it.registered(), reachable, lang);
    page.coloured(0, Colour::Head, &head);
    wholes(page, it.about(), &it.findings, lang);
    skipped(page, it, lang);
    wrong(page, it, lang);
    healthy(page, it, lang);
}

/// The entries that are no registrations. What helps is said of the first of each finding.
fn skipped(page: &mut Page, it: &ServiceReport, lang: Lang) {
    let mut explained = Vec::new();
    for entry in it.skipped.iter().take(LINES) {
        let key = words::short(&plain(&entry.key));
        page.marked(Colour::Bad, "✗", &format!("{key}  {}", entry.code));
        let why = words::sentence(&plain(&entry.why));
        let why = match lang {
            Lang::En => why,
            Lang::Zh => format!("{}（原文：{why}）", entry.code.text(lang).cause),
        };
        page.wrapped(6, &why);
        if !explained.contains(&entry.code) {
            explained.push(entry.code);
            let of = Some((entry.code, lang));
            remedies(page, &it.about().of_skipped(entry, lang), REMEDIES.0, of);
        }
    }
    if it.skipped.len() > LINES {
        let more = it.skipped.len() - LINES;
        page.wrapped(2, &words::more(more, More::Registrations, lang));
    }
}

fn wholes(page: &mut Page, about: About<'_>, all: &[Whole], lang: Lang) {
    for it in all {
        let (colour, mark) = mark(it.is_note());
        let (head, said) = match (words::unread(it, lang), it.code) {
            (Some((step, said)), Some(code)) => {
                let cause = code.text(lang).cause;
                let head = match lang {
                    Lang::En => format!("{cause}; {step}"),
                    Lang::Zh => format!("{cause}；{step}"),
                };
                (head, Some(said))
            }
            _ => (words::whole(about.service, it, lang), None),
        };
        page.marked(colour, mark, &it.headed(&head));
        if let Some(said) = said {
            page.wrapped(4, &said);
        }
        let of = it.code.map(|code| (code, lang));
        remedies(page, &about.of_whole(it, lang), REMEDIES.0, of);
    }
}

fn mark(is_note: bool) -> (Colour, &'static str) {
    match is_note {
        true => (Colour::Dim, "·"),
        false => (Colour::Bad, "✗"),
    }
}

/// The registrations that are not reachable. What was explained for one is not explained again; of many, each set of
/// findings is shown.
fn wrong(page: &mut Page, service: &ServiceReport, lang: Lang) {
    let not_reachable = service.entries.iter();
    let mut entries: Vec<&Entry> = not_reachable
        .filter(|it| it.verdict != Verdict::Reachable)
        .collect();
    entries.sort_by(|a, b| a.codes.cmp(&b.codes));
    if entries.len() > COUNTED {
        page.wrapped(2, &words::counts(&entries));
    }
    let sets = entries.chunk_by(|a, b| a.codes == b.codes);
    let each = (LINES / sets.clone().count().max(1)).max(1);
    let mut left = 0;
    let mut above = Vec::new();
    for set in sets {
        let most = if entries.len() > LINES { each } else { LINES };
        left += set.len().saturating_sub(most);
        for (nth, entry) in set.iter().take(most).enumerate() {
            line(page, entry, lang);
            if nth == 0 {
                explain(page, service, entry, &mut above, lang);
            }
        }
    }
    if left > 0 {
        page.wrapped(2, &words::more(left, More::Registrations, lang));
    }
}

/// The reachable ones; of many, how many there are and which is slowest.
fn healthy(page: &mut Page, service: &ServiceReport, lang: Lang) {
    let reachable = || {
        let entries = service.entries.iter();
        entries.filter(|it| it.verdict == Verdict::Reachable)
    };
    if reachable().count() <= HEALTHY {
        reachable().for_each(|entry| line(page, entry, lang));
        return;
    }
    let noted = reachable().filter(|it| !it.codes.is_empty());
    noted.take(LINES).for_each(|entry| line(page, entry, lang));
    let slowest = reachable().max_by_key(|it| it.connect());
    if let Some(slowest) = slowest {
        let took = slowest.connect().unwrap_or(Duration::ZERO);
        let address = words::short(&slowest.shown.before_and_after());
        let n = service.count(Verdict::Reachable);
        page.marked(Colour::Good, "✓", &words::healthy(n, &address, took, lang));
    }
}

/// `✗ 127.0.0.1:8890  loopback  lease 42s of 60s  refused after 80us  R02 P01`.
fn line(page: &mut Page, entry: &Entry, lang: Lang) {
    let (colour, mark) = match entry.verdict {
        Verdict::Reachable => (Colour::Good, "✓"),
        Verdict::Wrong => (Colour::Bad, "✗"),
        Verdict::Unknown => (Colour::Dim, "?"),
    };
    let shown = &entry.shown;
    let address = match shown.before_and_after() {
        none if none.is_empty() => entry.instance().key.clone(),
        address => address,
    };
    let address = words::short(&plain(&address));
    let mut text = format!("{address}  {}", shown.dialled_class().label());
    let lease = words::lease(entry.lease, lang);
    let seen = entry.seen.as_ref();
    let connect = seen.map_or(String::new(), |it| words::connect(&it.connect, lang));
    let beyond = match entry.verdict {
        Verdict::Reachable => words::beyond(entry, lang),
        Verdict::Wrong | Verdict::Unknown => Vec::new(),
    };
    let codes: Vec<&str> = entry.codes.iter().map(|it| it.label()).collect();
    let parts = [lease, connect].into_iter().chain(beyond);
    for part in parts.chain([codes.join(" ")]) {
        if !part.is_empty() {
            let _ = write!(text, "  {part}");
        }
    }
    page.marked(colour, mark, &text);
}

/// What was said of the earlier registrations of a service to help with a finding.
type Above = Vec<(Code, Vec<String>)>;

/// The findings with their causes and what proves them, and what helps. What merely follows from another is left out, and
/// what helps as `above`, with another address.
fn explain(page: &mut Page, service: &ServiceReport, entry: &Entry, above: &mut Above, lang: Lang) {
    let explained = entry.codes.iter().any(|it| is_cause(*it));
    // What refuses on a container bridge of this host is a container of its own, and maybe the one that is meant.
    let is_bridged = entry.on_link && !entry.own_bridge && entry.codes.contains(&Code::R04);
    let may_be_here = entry.alone || is_bridged;
    let may_be_all = |code| may_be_here && code == Code::P01;
    let mut codes = entry.codes.clone();
    let mut at_first = true;
    codes.retain(|code| {
        std::mem::take(&mut at_first) || !explained || may_be_all(*code) || !is_a_consequence(*code)
    });
    for code in &codes {
        cause(page, entry, *code, lang);
    }
    if !entry.is_accused() && !entry.shown.why.is_empty() {
        page.wrapped(4, &words::unknown(&entry.shown, lang));
    }
    let mut told: Vec<Remedy> = Vec::new();
    for (at, code) in codes.iter().filter(|it| !it.is_note()).enumerate() {
        let most = if at == 0 { REMEDIES.0 } else { REMEDIES.1 };
        let mut helps = service.about().of_entry(entry, *code, lang);
        // The same lines for two findings are pasted once, and the same words without any said once.
        let is_told = |told: &Remedy, it: &Remedy| match &it.paste {
            None => told.what == it.what,
            lines => told.paste == *lines,
        };
        helps.retain(|it| !told.iter().any(|told| is_told(told, it)));
        let shown = first(&helps, most);
        let said: Vec<String> = shown.iter().map(|it| it.what.clone()).collect();
        let is_above = |it: &(Code, Vec<String>)| it.0 == *code && it.1.starts_with(&said);
        if shown.iter().any(|it| it.paste.is_some()) && above.iter().any(is_above) {
            page.hanging(4, 2, &format!("→ {}", words::as_above(*code, lang)));
        } else {
            remedies(page, &helps, most, Some((*code, lang)));
            above.push((*code, said));
        }
        told.extend_from_slice(first(&helps, most));
    }
}

/// `P01 the host refuses the connection: … (refused after 80us)`.
fn cause(page: &mut Page, entry: &Entry, code: Code, lang: Lang) {
    let mut text = format!("{code} {}", code.text(lang).cause);
    if let Some(evidence) = words::proof(entry, code, lang) {
        let _ = match lang {
            Lang::En => write!(text, " ({evidence})"),
            Lang::Zh => write!(text, "（{evidence}）"),
        };
    }
    page.hanging(4, 4, &text);
}

/// Says by itself why nobody answers: another address would help, or none, since the process is gone.
fn is_cause(code: Code) -> bool {
    use Code::{R01, R02, R03, R04, R05, R06, R14, R16, R17, R18, R21};
    matches!(
        code,
        R01 | R02 | R03 | R04 | R05 | R06 | R14 | R16 | R17 | R18 | R21
    )
}

/// What follows from an address that leads nowhere.
fn is_a_consequence(code: Code) -> bool {
    matches!(code, Code::P01 | Code::P02 | Code::P03 | Code::R08)
}

/// So many of them; how many more there are is said of a finding that is named.
fn remedies(page: &mut Page, all: &[Remedy], most: usize, of: Option<(Code, Lang)>) {
    let shown = first(all, most);
    for it in shown {
        page.hanging(4, 2, &format!("→ {}", it.what));
        for line in it.paste.iter().flat_map(|it| it.lines()) {
            page.pasted(8, line);
        }
    }
    let left = all[shown.len()..].iter().filter(|it| !it.goes_on).count();
    if let Some((code, lang)) = of.filter(|_| left > 0) {
        page.hanging(
            4,
            2,
            &format!("→ {}", words::more_remedies(left, code, lang)),
        );
    }
}
