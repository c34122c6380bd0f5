#![allow(clippy::unwrap_used)]

use super::*;

fn cidr(text: &str) -> Cidr {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_network_holds_the_addresses_with_its_prefix() {
    let cases = [
        ("172.17.0.0/16", "172.17.255.255", true),
        ("172.17.0.0/16", "172.18.0.0", false),
        ("172.17.0.0/16", "::ffff:172.17.0.1", true),
        ("172.17.0.0/16", "::172.17.0.1", false),
        ("10.0.0.7", "10.0.0.7", true),
        ("10.0.0.7", "10.0.0.8", false),
        ("0.0.0.0/0", "0.0.0.0", true),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "::1", true),
        ("::/0", "1.2.3.4", false),
        ("::", "::", true),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe80::1", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
    ];
    for (network, ip, held) in cases {
        assert_eq!(
            cidr(network).contains(ip.parse().unwrap()),
            held,
            "{network} {ip}"
        );
    }
}

#[test]
fn a_wider_network_covers_a_narrower_one_of_its_family() {
    let cases = [
        ("10.0.0.0/8", "10.1.0.0/16", true),
        ("10.1.0.0/16", "10.0.0.0/8", false),
        ("10.0.0.0/8", "10.0.0.0/8", true),
        ("10.0.0.0/8", "11.0.0.0/16", false),
        ("0.0.0.0/0", "::/0", false),
        ("::/0", "fd00::/8", true),
    ];
    for (wide, narrow, covered) in cases {
        assert_eq!(cidr(wide).covers(&cidr(narrow)), covered, "{wide} {narrow}");
    }
}

#[test]
fn a_network_is_written_as_it_is_read() {
    for text in ["10.0.0.0/8", "10.0.0.7", "fd00::/8", "::1", "0.0.0.0/0"] {
        assert_eq!(cidr(text).to_string(), text);
    }
    assert_eq!(cidr("10.0.0.7/32").to_string(), "10.0.0.7");
    assert_eq!(cidr("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
}

#[test]
fn what_is_no_network_is_refused_and_host_bits_name_the_network() {
    for text in [
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "::/129",
        "h/8",
        "10.0.0.0/8/8",
    ] {
        assert_eq!(text.parse::<Cidr>(), Err(NoCidr::Unreadable), "{text}");
    }
    for (text, network) in [
        ("172.17.5.0/16", "172.17.0.0/16"),
        ("fd00::1/8", "fd00::/8"),
    ] {
        let error = text.parse::<Cidr>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("is {network} meant?")), "{error}");
    }
}
