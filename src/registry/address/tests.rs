#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn name(host: &str, port: u16) -> Result<Address, Malformed> {
    Ok(Address::Name(host.to_owned(), port))
}

fn socket(text: &str) -> Result<Address, Malformed> {
    Ok(Address::Socket(text.parse().unwrap()))
}

fn unix(path: &str) -> Result<Address, Malformed> {
    Ok(Address::Unix(path.into()))
}

#[test]
fn addresses_read_as_they_are_written() {
    let label = "a".repeat(63);
    let cases = [
        ("10.0.3.7:8888", socket("10.0.3.7:8888")),
        ("[fd77::1]:8888", socket("[fd77::1]:8888")),
        ("[::ffff:10.0.3.7]:8888", socket("[::ffff:10.0.3.7]:8888")),
        ("127.0.0.1:0", socket("127.0.0.1:0")),
        (":8888", socket("0.0.0.0:8888")),
        ("item.shop.svc:80", name("item.shop.svc", 80)),
        ("item_1.shop.svc.:80", name("item_1.shop.svc.", 80)),
        ("localhost:8888", name("localhost", 8888)),
        (&format!("{label}.x:1"), name(&format!("{label}.x"), 1)),
        ("/run/item.sock", unix("/run/item.sock")),
        ("unix:/run/item.sock", unix("/run/item.sock")),
        ("unix:///run/item.sock", unix("/run/item.sock")),
        ("unix:///run/a:b c.sock:1", unix("/run/a:b c.sock:1")),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn an_abstract_name_is_read_on_linux() {
    let read = |name| match cfg!(target_os = "linux") {
        true => unix(name),
        false => Err(Malformed::NoAbstractName),
    };
    for text in ["@item", "unix:@item"] {
        assert_eq!(parse(text), read("@item"), "{text}");
        assert_eq!(parse_path(text), read("@item"), "{text}");
    }
}

#[test]
fn a_unix_socket_has_an_absolute_path_that_fits() {
    let max = crate::platform::MAX_SOCKET_PATH.unwrap_or(107);
    let (longest, long) = (format!("/{}", "x".repeat(max - 1)), "x".repeat(max));
    assert_eq!(parse(&longest), unix(&longest));
    let cases = [
        ("unix:", Malformed::NoPath),
        ("unix:run/item.sock", Malformed::NoPath),
        ("unix://run/item.sock", Malformed::NoPath),
        ("unix:@", Malformed::NoPath),
        ("@", Malformed::NoPath),
        ("/run/a\0b", Malformed::BadPath),
        (&format!("/{long}"), Malformed::BadPath),
        (&format!("unix:/{long}"), Malformed::BadPath),
    ];
    for (text, expected) in cases {
        if expected == Malformed::BadPath && crate::platform::MAX_SOCKET_PATH.is_none() {
            continue;
        }
        assert_eq!(parse(text), Err(expected.clone()), "{text}");
        assert_eq!(parse_path(text), Err(expected), "{text}");
    }
    // Where the network says unix, nothing else is meant.
    assert_eq!(parse_path("run/item.sock"), Err(Malformed::NoPath));
    assert_eq!(parse_path("10.0.3.7:8888"), Err(Malformed::NoPath));
    assert!(remedy("unix:run").contains("unix:/path"));
}

#[test]
fn what_cannot_be_read_says_why() {
    let long = format!("{}.x:1", "a".repeat(64));
    let cases = [
        ("", Malformed::Empty),
        ("fd77::1:8888", Malformed::NoBrackets),
        ("::1:8888", Malformed::NoBrackets),
        (":::8888", Malformed::NoBrackets),
        ("[fd77::1]", Malformed::BadBrackets),
        ("[10.0.0.1]:80", Malformed::BadBrackets),
        ("[fd77::1:8888", Malformed::BadBrackets),
        ("10.0.3.7", Malformed::NoPort),
        ("item", Malformed::NoPort),
        ("10.0.3.7:", Malformed::BadPort),
        ("10.0.3.7:http", Malformed::BadPort),
        ("10.0.3.7:65536", Malformed::BadPort),
        ("10.0.3.7:-1", Malformed::BadPort),
        ("item:+80", Malformed::BadPort),
        ("10.0.0.300:80", Malformed::BadHost),
        ("127.1:80", Malformed::BadHost),
        ("0:80", Malformed::BadHost),
        ("2130706433:80", Malformed::BadHost),
        ("0x7f.0x1:80", Malformed::BadHost),
        ("it em:80", Malformed::BadHost),
        (" 10.0.3.7:80", Malformed::BadHost),
        ("item..svc:80", Malformed::BadHost),
        (".:80", Malformed::BadHost),
        ("http//item:80", Malformed::BadHost),
        ("ítem:80", Malformed::BadHost),
        (&long, Malformed::BadHost),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Err(expected), "{text}");
    }
}

#[test]
fn the_remedy_for_lost_brackets_shows_them() {
    assert!(remedy("fd77::1:8888").contains("[fd77::1]:8888"));
    assert!(remedy("nonsense").contains("HOST:PORT"));
}

proptest! {
    #[test]
    fn no_text_panics_and_a_socket_is_read_back(text in ".{0,40}", ip: std::net::IpAddr, port: u16) {
        let _ = parse(&text);
        let _ = parse_path(&text);
        let _ = remedy(&text);
        let socket = SocketAddr::new(ip, port);
        prop_assert_eq!(parse(&socket.to_string()), Ok(Address::Socket(socket)));
    }

    #[test]
    fn any_path_is_read_back_from_how_it_is_shown(path in "/[^\0/][^\0]{0,20}") {
        let shown = DialAddr::Unix(Path::new(&path).into()).to_string();
        prop_assert_eq!(parse(&shown), unix(&path));
        prop_assert_eq!(parse(&path), unix(&path));
    }
}

#[test]
fn what_a_registrar_puts_at_the_end_of_a_key_is_told_from_what_other_programs_put_there() {
    for text in [
        "10.0.0.1:8888",
        "[fd00::1]:8888",
        "fd00::1:8888",
        ":8888",
        "shop.local:1",
    ] {
        assert!(is_of_tcp(text), "{text}");
    }
    for text in [
        "",
        "x",
        "rpc_timeout",
        "system:basic",
        "system:serviceaccounts:default",
        "pods/default/x:1",
        "item/10.0.0.1:8888",
        "/run/item.sock",
        "@item",
        "unix:/run/item.sock",
    ] {
        assert!(!is_of_tcp(text), "{text}");
    }
}
