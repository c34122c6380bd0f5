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
