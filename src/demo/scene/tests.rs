#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn failed_connects_are_read_from_a_scrape_by_address() {
    let name = "tries_total";
    let line = |endpoint: &str, outcome: &str, n: u64| {
        format!("{name}{{service=\"s\",endpoint=\"{endpoint}\",outcome=\"{outcome}\"}} {n}\n")
    };
    let scrape = format!(
        "# HELP {name} Tries\n{}{}{}{}other{{service=\"s\",outcome=\"unreachable\"}} 9\n",
        line("a:1", "ok", 70),
        line("a:1", "connect_refused", 3),
        line("a:1", "connect_timeout", 1),
        line("a:2", "unreachable", 2),
    );
    let tries = tries(&scrape);
    assert_eq!((tries["a:1"], tries["a:2"], tries.len()), (4, 2, 2));
}

#[test]
fn an_address_is_found_in_the_proxys_view_by_its_whole_text() {
    let view = serde_json::json!({"services": [{"endpoints": [
        {"registered": "127.0.0.1:10", "state": "up"}, {"registered": "127.0.0.1:1", "state": "down"},
    ]}]});
    let found = registered(&view, "127.0.0.1:1".parse().unwrap()).unwrap();
    assert_eq!(found["state"], "down");
    assert!(registered(&view, "127.0.0.1:2".parse().unwrap()).is_none());
}
