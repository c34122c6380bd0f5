//! The calls of the flight recorder, for people: what `/calls` says, as lines.
//!
//! Per service the failed calls, the newest first, each with what its caller was told; then the slowest. Below each call
//! a line for each of its tries: what happened when, counted from the call's first byte.

use std::fmt::Write;

use serde_json::Value;

use crate::finding::Lang;

#[cfg(test)]
mod tests;

/// The narrowest that lines are broken for.
const NARROW: usize = 40;
/// Before a call, and before what belongs to it.
const INDENT: [usize; 2] = [2, 6];

/// The words of a language.
struct Words {
    nothing: &'static str,
    none: &'static str,
    failed: fn(usize) -> String,
    slowest: fn(usize) -> String,
    from: &'static str,
    left_out: fn(u64) -> String,
    removed: &'static str,
    /// Of the instants, in the order of [`KEYS`].
    instants: [&'static str; 6],
    unconnected: &'static str,
}

/// The instants of a try, as `/calls` names them; that of the call itself first.
const KEYS: [&str; 6] = [
    "queued",
    "picked",
    "connect",
    "written",
    "first_byte",
    "last_byte",
];

const EN: Words = Words {
    nothing: "no call is kept yet",
    none: "calls that had no service",
    failed: |n| format!("failed last ({n}), the newest first"),
    slowest: |n| format!("slowest of the last 10 minutes ({n})"),
    from: "from",
    left_out: |n| format!("{n} more tries"),
    removed: "an endpoint that was removed",
    instants: [
        "queued",
        "picked",
        "connect",
        "written",
        "first byte",
        "last byte",
    ],
    unconnected: "connecting since",
};

const ZH: Words = Words {
    nothing: "还没有记录任何调用",
    none: "没有服务的调用",
    failed: |n| format!("最近失败的 {n} 个，最新的在前"),
    slowest: |n| format!("最近 10 分钟内最慢的 {n} 个"),
    from: "来自",
    left_out: |n| format!("另有 {n} 次尝试"),
    removed: "已被移除的实例",
    instants: ["排队", "选定", "连接", "写完", "首字节", "末字节"],
    unconnected: "开始连接",
};

/// What `/calls` said, as lines of at most `width` columns, where words allow. Control characters are escaped.
pub fn render(json: &Value, lang: Lang, width: usize) -> String {
    let words = match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    };
    let page = Page {
        words,
        width: width.max(NARROW),
    };
    let mut out = String::new();
    for service in list(json, "services") {
        page.service(&mut out, service);
    }
    if out.is_empty() {
        let _ = writeln!(out, "{}", words.nothing);
    }
    out
}

struct Page {
    words: &'static Words,
    width: usize,
}

impl Page {
    fn service(&self, out: &mut String, service: &Value) {
        let name = match text(service, "service") {
            "none" => self.words.none.to_owned(),
            name => clean(name),
        };
        let kinds = [
            ("failed", self.words.failed),
            ("slowest", self.words.slowest),
        ];
        for (key, title) in kinds {
            let calls = list(service, key);
            if calls.is_empty() {
                continue;
            }
            if !out.is_empty() {
                out.push('\n');
            }
            let _ = writeln!(out, "{name}: {}", title(calls.len()));
            let rows: Vec<[String; 5]> = calls.iter().map(|call| self.columns(call)).collect();
            let widths: Vec<usize> = (0..5)
                .map(|i| rows.iter().map(|row| columns(&row[i])).max().unwrap_or(0))
                .collect();
            for (call, row) in calls.iter().zip(&rows) {
                self.call(out, call, row, &widths);
            }
        }
    }

    /// The first line of a call: when, which method, how it ended, how long it took, who called.
    fn columns(&self, call: &Value) -> [String; 5] {
        let method = match text(call, "method") {
            "" => "-".to_owned(),
            method => clean(method),
        };
        [
            moment(call["when"].as_f64().unwrap_or(0.0)),
            method,
            clean(text(call, "outcome")),
            call["total"].as_f64().map_or_else(String::new, span),
            format!("{} {}", self.words.from, clean(text(call, "caller"))),
        ]
    }

    fn call(&self, out: &mut String, call: &Value, row: &[String; 5], widths: &[usize]) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let pad = width.saturating_sub(columns(cell)) + 2;
            let _ = write!(line, "{cell}{:pad$}", "");
        }
        let _ = writeln!(out, "{:1$}{2}", "", INDENT[0], line.trim_end());
        if let Some(said) = call["text"].as_str() {
            self.wrap(out, &clean(said));
        }
        let tries = list(call, "tries");
        for (i, one) in tries.iter().enumerate() {
            let queued = (i == 0).then(|| &call["queued"]);
            self.wrap(out, &self.one_try(one, queued));
        }
        match call["tries_left_out"].as_u64() {
            None | Some(0) => {}
            Some(n) => self.wrap(out, &(self.words.left_out)(n)),
        }
    }

    /// `10.0.0.1:8888 queued 0 · picked 0.1ms · … · read_deadline 801ms`
    fn one_try(&self, one: &Value, queued: Option<&Value>) -> String {
        let mut steps = Vec::new();
        for (key, word) in KEYS.into_iter().zip(self.words.instants) {
            let at = match (key, &one[key]) {
                ("queued", _) => queued.and_then(Value::as_f64),
                ("connect", connect) => connect["ended"].as_f64(),
                // With the first one, it says nothing new.
                ("last_byte", last) if *last == one["first_byte"] => None,
                (_, at) => at.as_f64(),
            };
            match (at, one["connect"]["began"].as_f64()) {
                (Some(at), _) => steps.push(format!("{word} {}", span(at))),
                (None, Some(began)) if key == "connect" => {
                    steps.push(format!("{} {}", self.words.unconnected, span(began)));
                }
                _ => {}
            }
        }
        if let (true, Some(ended)) = (one["last_byte"].is_null(), one["ended"].as_f64()) {
            steps.push(format!("{} {}", clean(text(one, "outcome")), span(ended)));
        }
        let endpoint = one["endpoint"].as_str().map(clean);
        let endpoint = endpoint.unwrap_or_else(|| self.words.removed.to_owned());
        format!("{endpoint}  {}", steps.join(" · "))
    }

    /// Writes what belongs to a call, broken between words.
    fn wrap(&self, out: &mut String, said: &str) {
        let mut room = 0;
        for word in said.split(' ') {
            let len = columns(word) + 1;
            if room < len {
                if !out.ends_with('\n') {
                    out.push('\n');
                }
                let _ = write!(out, "{:1$}{word}", "", INDENT[1]);
                room = (self.width + 1).saturating_sub(INDENT[1] + len);
            } else {
                let _ = write!(out, " {word}");
                room -= len;
            }
        }
        out.push('\n');
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

/// Without what a terminal would obey: control characters, and those that turn the direction of writing.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Columns on a terminal: East Asian characters take two.
fn columns(text: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}');
    text.chars().map(|c| 1 + usize::from(wide(c))).sum()
}

/// `0`, `0.1ms`, `12ms`, `1.2s`.
fn span(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms <= 0.0 => "0".to_owned(),
        ms if ms < 0.1 => format!("{ms:.3}ms"),
        ms if ms < 10.0 => format!("{ms:.1}ms"),
        ms if ms < 999.5 => format!("{ms:.0}ms"),
        ms => format!("{:.1}s", ms / 1e3),
    }
}

/// A moment in UTC, `11-25 12:03:07Z`, from seconds since 1970.
fn moment(unix: f64) -> String {
    let seconds = unix.max(0.0) as u64;
    let (mut day, of_day) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    loop {
        let leap = u64::from(year % 4 == 0 && year % 100 != 0 || year % 400 == 0);
        if day < 365 + leap || year > 9999 {
            let (month, day) = month(day, leap);
            let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            return format!("{month:02}-{day:02} {h:02}:{m:02}:{s:02}Z");
        }
        day -= 365 + leap;
        year += 1;
    }
}

/// The month and the day in it, both from 1, of a day of the year.
fn month(mut day: u64, leap: u64) -> (u64, u64) {
    let days = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, days) in (1..).zip(days) {
        if day < days {
            return (month, day + 1);
        }
        day -= days;
    }
    (12, 31)
}
