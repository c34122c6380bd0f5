use proptest::prelude::*;

use super::*;

fn http(line: &str) -> Option<Spoke> {
    Some(Spoke::Http(line.into()))
}

fn other(line: &str) -> Option<Spoke> {
    Some(Spoke::Other(line.into()))
}

/// MySQL 5.7, 8.0 and MariaDB 10.6, as far as the server's capabilities.
const MYSQL: [&[u8]; 3] = [
    b"J\0\0\0\n5.7.44\0\x08\0\0\0]\x1c\x02\x07\x1ae2O\0\xff\xff\x08\x02\0\xff\xc1\x15\0\0\0\0\0\0\0\0\0\0",
    b"I\0\0\0\n8.0.36\0\x0b\0\0\0\x1f\x05\x18}*\x1a\x12l\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0",
    b"l\0\0\0\n5.5.5-10.6.16-MariaDB-1:10.6.16+maria~ubu2004\0\x03\0\0\0L9\"?)Eza\0\xfe\xf7-\x02\0\xff\x81\x15",
];

#[test]
fn servers_are_known_by_their_first_bytes() {
    let table: Vec<(&[u8], Option<Spoke>)> = vec![
        (b"", None),
        // HTTP/1: Go, nginx, a proxy; pages without a status line, as nginx and Python send them.
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n",
            http("HTTP/1.1 400 Bad Request"),
        ),
        (
            b"HTTP/1.0 408 Request Time-out\r\n\r\n",
            http("HTTP/1.0 408 Request Time-out"),
        ),
        (
            b"<html>\r\n<head><title>400 Bad Request</title></head>\r\n",
            http("<html>"),
        ),
        (
            b"\r\n<!doctype HTML>\n<html lang=\"en\">",
            http("<!doctype HTML>"),
        ),
        (b"<html lang=\"en\">", http("<html lang=\"en\">")),
        // HTTP/2: SETTINGS of grpc-go, an empty one, GOAWAY.
        (
            b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0",
            Some(Spoke::Http2),
        ),
        (b"\0\0\0\x04\0\0\0\0\0", Some(Spoke::Http2)),
        (
            b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            Some(Spoke::Http2),
        ),
        // TLS alerts: record_overflow, and protocol_version of TLS 1.0.
        (b"\x15\x03\x03\0\x02\x02\x16", Some(Spoke::Tls)),
        (b"\x15\x03\x01\0\x02\x02\x46", Some(Spoke::Tls)),
        // Redis.
        (
            b"-ERR unknown command '\x16\x03\x01\xff\xff', with args beginning with: \r\n",
            Some(Spoke::Redis),
        ),
        (b"-NOAUTH Authentication required.\r\n", Some(Spoke::Redis)),
        (
            b"-DENIED Redis is running in protected mode because",
            Some(Spoke::Redis),
        ),
        (b"+PONG\r\n", Some(Spoke::Redis)),
        // MySQL.
        (MYSQL[0], Some(Spoke::MySql)),
        (MYSQL[1], Some(Spoke::MySql)),
        (MYSQL[2], Some(Spoke::MySql)),
        (
            b"F\0\0\0\xffj\x04Host '172.17.0.1' is not allowed to connect to this MySQL server",
            Some(Spoke::MySql),
        ),
        (
            b"\x17\0\0\0\xff\x10\x04Too many connections",
            Some(Spoke::MySql),
        ),
        // SSH.
        (
            b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5\r\n",
            Some(Spoke::Ssh(
                "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5".into(),
            )),
        ),
        // The rest.
        (
            b"220 mail.example.com ESMTP Postfix\r\n",
            other("220 mail.example.com ESMTP Postfix"),
        ),
        (b"220 (vsFTPd 3.0.5)\r\n", other("220 (vsFTPd 3.0.5)")),
        (b"+OK POP3 ready\r\n", other("+OK POP3 ready")),
        (b"ERROR\r\n", other("ERROR")),
        (
            b"E\0\0\0\x8dSFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol",
            other(r"E\x00\x00\x00\x8dSFATAL\x00VFATAL\x00C0A000\x00Munsupported frontend protocol"),
        ),
        (b"\xff\xfd\x18\xff\xfd", other(r"\xff\xfd\x18\xff\xfd")),
        (
            b"\x05\0\0\0\x0b\x08\x05\x1a\0",
            other(r"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00"),
        ),
    ];
    for (first, expected) in table {
        let text = first.escape_ascii();
        assert_eq!(recognise(first), expected, "{text}");
    }
}

#[test]
fn whatever_kitex_replies_is_no_other_protocol_but_grpc() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut known = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if !name.ends_with(".rep.bin") {
            continue;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        let expected = (name.starts_with("grpc") && !bytes.is_empty()).then_some(Spoke::Http2);
        let first = &bytes[..bytes.len().min(512)];
        assert_eq!(recognise(first), expected, "{name}");
        known += 1;
    }
    assert!(known > 90, "{known}");
}

#[test]
fn thrift_that_tidegate_does_not_read_is_thrift_all_the_same() {
    let compact = b"\0\0\0\x20\x82\x61\x01\x04Echo\x18\x04what\x15\x0c\0";
    let non_strict = b"\0\0\0\x04Echo\x03\0\0\0\x01\x0b\0\x01\0\0\0\x02no\0";
    assert_eq!(recognise(compact), None);
    assert_eq!(recognise(non_strict), None);
}

#[test]
fn a_line_is_short_and_holds_nothing_that_a_terminal_would_obey() {
    let said = recognise("220 \u{1b}[2J\u{202e}你好 \t\x07".as_bytes());
    let expected = other(r"220 \x1b[2J\u{202e}你好 \t\x07");
    assert_eq!(said, expected);
    let long = [b'x'; 500];
    assert_eq!(recognise(&long), other(&"x".repeat(80)));
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    #[test]
    fn nor_are_those_that_begin_well(
        begin in prop::sample::select(vec![
            &b"HTTP/1.1 "[..], b"SSH-", b"\x15\x03\x03", b"-ERR ", b"J\0\0\0\n", b"\0\0\0\x20\x80\x01\0\x03", b"\x80\x01\0\x03",
            b"\0\0\0\x40\x10\0\0\0", b"\xff\xaf\0\x08", b"\0\0\x06\x04\0", b"\0\0\0\x10\x82\x21", b"<html",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        check(&[begin, &rest].concat());
    }
}

fn check(bytes: &[u8]) {
    if let Some(Spoke::Http(text) | Spoke::Ssh(text) | Spoke::Other(text)) = recognise(bytes) {
        assert!(text.chars().count() <= 80, "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}
