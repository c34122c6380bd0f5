//! The resolution for people.

use super::{Resolution, words};
use crate::doctor::page::{Colour, Page};
use crate::doctor::words::whole;
use crate::endpoint::Chance;
use crate::finding::{Lang, plain};
use crate::registry::Shown;

/// Lines of one list, at most.
const LINES: usize = 200;

/// All of it, in so many columns.
#[must_use]
pub fn render(it: &Resolution, lang: Lang, colour: bool, width: usize) -> String {
    let mut page = Page::new(width, colour);
    let (endpoints, all) = (it.choice.endpoints.len(), it.shown.len() + it.skipped.len());
    let head = words::resolved(&it.service, &it.registry, endpoints, all, lang);
    page.coloured(0, Colour::Head, &head);
    if let Some(missing) = &it.missing {
        let said = whole(&it.service, missing, lang);
        page.marked(Colour::Bad, "✗", &missing.headed(&said));
    }
    way(&mut page, it, lang);
    for chance in it.choice.endpoints.iter().take(LINES) {
        let mark = if chance.share > 0.0 { "✓" } else { "·" };
        page.marked(Colour::Good, mark, &endpoint(it, chance, lang));
    }
    let others: Vec<&Shown> = it.for_others().collect();
    if !others.is_empty() {
        page.wrapped(0, words::for_other_calls(lang));
    }
    for shown in others.into_iter().take(LINES) {
        let tags = shown.instance.tags.iter();
        let tags: Vec<String> = tags.map(|(tag, value)| format!("{tag}={value}")).collect();
        let text = format!("{}  {}", shown.before_and_after(), tags.join(" "));
        page.marked(Colour::Dim, "·", plain(&text).trim_end());
    }
    not_dialled(&mut page, it, lang);
    page.finish()
}

/// Why the call goes where it goes.
fn way(page: &mut Page, it: &Resolution, lang: Lang) {
    let choice = &it.choice;
    for step in &choice.rules {
        page.wrapped(2, &plain(&words::rule(step, lang)));
    }
    if let Some(stranded) = &it.stranded {
        page.marked(Colour::Bad, "✗", &plain(stranded));
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
        chance.endpoint.name,
        words::weight(chance.weight, lang)
    );
    let shown = it.behind(&chance.endpoint);
    if let Some(shown) =
        shown.filter(|it| it.rewritten.is_some() || it.instance.address != *chance.endpoint.name)
    {
        text += &format!("  ({})", plain(&shown.before_and_after()));
    }
    text
}

fn not_dialled(page: &mut Page, it: &Resolution, lang: Lang) {
    let unused = it
        .not_dialled()
        .map(|it| (it.before_and_after(), it.code, &*it.why));
    let unreadable = it.skipped.iter();
    let unreadable = unreadable.map(|(key, code, why)| (key.clone(), Some(*code), &**why));
    let all: Vec<_> = unused.chain(unreadable).collect();
    if !all.is_empty() {
        page.wrapped(0, words::not_dialled(lang));
    }
    for (address, code, why) in all.into_iter().take(LINES) {
        let code = code.map_or(String::new(), |it| format!("{it}: "));
        page.marked(Colour::Bad, "✗", &plain(&format!("{address}  {code}{why}")));
    }
}
