//! The documents say what the code does: every key, outcome and finding is named, and every example loads.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use tidegate::config::{Config, Preset};
use tidegate::finding::{Code, Lang};
use tidegate::outcome::{Again, Blame, Outcome, Outcomes, Told};
use tidegate::registry::Class;
use toml::{Table, Value};

const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every document that a person may come to.
fn documents() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    READMES.map(str::to_owned).into_iter().chain(docs).collect()
}

/// The blocks of a document in this language, each with the number of its first line.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```").filter(|it| !it.is_empty()) else {
            continue;
        };
        let body: Vec<_> = lines.by_ref().take_while(|(_, l)| *l != "```").collect();
        if fence == language {
            let at = body.first().map_or(0, |(n, _)| n + 1);
            let text = body.iter().map(|(_, l)| format!("{l}\n")).collect();
            found.push((at, text));
        }
    }
    found
}

/// A block that shows a part of a config is completed by the least that makes it one.
fn completed(block: &str) -> String {
    const REST: &str = "\n[[service]]\nname = 'rest'\nendpoints = ['127.0.0.1:1']\n\
                        [[listener]]\nname = 'rest'\nlisten = '127.0.0.1:2'\n";
    if block.contains("[[listener]]") {
        block.to_owned()
    } else {
        format!("{block}{REST}")
    }
}

#[test]
fn every_example_of_a_config_loads() {
    let mut seen = 0;
    for document in documents() {
        for (line, block) in blocks(&read(&document), "toml") {
            let name = format!("{document}:{line}");
            let config = Config::from_str(&name, &completed(&block)).unwrap();
            assert!(config.warnings().is_empty(), "{:?}", config.warnings());
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} examples found");
}

/// `config/tidegate.toml` with everything that is commented out.
fn every_key() -> Table {
    let whole: String = read("config/tidegate.toml")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_toml(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    whole.parse().unwrap()
}

fn is_toml(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap_or_default();
    let is_key = line.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key || line.starts_with('[')
}

/// Each key with the title of its section in docs/config.md.
fn keys(table: &Table, path: &str, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let inner = match (path, key.as_str()) {
            ("", key) => key.to_owned(),
            // Its keys are the methods' names.
            ("service.method", _) => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        match value {
            // Its keys are free to choose.
            Value::Table(_) if ["tags", "tag", "when", "use"].contains(&key.as_str()) => {
                found.push((path.to_owned(), key.clone()));
            }
            Value::Table(table) => keys(table, &inner, found),
            Value::Array(items) => {
                let tables: Vec<_> = items.iter().filter_map(Value::as_table).collect();
                if !path.is_empty() {
                    found.push((path.to_owned(), key.clone()));
                }
                tables.iter().for_each(|table| keys(table, &inner, found));
            }
            _ => found.push((path.to_owned(), key.clone())),
        }
    }
}

/// Tables that `[defaults]` and each service may have.
const POLICY_TABLES: [&str; 4] = ["breaker", "ejection", "retry_budget", "health_check"];

/// The text under the heading that names this table.
fn section<'a>(text: &'a str, table: &str) -> &'a str {
    let titles = [
        format!("`[{table}]`"),
        format!("`[[{table}]]`"),
        format!("`[{table}.NAME]`"),
    ];
    let mut sections = text.split("\n## ").flat_map(|it| it.split("\n### "));
    sections
        .find(|it| {
            titles
                .iter()
                .any(|title| it.trim_start_matches('#').trim_start().starts_with(title))
        })
        .unwrap_or_else(|| panic!("docs/config.md has no section {titles:?}"))
}

#[test]
fn every_key_is_in_the_reference_under_its_table() {
    let text = read("docs/config.md");
    let mut all = Vec::new();
    keys(&every_key(), "", &mut all);
    assert!(all.len() > 60, "only {} keys found", all.len());
    for (table, key) in all {
        // The tables within a policy are explained once, in [defaults].
        let table = match table.strip_prefix("service.") {
            Some(inner) if POLICY_TABLES.contains(&inner) => format!("defaults.{inner}"),
            _ => table,
        };
        let section = section(&text, &table);
        let inherited = ["service", "service.method"].contains(&table.as_str())
            && self::section(&text, "defaults").contains(&format!("| `{key}` |"));
        let here = section.contains(&format!("| `{key}` |"));
        assert!(
            here || inherited,
            "[{table}] {key} is not in docs/config.md"
        );
        if table == "service.method" {
            assert!(
                section.contains(&format!("`{key}`")),
                "[service.method] {key}"
            );
        }
    }
}

#[test]
fn the_reference_states_the_built_in_defaults() {
    let text = read("docs/config.md");
    let least = "[[registry]]\nname='r'\nkind='etcd'\nendpoints=['http://127.0.0.1:2379']\n\
                 [[listener]]\nname='l'\nlisten='127.0.0.1:18890'\nservice='s'\n";
    let printed: Table = Config::from_str("least", least)
        .unwrap()
        .to_toml()
        .parse()
        .unwrap();
    let mut seen = 0;
    for table in [
        "runtime", "admin", "log", "registry", "listener", "defaults",
    ] {
        let values = match &printed[table] {
            Value::Array(items) => items[0].as_table().unwrap(),
            one => one.as_table().unwrap(),
        };
        seen += states_defaults(&text, table, values);
    }
    assert!(seen > 65, "only {seen} defaults compared");
}

#[test]
fn the_reference_names_what_retry_on_and_counts_take() {
    let text = read("docs/config.md");
    let named = row(section(&text, "defaults"), "retry_on");
    let mut outcomes = Outcomes::nameable();
    outcomes.retain(|name| !named.contains(&format!("`{name}`")));
    assert!(outcomes.is_empty(), "{outcomes:?}: {named}");
    let counts = row(section(&text, "defaults.breaker"), "counts");
    for name in ["declared_exception", "biz_status", "exception", "timeout"] {
        assert!(
            counts.contains(&format!("`\"{name}\"`")),
            "{name}: {counts}"
        );
    }
    let preset = row(section(&text, "defaults.breaker"), "preset");
    let kitex = Table::try_from(Preset::Kitex.policy()).unwrap();
    let ours = Table::try_from(Preset::Tidegate.policy()).unwrap();
    for (key, value) in kitex.iter().filter(|(key, _)| *key != "preset") {
        let said = preset.contains(&format!("`{key} = {value}`"));
        assert_eq!(
            said,
            ours.get(key) != Some(value),
            "{key} = {value}: {preset}"
        );
    }
}

/// Asserts that the section of `table` gives each of its values, and the tables' within it; how many they are.
fn states_defaults(text: &str, table: &str, values: &Table) -> usize {
    const NO_DEFAULT: [(&str, &str); 7] = [
        ("registry", "name"),
        ("registry", "kind"),
        ("registry", "endpoints"),
        ("listener", "name"),
        ("listener", "listen"),
        ("listener", "registry"),
        ("listener", "service"),
    ];
    let mut seen = 0;
    for (key, value) in values {
        if let Value::Table(inner) = value {
            seen += states_defaults(text, &format!("{table}.{key}"), inner);
        } else if !NO_DEFAULT.contains(&(table, key)) {
            let row = row(section(text, table), key);
            assert!(
                row.contains(&format!("| `{value}` |")),
                "[{table}] {key} = {value}: {row}"
            );
            seen += 1;
        }
    }
    seen
}

/// The row of a table that begins with this name.
fn row<'a>(text: &'a str, name: &str) -> &'a str {
    let first = format!("| `{name}`");
    text.lines()
        .find(|line| {
            line.strip_prefix(&first)
                .is_some_and(|rest| rest.starts_with(" |"))
        })
        .unwrap_or_else(|| panic!("no row `{name}`"))
}

#[test]
fn every_outcome_has_its_row_as_the_code_has_it() {
    let text = read("README.md");
    for outcome in Outcome::ALL {
        let row = outcome.row();
        let overdue = matches!(
            outcome,
            Outcome::DeadlineOverdue | Outcome::ClientGoneOverdue
        );
        let name = format!(
            "| `{}`{} |",
            row.label,
            if overdue { " (overdue)" } else { "" }
        );
        let end = format!(
            "| {} | {} | {} |",
            fault(row.blame),
            again(row.again),
            told(row.told)
        );
        let found = text.lines().find(|line| line.starts_with(&name));
        let found = found.unwrap_or_else(|| panic!("README.md has no row {name}"));
        assert!(found.ends_with(&end), "{found}\ndoes not end in {end}");
    }
}

fn fault(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nobody",
        Blame::Caller => "caller",
        Blame::Endpoint => "instance",
        Blame::Registry => "registry",
        Blame::Tidegate => "tidegate",
    }
}

fn again(again: Again) -> &'static str {
    match again {
        Again::Never => "never",
        Again::Unwritten => "yes",
        Again::Named => "if `retry_on` names it",
        Again::IfUnarrived => "if it never arrived, is idempotent, or named",
        Again::Idempotent => "if idempotent, or named",
    }
}

fn told(told: Told) -> &'static str {
    match told {
        Told::Reply => "the reply",
        Told::Exception => "exception 6",
        Told::Unknown => "exception 20",
        Told::Deadline => "as `on_deadline` says",
        Told::Close => "a closed connection",
        Told::Nothing => "nothing",
    }
}

#[test]
fn both_readmes_name_every_outcome_and_class() {
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.label());
    let classes = Class::ALL.iter().map(|class| class.label());
    let names: Vec<_> = outcomes.chain(classes).collect();
    for readme in READMES {
        let text = read(readme);
        for name in &names {
            assert!(
                text.contains(&format!("`{name}`")),
                "{readme} does not name {name}"
            );
        }
    }
}

#[test]
fn every_finding_has_its_row_with_the_cause_that_the_code_has() {
    let documents = [
        ("docs/findings.md", Lang::En),
        ("docs/findings.zh-CN.md", Lang::Zh),
    ];
    for (document, lang) in documents {
        let text = read(document);
        for code in Code::ALL {
            let row = row(&text, code.label());
            let cause = format!("| `{code}` | {} | ", code.text(lang).cause);
            assert!(row.starts_with(&cause), "{document}: {row}\nis not {cause}");
            assert_eq!(row.split(" | ").count(), 4, "{document}: {row}");
            let note = text
                .lines()
                .any(|line| line.starts_with("`R10`") && line.contains(&format!("`{code}`")));
            assert_eq!(note, code.is_note(), "{document}: {code} as a note");
        }
        let rows = text.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, Code::ALL.len(), "{document}");
    }
}

#[test]
fn the_two_readmes_have_the_same_shape() {
    same_shape(READMES);
}

#[test]
fn the_two_pages_of_findings_have_the_same_shape() {
    same_shape(["docs/findings.md", "docs/findings.zh-CN.md"]);
}

#[test]
fn the_two_pages_for_calls_that_time_out_have_the_same_shape_and_are_led_to_at_once() {
    let pages = [
        "docs/your-kitex-call-times-out.md",
        "docs/your-kitex-call-times-out.zh-CN.md",
    ];
    same_shape(pages);
    for (readme, page) in READMES.iter().zip(pages) {
        let text = read(readme);
        let mut first = text.lines().take(25);
        assert!(first.any(|line| line.contains(page)), "{readme}");
    }
}

fn same_shape(documents: [&str; 2]) {
    let [one, other] = documents.map(read);
    for language in ["toml", "go", "sh", "promql", "text"] {
        let count = |text: &str| blocks(text, language).len();
        assert_eq!(count(&one), count(&other), "blocks of {language}");
    }
    let shape = |text: &str| -> Vec<usize> {
        // A lone `#` begins a comment inside an example, but for the title.
        let heading = |line: &&str| line.starts_with("##") || line.starts_with("# tidegate");
        text.lines()
            .filter(heading)
            .map(|line| line.chars().take_while(|c| *c == '#').count())
            .collect()
    };
    assert_eq!(shape(&one), shape(&other), "headings");
    let rows = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows(&one), rows(&other), "rows of tables");
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.is_empty() {
                let known = text.lines().filter_map(anchor_of).any(|it| it == anchor);
                assert!(known, "{document}: no heading for #{anchor}");
            } else {
                assert!(Path::new(&folder).join(path).exists(), "{document}: {link}");
            }
        }
    }
}

/// A heading's anchor: lower case, blanks as dashes, no punctuation.
fn anchor_of(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}
