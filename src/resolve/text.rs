//! The resolution for people.

use super::{Resolution, words};
use crate::diagnosis::is_no_way;
use crate::doctor::page::{Colour, Page};
use crate::doctor::words::{short, whole};
use crate::endpoint::Chance;
use crate::finding::remedy::Remedy;
use crate::finding::{Code, Lang, plain};
use crate::registry::Shown;

/// Lines of one list, at most.
const LINES: usize = 200;

/// All answers, in so many columns.
#[must_use]
pub fn render(all: &[Resolution], lang: Lang, colour: bool, width: usize) -> String {
    let mut page = Page::new(width, colour);
    for (nth, it) in all.iter().enumerate() {
        if nth > 0 {
            page.blank();
        }
        if all.len() > 1 {
            page.wrapped(0, &words::listeners(it, lang));
        }
        one(&mut page, it, lang);
    }
    page.finish()
}

fn one(page: &mut Page, it: &Resolution, lang: Lang) {
    let (endpoints, all) = (it.choice.endpoints.len(), it.shown.len() + it.skipped.len());
    let head = words::resolved(&it.service, &it.registry, endpoints, all, lang);
    page.coloured(0, Colour::Head, &head);
    if let Some(missing) = &it.missing {
        let said = whole(&it.service, missing, lang);
        page.marked(Colour::Bad, "✗", &missing.headed(&said));
        remedies(page, &it.about().of_whole(missing, lang));
    }
    for note in words::notes(it, lang) {
        page.marked(Colour::Dim, "·", &note);
    }
    way(page, it, lang);
    for chance in it.choice.endpoints.iter().take(LINES) {
        let doubt = it.behind(&chance.endpoint).and_then(doubt);
        let (colour, mark) = match doubt {
            Some(code) if !is_no_way(code) => (Colour::Bad, "!"),
            _ if chance.share > 0.0 => (Colour::Good, "✓"),
            _ => (Colour::Good, "·"),
        };
        page.marked(colour, mark, &endpoint(it, chance, lang));
        match doubt {
            // Nothing was dialled: what only may keep it from being reached accuses nobody.
            Some(code) if is_no_way(code) => {
                page.coloured(6, Colour::Dim, &words::unsure(code, lang));
            }
            Some(code) => page.wrapped(6, &words::used(code, it.is_allowed, lang)),
            None => {}
        }
    }
    let others: Vec<&Shown> = it.for_others().collect();
    if !others.is_empty() {
        page.wrapped(0, words::for_other_calls(lang));
    }
    for shown in others.into_iter().take(LINES) {
        let tags = shown.instance.tags.iter();
        let tags: Vec<String> = tags.map(|(tag, value)| format!("{tag}={value}")).collect();
        let address = plain(&shown.before_and_after()).into_owned();
        let text = format!("{}  {}", short(&address), plain(&tags.join(" ")));
        page.marked(Colour::Dim, "·", text.trim_end());
    }
    not_dialled(page, it, lang);
}

/// What is held against a registration that is used all the same; what only may be against it comes last.
fn doubt(shown: &Shown) -> Option<Code> {
    let codes = shown.code.iter().chain(&shown.more).copied();
    codes
        .filter(|it| !it.is_note())
        .min_by_key(|it| is_no_way(*it))
}

fn remedies(page: &mut Page, all: &[Remedy]) {
    for it in all {
        page.hanging(4, 2, &format!("→ {}", it.what));
        for line in it.paste.iter().flat_map(|it| it.lines()) {
            page.pasted(8, line);
        }
    }
}

/// Why the call goes where it goes.
fn way(page: &mut Page, it: &Resolution, lang: Lang) {
    let choice = &it.choice;
    for step in &choice.rules {
        page.wrapped(2, &plain(&words::rule(step, lang)));
    }
    if let Some(stranded) = &it.stranded {
        page.marked(Colour::Bad, "✗", &words::stranded(stranded, lang));
    } else if !choice.rules.is_empty() && choice.is_base {
        page.wrapped(2, words::baseline(lang));
    }
    if let Some(preferred) = &choice.preferred {
        page.wrapped(2, &words::preferred(preferred, lang));
    }
}

/// `60 %  10.0.0.7:8888  weight 10`.
fn endpoint(it: &Resolution, chance: &Chance, lang: Lang) -> String {
    let share = words::share(chance.share, lang);
    let mut text = format!(
        "{share}  {}  {}",
        short(&plain(&chance.endpoint.name)),
        words::weight(chance.weight, lang)
    );
    let shown = it.behind(&chance.endpoint);
    if let Some(shown) =
        shown.filter(|it| it.rewritten.is_some() || it.instance.address != *chance.endpoint.name)
    {
        text += &format!("  ({})", short(&plain(&shown.before_and_after())));
    }
    text
}

fn not_dialled(page: &mut Page, it: &Resolution, lang: Lang) {
    let unused = it
        .not_dialled()
        .map(|it| (it.before_and_after(), words::unused(it, lang)));
    let unreadable = it.skipped.iter();
    let unreadable =
        unreadable.map(|(key, code, why)| (key.clone(), words::wrong(*code, why, lang)));
    let all: Vec<_> = unused.chain(unreadable).collect();
    if !all.is_empty() {
        page.wrapped(0, words::not_dialled(lang));
    }
    for (address, why) in all.into_iter().take(LINES) {
        let address = short(&plain(&address));
        page.marked(Colour::Bad, "✗", &format!("{address}  {why}"));
    }
}
