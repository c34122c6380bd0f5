//! `tidegate explain`: what a finding means, how it is proved, and what helps.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Done, USAGE, complain, print};
use crate::finding::remedy::{Subject, remedies};
use crate::finding::{Code, Lang, wrap};

/// Columns, as of every terminal.
const WIDTH: usize = 80;

/// Which findings are explained, and how.
#[derive(Args, Clone, Debug)]
pub(super) struct ExplainArgs {
    /// Findings such as R02 or P01; none: all of them, a line each
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
    /// The language [without it: the locale's]
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn explain(args: &ExplainArgs) -> Done {
    let lang = args.lang.unwrap_or_else(Lang::of_environment);
    let named = args.codes.iter().map(|word| word.parse::<Code>());
    let named: Vec<Code> = named
        .collect::<Result<_, _>>()
        .map_err(|error| complain(USAGE, error.said(lang)))?;
    let codes = match named.is_empty() {
        true => Code::ALL,
        false => &named,
    };
    let text = if args.json {
        let findings: Vec<Value> = codes.iter().map(|code| as_json(*code, lang)).collect();
        format!("{:#}", json!({ "findings": findings }))
    } else if named.is_empty() {
        list(lang)
    } else {
        let pages: Vec<String> = codes.iter().map(|code| page(*code, lang)).collect();
        let closing = match codes.iter().any(|code| has_words(*code, lang)) {
            true => words(lang).to_fill_in,
            false => "",
        };
        format!("{}\n{closing}", pages.join("\n"))
    };
    print(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// What stands for something that is to be filled in.
const TO_FILL_IN: [&str; 18] = [
    "ADDRESS",
    "HOST",
    "HOST_IP",
    "HOST_IPV4",
    "KEY",
    "LEASE",
    "OWN_PORT",
    "PATH",
    "PID",
    "PORT",
    "PREFIX",
    "PUBLISHED_PORT",
    "RANGE",
    "ROLE",
    "RPC_PORT",
    "SERVICE",
    "URL",
    "USER",
];

/// Whether one stands in what is to be pasted.
fn has_words(code: Code, lang: Lang) -> bool {
    let text = code.text(lang);
    let all = text.remedies.iter().chain([&text.proof]);
    let pasted = all
        .flat_map(|it| it.lines())
        .filter(|it| it.starts_with('\t'));
    let mut words =
        pasted.flat_map(|it| it.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.any(|it| TO_FILL_IN.contains(&it))
}

/// What stands between the words of the findings.
struct Words {
    groups: [(char, &'static str); 3],
    proof: &'static str,
    remedies: &'static str,
    more: &'static str,
    note: &'static str,
    to_fill_in: &'static str,
}

fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &Words {
            groups: [
                ('R', "What is registered"),
                ('P', "What answers there"),
                ('E', "etcd"),
            ],
            proof: "Proof",
            remedies: "What helps",
            more: "tidegate explain R02 says more.",
            note: "Worth knowing; nothing that must be changed.",
            to_fill_in: "Words in capitals, such as HOST_IP, are to be filled in; tidegate doctor does that where it knows them.",
        },
        Lang::Zh => &Words {
            groups: [('R', "注册的内容"), ('P', "那里的应答"), ('E', "etcd")],
            proof: "如何证明",
            remedies: "如何解决",
            more: "tidegate explain R02 会说得更详细。",
            note: "仅供了解，不必改动。",
            to_fill_in: "大写的词（如 HOST_IP）需要自己填；tidegate doctor 会把它知道的填好。",
        },
    }
}

fn list(lang: Lang) -> String {
    let words = words(lang);
    let mut text = String::new();
    for (letter, group) in words.groups {
        let _ = writeln!(text, "{group}\n");
        for code in Code::ALL
            .iter()
            .filter(|code| code.label().starts_with(letter))
        {
            hang(&mut text, &format!("  {code}  "), code.text(lang).cause);
        }
        text.push('\n');
    }
    text + words.more
}

fn page(code: Code, lang: Lang) -> String {
    let (words, said) = (words(lang), code.text(lang));
    let mut text = String::new();
    hang(&mut text, &format!("{code}  "), said.cause);
    if code.is_note() {
        hang(&mut text, "     ", words.note);
    }
    let _ = writeln!(text, "\n{}", words.proof);
    hang(&mut text, "  ", said.proof);
    let _ = writeln!(text, "\n{}", words.remedies);
    for (remedy, number) in said.remedies.iter().zip(1..) {
        hang(&mut text, &format!("  {number}. "), remedy);
    }
    text
}

/// Adds the words, the first line behind `mark` and the others below its end.
fn hang(text: &mut String, mark: &str, words: &str) {
    let indent = " ".repeat(mark.len());
    for (line, nth) in wrap(words, WIDTH - mark.len()).iter().zip(0..) {
        let before = if nth == 0 { mark } else { &indent };
        let _ = writeln!(text, "{before}{line}");
    }
}

fn as_json(code: Code, lang: Lang) -> Value {
    let text = code.text(lang);
    let remedies = remedies(code, &Subject::default(), lang);
    let remedies: Vec<Value> = remedies
        .iter()
        .map(|remedy| json!({ "what": remedy.what, "paste": remedy.paste }))
        .collect();
    json!({
        "code": code,
        "note": code.is_note(),
        "cause": text.cause,
        "proof": text.proof,
        "remedies": remedies,
    })
}
