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

#[test]
fn every_finding_has_its_words_in_both_languages() {
    for code in Code::ALL {
        let [en, zh] = [Lang::En, Lang::Zh].map(|lang| code.text(lang));
        assert_eq!(en.cause, code.cause());
        assert!(!zh.cause.is_ascii() && !zh.proof.is_ascii(), "{code}");
        assert_eq!(en.remedies.len(), zh.remedies.len(), "{code}");
        for text in [en, zh] {
            let all = [text.cause, text.proof]
                .into_iter()
                .chain(text.remedies.iter().copied());
            for words in all {
                assert!(
                    !words.trim().is_empty() && !words.contains("  "),
                    "{code}: {words}"
                );
                assert!(
                    words.lines().all(|line| line == line.trim_end()),
                    "{code}: {words}"
                );
            }
            assert!(!text.cause.contains('\n'), "{code}");
        }
    }
}

#[test]
fn what_is_to_be_pasted_is_the_same_in_both_languages() {
    let pasted = |text: Text| -> Vec<&'static str> {
        let all = [text.proof]
            .into_iter()
            .chain(text.remedies.iter().copied());
        all.flat_map(str::lines)
            .filter(|line| line.starts_with('\t'))
            .collect()
    };
    for code in Code::ALL {
        let [en, zh] = [Lang::En, Lang::Zh].map(|lang| pasted(code.text(lang)));
        assert_eq!(en, zh, "{code}");
    }
}

#[test]
fn a_code_is_read_in_any_case_and_a_wrong_one_is_told_the_nearest() {
    for word in ["r02", "R2", "r2"] {
        assert_eq!(word.parse(), Ok(Code::R02));
    }
    assert_eq!("P1".parse(), Ok(Code::P01));
    let cases = [
        ("R99", ", the nearest: R09, R19; "),
        ("02", ", the nearest: R02, P02, E02; "),
        ("P011", ", the nearest: P01, P11; "),
        ("loopback", ": codes are a letter and two digits, "),
        ("", ": codes are"),
        ("回环", ": codes are"),
    ];
    for (word, said) in cases {
        let error = word.parse::<Code>().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn lines_fit_and_lose_nothing() {
    let text = "一个地址（127.0.0.1）：每台主机找到的，都是自己。 By hand, or not:\n\tss -ltnp  'sport = :1'\nEnd";
    for width in 8..60 {
        let lines = wrap(text, width);
        let pasted = lines.iter().find(|line| line.contains("ss -ltnp")).unwrap();
        assert_eq!(pasted, "    ss -ltnp  'sport = :1'");
        let words = lines.iter().filter(|line| !line.starts_with("    "));
        for line in words.clone() {
            let long_word = line.contains("127.0.0.1");
            let columns = unicode_width::UnicodeWidthStr::width(line.as_str());
            assert!(columns <= width || long_word, "{width}: {line:?}");
            assert!(
                !line.starts_with(['，', '。', '：', '）']),
                "{width}: {line:?}"
            );
        }
        let squeezed = |text: &str| text.replace([' ', '\n', '\t'], "");
        let kept: String = lines.iter().map(|line| squeezed(line)).collect();
        assert_eq!(kept, squeezed(text));
    }
    assert_eq!(wrap("one two three", 8), ["one two", "three"]);
}
