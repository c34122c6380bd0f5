//! The sentences, for rules above and below a rate.
#![allow(clippy::unwrap_used)]

use crate::config::Config;

/// What is said of the service `shop.item` that has these keys in its breaker.
fn said(keys: &str, rate: Option<f64>) -> String {
    let text = format!(
        "[[listener]]\nname='l'\nlisten='127.0.0.1:1'\n[[service]]\nname='shop.item'\n\
         endpoints=['h:1']\n[service.breaker]\n{keys}"
    );
    let config = Config::from_str("t", &text).unwrap();
    let [_, said] = config.breakers(rate).try_into().unwrap();
    said
}

#[test]
fn a_breaker_says_from_which_rate_on_it_opens() {
    let cases = [
        (
            "consecutive=11",
            "by rate it opens from 10 calls/s per method on (20 calls in 2s, half of them failed); \
             by 11 failures in a row at any rate",
        ),
        (
            "preset='kitex'",
            "by rate it opens from 20 calls/s per method on (200 calls in 10s, half of them failed); \
             below 20 calls/s it cannot open",
        ),
        (
            "window='3s'\nerror_rate=0.333\nconsecutive=1",
            "by rate it opens from 6.67 calls/s per method on (20 calls in 3s, 33.3 % of them failed); \
             by a single failure at any rate",
        ),
        (
            "window='1h'\nmin_samples=2\nerror_rate=1\nconsecutive=0",
            "by rate it opens from 0.0006 calls/s per method on (2 calls in 1h, all of them failed); \
             below 0.0006 calls/s it cannot open",
        ),
        ("enabled=false", "off"),
    ];
    for (keys, expected) in cases {
        let expected = format!("breaker of shop.item: {expected}");
        assert_eq!(said(keys, None), expected, "{keys}");
    }
}

#[test]
fn at_a_rate_a_breaker_says_what_it_does() {
    let cases = [
        (
            "preset='kitex'",
            5.0,
            "(kitex) cannot trip: 200 calls in 10s need 20 calls/s",
        ),
        (
            "preset='kitex'",
            19.9,
            "(kitex) cannot trip: 200 calls in 10s need 20 calls/s",
        ),
        (
            "preset='kitex'",
            20.0,
            "(kitex) trips once half of the 200 calls in 10s failed",
        ),
        (
            "consecutive=11",
            0.5,
            "(tidegate) trips only by 11 failures in a row: by rate, 20 calls in 2s need 10 calls/s",
        ),
        (
            "consecutive=11",
            100.0,
            "(tidegate) trips once half of the 200 calls in 2s failed, or by 11 failures in a row",
        ),
        (
            "window='300ms'\nmin_samples=3\nconsecutive=0",
            10.0,
            "(tidegate) trips once half of the 3 calls",
        ),
    ];
    for (keys, rate, expected) in cases {
        let expected = format!("at {rate} calls/s the breaker of shop.item {expected}");
        let said = said(keys, Some(rate));
        assert!(said.starts_with(&expected), "{keys}: {said}");
    }
    assert_eq!(
        said("enabled=false", Some(5.0)),
        "breaker of shop.item: off"
    );
}

#[test]
fn a_rate_limit_bounds_what_a_breaker_sees() {
    let text = "[[listener]]\nname='l'\nlisten='127.0.0.1:1'\n[[service]]\nname='shop.item'\n\
                endpoints=['h:1']\nrate_limit=5\n";
    let config = Config::from_str("t", text).unwrap();
    let said = |rate| config.breakers(rate).pop().unwrap();
    let general = said(None);
    assert!(
        general.ends_with("; it sees at most 5 calls/s: what rate_limit refuses is not counted"),
        "{general}"
    );
    let at = said(Some(100.0));
    let expected = "at 100 calls/s, of which rate_limit lets 5 pass, the breaker of shop.item (tidegate) trips only by";
    assert!(at.starts_with(expected), "{at}");
    assert!(said(Some(4.0)).starts_with("at 4 calls/s the breaker of"));
}

#[test]
fn only_services_whose_breaker_differs_are_named() {
    let text = "[[listener]]\nname='l'\nlisten='127.0.0.1:1'\nservice='a'\n\
                [[service]]\nname='a'\nendpoints=['h:1']\ntries=2\n[service.breaker]\nwindow='2s'\n";
    let config = Config::from_str("t", text).unwrap();
    let [only] = config.breakers(None).try_into().unwrap();
    assert!(only.starts_with("breaker of [defaults]: by rate"), "{only}");
}
