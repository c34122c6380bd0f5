#![allow(clippy::unwrap_used)]

use crate::config::report::Report;
use crate::config::{Config, ConfigErrors, Listeners};

use super::source::{Source, Sources};
use super::tree::{Kind, Table};

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("etcd.test".into()),
        "EMPTY" => Some(String::new()),
        "QUOTE" => Some("a\"\nb = 1".into()),
        _ => None,
    }
}

/// The merged tree of files named `0`, `1`, …
fn load(texts: &[&str]) -> Result<Table, ConfigErrors> {
    let named = |(index, text): (usize, &&str)| Source::new(&index.to_string(), text);
    let sources = Sources(texts.iter().enumerate().map(named).collect());
    let report = Report::new(&sources);
    let root = super::load(&report, &environment);
    report.finish().map(|_| root.unwrap())
}

/// A tree on one line, keys in their order.
fn shown(table: &Table) -> String {
    let entries = table.0.iter();
    let entries: Vec<String> = entries
        .map(|entry| format!("{}={}", entry.key, value(&entry.value.kind)))
        .collect();
    entries.join(" ")
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text { text, .. } | Kind::Other(text) => text.clone(),
        Kind::Integer(number) => format!("{number:?}"),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| value(&item.kind)).collect();
            format!("[{}]", items.join(","))
        }
        Kind::Table(table) => format!("{{{}}}", shown(table)),
    }
}

#[test]
fn later_files_say_only_what_differs() {
    let cases: [(&[&str], &str); 12] = [
        (&["a='1'\nb='2'", "b='3'\nc='4'"], "a=1 b=3 c=4"),
        (
            &["[t]\na='1'\n[t.u]\nb='2'", "[t.u]\nc='3'"],
            "t={a=1 u={b=2 c=3}}",
        ),
        (&["a=['1','2']", "a=['3']"], "a=[3]"),
        (
            &[
                "[[s]]\nname='x'\na='1'\n[[s]]\nname='y'",
                "[[s]]\nname='y'\nb='2'\n[[s]]\nname='z'",
            ],
            "s=[{name=x a=1},{name=y b=2},{name=z}]",
        ),
        // Two of one name in one file stay two.
        (
            &[
                "[[s]]\nname='x'",
                "[[s]]\nname='x'\na='1'\n[[s]]\nname='x'\na='2'",
            ],
            "s=[{name=x a=1},{name=x a=2}]",
        ),
        (&["[[s]]\nname='x'", "s=[]"], "s=[]"),
        // Rules need no name to be added to those of before.
        (
            &["[[rewrite]]\na='1'", "[[rewrite]]\na='2'"],
            "rewrite=[{a=1},{a=2}]",
        ),
        (
            &[
                "[[rewrite]]\nname='x'\na='1'",
                "[[rewrite]]\nb='2'\n[[rewrite]]\nname='x'\nb='3'",
            ],
            "rewrite=[{name=x a=1 b=3},{b=2}]",
        ),
        (&["[[rewrite]]\na='1'", "rewrite=[]"], "rewrite=[]"),
        // Another kind has other keys.
        (
            &[
                "[[r]]\nname='m'\nkind='etcd'\na='1'",
                "[[r]]\nname='m'\nkind='file'\nb='2'",
            ],
            "r=[{name=m kind=file b=2}]",
        ),
        (&["a='1'", "[a]\nb='2'"], "a={b=2}"),
        (&["a='1'", "", "a='3'"], "a=3"),
    ];
    for (files, expected) in cases {
        assert_eq!(shown(&load(files).unwrap()), expected, "{files:?}");
    }
}

#[test]
fn variables_expand_inside_texts_after_parsing() {
    let cases = [
        ("${HOST}", "etcd.test"),
        ("http://${HOST}:1", "http://etcd.test:1"),
        ("${HOST}${HOST}", "etcd.testetcd.test"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${HOST:-x}", "etcd.test"),
        ("${NONE:-http://a:1}", "http://a:1"),
        ("${QUOTE}", "a\"\nb = 1"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST $ }", "$HOST $ }"),
    ];
    for (text, expected) in cases {
        let table = load(&[&format!("a = '{text}'")]).unwrap();
        assert_eq!(table.text("a"), Some(expected), "{text}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    let cases = [
        ("${NONE}", "`NONE` is not set"),
        ("${HOST", "expected `}`"),
        ("${}", "expected `${VAR}`"),
        ("${1}", "found `${1}`"),
        ("${A-B}", "found `${A-B}`"),
    ];
    for (text, expected) in cases {
        let errors = load(&[&format!("[t]\na = ['{text}']")])
            .unwrap_err()
            .to_string();
        assert!(errors.starts_with("0:2:6: "), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn a_variable_that_a_later_file_made_unneeded_need_not_be_set() {
    let table = load(&["a = '${NONE}'", "a = '1'"]).unwrap();
    assert_eq!(table.text("a"), Some("1"));
}

#[test]
fn what_is_no_toml_is_explained_once_per_line() {
    let cases = [
        (
            "listen = 127.0.0.1:1",
            "0:1:10: ",
            "quote it: listen = \"127.0.0.1:1\"",
        ),
        ("a = 1\n  b = 5s # why", "0:2:7: ", "quote it: b = \"5s\""),
        (
            "a = unix:/run/x",
            "0:1:5: ",
            "quote it: a = \"unix:/run/x\"",
        ),
        ("a = ", "0:1:4: ", "expected a value for `a`, found none"),
        ("a = 1\na = 2", "0:2:1: ", "duplicate key"),
        ("[t\na = 1", "0:1:3: ", "unclosed table"),
        ("a = \"é", "0:1:7: ", "expected TOML"),
        ("a = [1, 2", "0:1:10: ", "unclosed array"),
        ("\u{1}", "0:1:1: ", "expected TOML"),
    ];
    for (text, place, expected) in cases {
        let errors = load(&[text]).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors}");
        let errors = errors.to_string();
        assert!(errors.starts_with(place), "{text:?}: {errors}");
        assert!(errors.contains(expected), "{text:?}: {errors}");
    }
}

#[test]
fn every_file_with_wrong_syntax_is_reported() {
    let errors = load(&["a = 5s\nb = 6s", "c = 1", "d ="]).unwrap_err();
    let places: Vec<String> = errors
        .iter()
        .map(|it| {
            it.spot
                .as_ref()
                .map_or_else(String::new, |it| format!("{}:{}", it.file, it.line))
        })
        .collect();
    assert_eq!(places, ["0:1", "0:2", "2:1"]);
}

#[test]
fn nesting_without_end_is_refused() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
    ] {
        assert!(!load(&[&text]).unwrap_err().is_empty());
    }
}

#[test]
fn an_error_shows_its_line_with_a_caret_below() {
    let text = "[runtime]\r\n\tworkers =\t\"är\" # much\r\n";
    let errors = Config::from_str("t.toml", text).unwrap_err().to_string();
    let expected = "\
t.toml:2:12: expected a whole number from 0 to 1024, found \"är\"
  2 | \tworkers =\t\"är\" # much
    | \t         \t^^^^";
    assert!(errors.contains(expected), "{errors}");
}

#[test]
fn an_error_in_a_merged_value_names_the_file_it_came_from() {
    let sources = Sources(vec![
        Source::new("base", "[runtime]\nworkers = 'x'\nhold = 'y'\n"),
        Source::new("over", "\n[runtime]\nhold = 'z'\n"),
    ]);
    let errors = Config::from_sources(&sources, Listeners::Needed, &environment)
        .unwrap_err()
        .to_string();
    assert!(
        errors.contains("base:2:11: expected a whole number"),
        "{errors}"
    );
    assert!(errors.contains("over:3:8: expected a size"), "{errors}");
    assert!(!errors.contains("base:3"), "{errors}");
}

#[test]
fn numbers_and_flags_may_come_from_the_environment() {
    let text = "[runtime]\nworkers = \"${NONE:-4}\"\n[defaults]\nidempotent = '${NONE:-true}'\n\
                [[listener]]\nname = 'a'\nlisten = '127.0.0.1:1'\n";
    let config = Config::from_str("t", text).unwrap();
    assert_eq!(config.runtime.workers, 4);
    assert!(config.defaults.call.idempotent);
    let plain = text.replace("${NONE:-4}", "4");
    let errors = Config::from_str("t", &plain).unwrap_err().to_string();
    assert!(errors.contains("found \"4\""), "{errors}");
}
