#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_keys_service_is_its_first_part_behind_the_prefix() {
    let kitex = Layout::default();
    let bare = Layout::Kitex {
        prefix: String::new(),
    };
    // No service, where the name is empty.
    let cases = [
        (
            &kitex,
            "kitex/registry-etcd/shop.item/10.0.0.1:8888",
            ("shop.item", "10.0.0.1:8888"),
        ),
        (
            &kitex,
            "kitex/registry-etcd/item//run/item.sock",
            ("item", "/run/item.sock"),
        ),
        (&kitex, "kitex/registry-etcd/item/", ("", "")),
        (&kitex, "kitex/registry-etcd/item", ("", "")),
        (&kitex, "kitex/registry-etcd//10.0.0.1:1", ("", "")),
        (&kitex, "kitex/registry-etcd-2/item/10.0.0.1:1", ("", "")),
        (&kitex, "kitex/registry-etcd/it\u{7}em/10.0.0.1:1", ("", "")),
        (&bare, "/item/10.0.0.1:1", ("item", "10.0.0.1:1")),
        (&bare, "item/10.0.0.1:1", ("", "")),
    ];
    for (layout, key, (name, rest)) in cases {
        let expected = (!name.is_empty()).then_some((name, rest.as_bytes()));
        assert_eq!(layout.name_of(key.as_bytes()), expected, "{key:?}");
    }
    let no_text = [b"kitex/registry-etcd/".as_slice(), &[0xff], b"/x:1"].concat();
    assert_eq!(kitex.name_of(&no_text), None);
}

#[test]
fn names_that_begin_alike_are_one_range() {
    let kitex = Layout::default();
    assert_eq!(kitex.range_of_names("shop."), "kitex/registry-etcd/shop.");
    assert_eq!(kitex.range_of_names(""), "kitex/registry-etcd/");
}

#[test]
fn under_the_empty_prefix_a_service_is_told_by_a_key_and_a_value_of_a_registrars() {
    let kitex = Layout::default();
    let bare = Layout::Kitex {
        prefix: String::new(),
    };
    let registered = r#"{"network":"tcp","address":"10.0.0.1:1","weight":10,"tags":null}"#;
    for (address, value, is_told) in [
        ("10.0.0.1:1", registered, true),
        ("10.0.0.2:1", registered, true),
        ("fd00::1:8888", registered, true),
        ("10.0.0.8:9100", r#"{"name":"node8","cpu":4}"#, false),
        ("10.0.0.8:9100", r#"{"address":""}"#, false),
        ("10.0.0.8:9100", "up", false),
        ("db/10.0.0.1:3306", registered, false),
        ("rpc_timeout", registered, false),
    ] {
        let tells = |layout: &Layout| layout.tells_service(address.as_bytes(), value.as_bytes());
        assert_eq!(tells(&bare), is_told, "{address} {value}");
        assert!(tells(&kitex));
    }
}
