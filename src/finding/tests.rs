#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn the_first_locale_that_is_set_decides() {
    let cases: [(&[(&str, &str)], Lang); 7] = [
        (&[], Lang::En),
        (&[("LANG", "zh_CN.UTF-8")], Lang::Zh),
        (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Lang::En),
        (
            &[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_TW")],
            Lang::Zh,
        ),
        (
            &[("LANG", "zh_CN"), ("LC_ALL", ""), ("LC_MESSAGES", "")],
            Lang::Zh,
        ),
        (&[("LANG", "C.UTF-8")], Lang::En),
        (&[("LC_ALL", "ZH_cn")], Lang::Zh),
    ];
    for (environment, expected) in cases {
        let variable = |name: &str| {
            let found = environment.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(Lang::of(variable), expected, "{environment:?}");
    }
}

#[test]
fn what_would_not_be_seen_as_itself_is_written_out() {
    let cases = [
        ("shop.item", "shop.item"),
        ("商品 \"a\\b\'", "商品 \"a\\b\'"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("a\r\nb\tc\0", "a\\u{d}\\u{a}b\\u{9}c\\u{0}"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("\u{202e}gnp", "\\u{202e}gnp"),
        ("it\u{200b}em\u{feff}", "it\\u{200b}em\\u{feff}"),
        ("\u{e0041}\u{2028}", "\\u{e0041}\\u{2028}"),
        ("\u{3164}", "\\u{3164}"),
    ];
    for (text, shown) in cases {
        assert_eq!(plain(text), shown);
    }
    assert!(matches!(
        plain("10.0.3.7:8888"),
        std::borrow::Cow::Borrowed(_)
    ));
}
