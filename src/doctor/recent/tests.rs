use serde_json::json;

use super::*;

fn sample() -> Value {
    json!({ "services": [
        { "service": "idle", "failed": [], "slowest": [] },
        { "service": "item",
          "failed": [{
            "when": 1_764_072_187.25, "method": "Echo", "outcome": "read_deadline", "total": 0.8012,
            "caller": "127.0.0.1:52011", "queued": 0.0, "tries_left_out": 0,
            "text": "tidegate: no answer from 10.0.0.1:8888 (item) within read_deadline 800ms; called Echo",
            "tries": [
              { "endpoint": "10.0.0.2:8888", "outcome": "connect_refused", "picked": 0.0001, "ended": 0.0002,
                "connect": { "began": 0.0001, "ended": null }, "written": null, "first_byte": null, "last_byte": null },
              { "endpoint": "10.0.0.1:8888", "outcome": "read_deadline", "picked": 0.0002, "ended": 0.801,
                "connect": { "began": 0.0002, "ended": 0.0003 }, "written": 0.0004, "first_byte": null, "last_byte": null },
            ],
          }],
          "slowest": [{
            "when": 1_764_072_187.25, "method": "GetAll", "outcome": "ok", "total": 1.25, "caller": "unix",
            "queued": 0.0, "text": null, "tries_left_out": 3,
            "tries": [{ "endpoint": null, "outcome": "ok", "picked": 0.0, "ended": 1.2, "connect": null,
                "written": 0.0, "first_byte": 0.5, "last_byte": 1.2 }],
          }],
        },
        { "service": "none", "failed": [{
            "when": 0.0, "method": null, "outcome": "bad_frame", "total": 0.0, "caller": "[::1]:9",
            "queued": null, "text": null, "tries_left_out": 0, "tries": [] }] },
    ] })
}

#[test]
fn failed_calls_come_first_with_what_their_callers_were_told() {
    assert_eq!(
        render(&sample(), Lang::En, 120),
        "\
item: failed last (1), the newest first
  11-25 12:03:07Z  Echo  read_deadline  801ms  from 127.0.0.1:52011
      tidegate: no answer from 10.0.0.1:8888 (item) within read_deadline 800ms; called Echo
      10.0.0.2:8888  queued 0 · picked 0.1ms · connecting since 0.1ms · connect_refused 0.2ms
      10.0.0.1:8888  picked 0.2ms · connect 0.3ms · written 0.4ms · read_deadline 801ms

item: slowest of the last 10 minutes (1)
  11-25 12:03:07Z  GetAll  ok  1.2s  from unix
      an endpoint that was removed  queued 0 · picked 0 · written 0 · first byte 500ms · last byte 1.2s
      3 more tries

calls that had no service: failed last (1), the newest first
  01-01 00:00:00Z  -  bad_frame  0  from [::1]:9
"
    );
}

#[test]
fn chinese_readers_are_told_in_chinese() {
    let said = render(&sample(), Lang::Zh, 120);
    for line in [
        "item: 最近失败的 1 个，最新的在前",
        "10.0.0.1:8888  选定 0.2ms · 连接 0.3ms · 写完 0.4ms · read_deadline 801ms",
        "排队 0 · 选定 0 · 写完 0 · 首字节 500ms · 末字节 1.2s",
        "没有服务的调用: 最近失败的 1 个",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert_eq!(render(&json!({}), Lang::Zh, 80), "还没有记录任何调用\n");
}

#[test]
fn lines_are_broken_between_words() {
    for width in [40, 60, 80] {
        let said = render(&sample(), Lang::En, width);
        let told = said.lines().filter(|line| line.starts_with("      "));
        for line in told {
            assert!(columns(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn nothing_that_a_terminal_would_obey_is_printed() {
    let mut evil = sample();
    evil["services"][1]["service"] = "it\x1b[2Jem".into();
    evil["services"][1]["failed"][0]["method"] = "a\nb\u{202e}c".into();
    evil["services"][1]["failed"][0]["text"] = "\x07\u{9b}31m".into();
    evil["services"][1]["failed"][0]["tries"][0]["endpoint"] = "\r".into();
    let said = render(&evil, Lang::En, 80);
    let bad = said
        .chars()
        .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    assert_eq!(bad, None, "{said:?}");
    assert!(said.contains("it\\u{1b}[2Jem: "), "{said}");
    assert!(said.contains("a\\u{a}b\\u{202e}c"), "{said}");
}

#[test]
fn what_has_another_shape_is_no_reason_to_panic() {
    for json in [
        json!(null),
        json!([1, 2]),
        json!({ "services": [1, { "service": 5, "failed": [{}, 7, { "tries": [null, {}] }] }] }),
    ] {
        render(&json, Lang::En, 0);
    }
}

#[test]
fn moments_are_told_with_their_day() {
    for (unix, said) in [
        (951_782_400.0, "02-29 00:00:00Z"),
        (1_735_689_599.9, "12-31 23:59:59Z"),
        (f64::MAX, "01-01 00:00:00Z"),
        (f64::NAN, "01-01 00:00:00Z"),
    ] {
        let moment = moment(unix);
        assert!(unix > 1e10 || moment == said, "{unix}: {moment}");
    }
}
