#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::registry::{KITEX_PREFIX, Layout};

const RANGE: &str = "kitex/registry-etcd/item/";

fn value(json: &str) -> Result<Instance, Skipped> {
    read(
        RANGE,
        b"kitex/registry-etcd/item/10.77.0.1:8888",
        json.as_bytes(),
        7,
    )
}

#[test]
fn ranges_end_in_a_slash_and_the_prefix_may_be_empty() {
    let range = |prefix: &str| {
        Layout::Kitex {
            prefix: prefix.to_owned(),
        }
        .range("item")
    };
    assert_eq!(range(KITEX_PREFIX), RANGE);
    assert_eq!(range(""), "/item/");
    assert_eq!(range("a/b"), "a/b/item/");
}

#[test]
fn what_kitex_registers_is_read() {
    let read =
        value(r#"{"network":"tcp","address":"10.77.0.1:8888","weight":37,"tags":{"cluster":"b"}}"#)
            .unwrap();
    assert_eq!(
        (read.address.as_str(), read.network.as_str(), read.weight),
        ("10.77.0.1:8888", "tcp", 37)
    );
    assert_eq!(
        (read.revision, read.key.as_str()),
        (7, "kitex/registry-etcd/item/10.77.0.1:8888")
    );
    assert_eq!(read.tags["cluster"], "b");
    assert!(read.notes.is_empty());
}

#[test]
fn weights_read_as_kitex_reads_them() {
    let cases = [
        (r#""weight":10"#, 10, vec![]),
        (r#""weight":1"#, 1, vec![]),
        (r#""weight":0"#, 10, vec![Code::R10]),
        (r#""weight":-3"#, 10, vec![Code::R10]),
        (r#""weight":null"#, 10, vec![]),
        (r#""more":1"#, 10, vec![]),
        (r#""weight":9000000000"#, 1_000_000, vec![]),
    ];
    for (weight, expected, notes) in cases {
        let read = value(&format!(r#"{{"address":"10.77.0.1:8888",{weight}}}"#)).unwrap();
        assert_eq!((read.weight, read.notes), (expected, notes), "{weight}");
    }
}

#[test]
fn the_value_wins_over_the_key_and_the_difference_is_noted() {
    let read =
        value(r#"{"network":"tcp","address":"10.77.0.2:9999","weight":10,"tags":null}"#).unwrap();
    assert_eq!(read.address, "10.77.0.2:9999");
    assert_eq!(read.notes, [Code::R08]);
}

#[test]
fn an_unreadable_value_is_skipped_with_its_key() {
    let long = format!(r#"{{"address":"{}"}}"#, "a".repeat(70_000));
    for json in [
        "",
        "10.77.0.1:8888",
        "null",
        "{",
        r#"{"address":5}"#,
        r#"{"weight":"10"}"#,
        r#"{"weight":1.5}"#,
        r#"{"tags":{"a":1}}"#,
        &long,
    ] {
        let skipped = value(json).unwrap_err();
        assert_eq!(skipped.code, Code::R09, "{json:.40}");
        assert!(skipped.key.ends_with("10.77.0.1:8888") && !skipped.why.is_empty());
    }
}

#[test]
fn missing_fields_read_as_empty() {
    let read = value("{}").unwrap();
    assert_eq!((read.address.as_str(), read.network.as_str()), ("", "tcp"));
}

proptest! {
    #[test]
    fn no_key_and_no_value_panics(key: Vec<u8>, value: Vec<u8>, revision: u64) {
        let _ = read(RANGE, &key, &value, revision);
    }

    #[test]
    fn any_address_in_good_json_survives(address in ".{0,60}", network in ".{0,6}", weight: i64) {
        let json = serde_json::json!({"network": network, "address": address, "weight": weight}).to_string();
        let read = read(RANGE, b"k", json.as_bytes(), 1).unwrap();
        prop_assert_eq!(read.address, address);
        prop_assert!((1..=1_000_000).contains(&read.weight));
    }
}

#[test]
fn an_entry_of_a_service_below_is_none_of_ours() {
    let json = br#"{"address":"10.77.0.1:8888"}"#;
    let skipped = read(
        RANGE,
        b"kitex/registry-etcd/item/v2/10.77.0.1:8888",
        json,
        1,
    )
    .unwrap_err();
    assert_eq!(skipped.code, Code::R20);
    assert!(skipped.why.contains("v2"));
}
