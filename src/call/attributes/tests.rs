#![allow(clippy::unwrap_used)]
use scripted::{Framing, Header, Message, body};

use super::*;
use crate::frame::{Decoder, Limits, Progress, Side};

fn said(header: Header, key: &str) -> Option<String> {
    let mut call = Message::call(Framing::TtHeader, "Echo", 1, body::text(1, "x"));
    call.header = header;
    let bytes = call.encode();
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    let Ok(Progress::Whole { head, .. }) = decoder.decode(&bytes) else {
        panic!("no frame")
    };
    let said = Attribute::of_frame(&head, &bytes, &Key::new(key).unwrap())?;
    Some(String::from_utf8(said.to_vec()).unwrap())
}

#[test]
fn int_keys_have_names_and_string_keys_are_as_on_the_wire() {
    let header = Header::default()
        .int(3, "shop.cart")
        .int(7, "blue")
        .int(10, "alice")
        .int(14, "42")
        .int(24, "user-42")
        .string("RPC_PERSIST_LANE", "bob");
    for (key, value) in [
        ("from_service", Some("shop.cart")),
        ("to_cluster", Some("blue")),
        ("env", Some("alice")),
        ("ring_hash_key", Some("42")),
        ("raw_ring_hash_key", Some("user-42")),
        ("RPC_PERSIST_LANE", Some("bob")),
        ("RPC_PERSIST_lane", None),
        ("from_idc", None),
        ("source", None),
    ] {
        assert_eq!(said(header.clone(), key).as_deref(), value, "{key}");
    }
}

#[test]
fn an_empty_text_says_nothing_and_the_last_of_two_counts() {
    assert_eq!(said(Header::default().int(10, ""), "env"), None);
    let twice = Header::default().int(10, "first").int(10, "second");
    assert_eq!(said(twice, "env").as_deref(), Some("second"));
}

#[test]
fn the_source_is_an_address_without_a_port() {
    for (address, text) in [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::1"),
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
    ] {
        let said = Attribute::of_source(address.parse().unwrap());
        assert_eq!(&*said, text.as_bytes());
    }
}
