use super::Detected::{More, Relay, Thrift};
use super::*;

const CALL: &[u8] = b"\x80\x01\x00\x01\x00\x00\x00\x03Get\x00\x00\x00\x01\x00";

#[test]
fn calls_in_every_framing_are_thrift() {
    let framed = [&[0, 0, 0, CALL.len() as u8], CALL].concat();
    let mesh = [&[0xff, 0xaf, 0, 2, 0, 0][..], CALL].concat();
    for first in [
        CALL,
        &framed,
        &mesh,
        b"\0\0\0\x1a\x90\x01\0\x01\0\0",
        b"\0\0\0\x2f\x10\0\0\x01\0\0\0\x01\0\x01",
    ] {
        assert_eq!(detect(first), Thrift, "{first:?}");
        assert_eq!(detect(&first[..8]), Thrift, "{first:?}");
        assert_eq!(detect(&first[..7]), More, "{first:?}");
    }
}

#[test]
fn other_protocols_are_named() {
    for (first, looks) in [
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], Looks::Http2),
        (b"GET / HTTP/1.1\r\n", Looks::Http1),
        (b"OPTIONS * HTTP/1.0\r\n", Looks::Http1),
        (b"\0\0\0\x36\x10\0\0\x02\0\0\0\x01", Looks::TtStream),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc", Looks::Tls),
        (b"*1\r\n$4\r\nPING\r\n", Looks::Redis),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", Looks::ProxyHeader),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", Looks::ProxyHeader),
        (b"\0\0\0\x04Echo\x01\0\0\0\x09", Looks::NonStrictThrift),
        (
            b"\0\0\0\x1e\0\0\0\x04Echo\x01\0\0\0\x09",
            Looks::NonStrictThrift,
        ),
        (b"\x82\x21\x0a\x04Echo\x1c", Looks::CompactThrift),
        (b"\0\0\0\x12\x82\x21\x0a\x04Echo", Looks::CompactThrift),
        (b"\0\0\0\0\0\0\0\0", Looks::Unknown),
        (b"SSH-2.0-OpenSSH", Looks::Unknown),
    ] {
        assert_eq!(detect(first), Relay(looks), "{looks}");
    }
}

#[test]
fn a_short_greeting_of_a_known_protocol_is_not_waited_on() {
    assert_eq!(detect(b"PING\r\n"), Relay(Looks::Redis));
    assert_eq!(detect(b"GET /"), Relay(Looks::Http1));
    assert_eq!(detect(b"PRI * H"), More);
    assert_eq!(detect(b""), More);
}

#[test]
fn a_name_that_is_no_name_is_not_taken_for_old_thrift() {
    assert_eq!(
        detect(b"\0\0\0\x04\x01\x02\x03\x04\x01"),
        Relay(Looks::Unknown)
    );
    assert_eq!(
        detect(b"\0\0\0\x04Echo\x09\0\0\0\x09"),
        Relay(Looks::Unknown)
    );
    assert_eq!(detect(b"\0\0\0\x02\0\0\0\x04Echo"), Relay(Looks::Unknown));
}

#[test]
fn names_for_people_and_for_metrics() {
    assert_eq!(Looks::NonStrictThrift.to_string(), "non-strict Thrift");
    assert_eq!(Looks::NonStrictThrift.label(), "thrift_non_strict");
}
