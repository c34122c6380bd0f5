#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use scripted::header::key::TO_SERVICE;
use scripted::{Framing, Header, Message, body};

use super::*;
use crate::frame::{Decoder, Limits, Progress, Side};

fn redirected(services: &[&str]) -> Redirected {
    let origin = SocketAddr::from(([10, 0, 0, 1], 8888));
    Redirected::new(origin, services.iter().map(|it| (*it).into()).collect())
}

fn call(framing: Framing, header: Header) -> (Head, Bytes) {
    let mut message = Message::call(framing, "Echo", 1, body::empty());
    message.header = header;
    let bytes = message.encode();
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    match decoder.decode(&bytes).unwrap() {
        Progress::Whole { head, .. } => (head, bytes),
        Progress::More { .. } => panic!("it is whole"),
    }
}

/// The service that such a call tells, of these.
fn told(services: &[&str], framing: Framing, header: Header) -> Option<String> {
    let mut to = redirected(services);
    let (head, bytes) = call(framing, header);
    to.tell(&head, &bytes).then(|| to.services[0].to_string())
}

#[test]
fn an_address_of_one_service_needs_no_call_to_tell() {
    assert!(redirected(&["item"]).told);
    assert!(!redirected(&["item", "stock"]).told);
}

#[test]
fn a_call_tells_the_service_by_key_6_or_by_isn() {
    let both = &["item", "stock"];
    let none = Header::default;
    let named = |name: &str| none().int(TO_SERVICE, name);
    let idl = |name: &str| none().string("isn", name);
    let cases = [
        (named("stock"), Some("stock")),
        (idl("stock"), Some("stock")),
        (named("item").string("isn", "stock"), Some("item")),
        (named("other").string("isn", "stock"), Some("stock")),
        (named("other"), None),
        (idl("StockService"), None),
        (none(), None),
    ];
    for (header, expected) in cases {
        for framing in [Framing::TtHeader, Framing::TtHeaderFramed] {
            let said = told(both, framing, header.clone());
            assert_eq!(said.as_deref(), expected, "{header:?}");
        }
    }
    for framing in [Framing::Framed, Framing::Buffered] {
        assert_eq!(told(both, framing, none()), None);
    }
}

#[test]
fn what_one_call_told_holds_for_those_that_tell_nothing() {
    let mut to = redirected(&["item", "stock"]);
    let (head, bytes) = call(
        Framing::TtHeader,
        Header::default().int(TO_SERVICE, "stock"),
    );
    assert!(to.tell(&head, &bytes));
    let (head, bytes) = call(Framing::Framed, Header::default());
    assert!(to.tell(&head, &bytes));
    assert_eq!(&*to.services[0], "stock");
}
