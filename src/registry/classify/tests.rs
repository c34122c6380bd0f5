#![allow(clippy::unwrap_used)]

use super::*;
use crate::registry::parse;

fn interface(name: &str, ip: &str, prefix_len: u8) -> Interface {
    Interface {
        name: name.to_owned(),
        ip: ip.parse().unwrap(),
        prefix_len,
    }
}

fn dialled(addr: &str) -> DialAddr {
    DialAddr::Tcp(addr.parse().unwrap())
}

fn host() -> Host {
    let interfaces = vec![
        interface("lo", "127.0.0.1", 8),
        interface("lo", "::1", 128),
        interface("eth0", "10.0.3.7", 24),
        interface("eth0", "fe80::7", 64),
        interface("tailscale0", "100.101.1.2", 32),
        interface("docker0", "172.17.0.1", 16),
        interface("br-3f2a9c01d4e7", "192.168.80.1", 20),
        interface("cluster", "10.244.9.1", 16),
    ];
    Host::new(
        interfaces,
        vec![dialled("127.0.0.1:18890"), dialled("0.0.0.0:15001")],
    )
}

fn class(text: &str) -> Class {
    classify(&parse(text).unwrap(), &host())
}

#[test]
fn every_address_has_its_class() {
    let cases = [
        ("127.0.0.1:8888", Class::Loopback),
        ("127.9.9.9:8888", Class::Loopback),
        ("[::1]:8888", Class::Loopback),
        ("[::ffff:127.0.0.1]:8888", Class::Loopback),
        ("0.0.0.0:8888", Class::Unspecified),
        ("[::]:8888", Class::Unspecified),
        ("[::ffff:0.0.0.0]:8888", Class::Unspecified),
        (":8888", Class::Unspecified),
        ("10.0.3.9:0", Class::Unspecified),
        ("169.254.7.7:8888", Class::LinkLocal),
        ("[fe80::1]:8888", Class::LinkLocal),
        ("169.254.169.254:80", Class::Forbidden),
        ("[::ffff:169.254.169.254]:80", Class::Forbidden),
        ("[fd00:ec2::254]:80", Class::Forbidden),
        ("127.0.0.1:18890", Class::OwnListener),
        ("[::ffff:127.0.0.1]:18890", Class::OwnListener),
        ("127.0.0.2:18890", Class::Loopback),
        ("127.0.0.2:15001", Class::OwnListener),
        ("10.0.3.7:15001", Class::OwnListener),
        ("10.0.3.8:15001", Class::Private),
        ("[::1]:15001", Class::Loopback),
        ("10.0.3.7:8888", Class::ThisHost),
        ("100.101.1.2:8888", Class::ThisHost),
        ("172.17.0.1:8888", Class::ContainerNetwork),
        ("[::ffff:172.17.0.1]:8888", Class::ContainerNetwork),
        ("192.168.80.1:8888", Class::ContainerNetwork),
        ("10.0.3.9:8888", Class::Private),
        ("192.168.1.1:8888", Class::Private),
        ("172.31.1.1:8888", Class::Private),
        ("[fd77::1]:8888", Class::Private),
        ("100.64.1.1:8888", Class::Private),
        ("172.17.0.5:8888", Class::ContainerNetwork),
        ("192.168.80.5:8888", Class::ContainerNetwork),
        ("172.19.0.5:8888", Class::ContainerNetwork),
        ("10.88.0.5:8888", Class::ContainerNetwork),
        ("10.244.1.1:8888", Class::Private),
        ("8.8.8.8:53", Class::Public),
        ("[2001:db8::1]:53", Class::Public),
        ("item.shop.svc:80", Class::Unresolvable),
        ("/run/item.sock", Class::UnixSocket),
    ];
    for (text, expected) in cases {
        assert_eq!(class(text), expected, "{text}");
    }
}

#[test]
fn a_unix_socket_of_our_own_is_an_own_listener() {
    let host = Host::new(
        Vec::new(),
        vec![DialAddr::Unix(Path::new("/run/own.sock").into())],
    );
    let class = |text: &str| classify(&parse(text).unwrap(), &host);
    assert_eq!(class("unix:/run/own.sock"), Class::OwnListener);
    assert_eq!(class("/run/other.sock"), Class::UnixSocket);
}

#[test]
fn metadata_addresses_are_forbidden_in_every_form() {
    let forbidden_ones = [
        "169.254.169.254",
        "100.100.100.200",
        "169.254.0.23",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:100.100.100.200",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
    ];
    for ip in forbidden_ones {
        assert!(forbidden(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "169.254.169.253",
        "10.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "fd00:ec2::255",
        "64:ff9b:1::a9fe:a9fe",
    ] {
        assert!(!forbidden(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn a_wildcard_ipv6_listener_is_reached_by_both_families() {
    let host = host();
    host.set_own_listeners(vec![dialled("[::]:9000")]);
    for address in [
        "127.0.0.1:9000",
        "[::1]:9000",
        "10.0.3.7:9000",
        "0.0.0.0:9000",
    ] {
        assert!(host.is_own_listener(address.parse().unwrap()), "{address}");
    }
    for address in ["127.0.0.1:9001", "10.0.3.8:9000", "127.0.0.1:18890"] {
        assert!(!host.is_own_listener(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn findings_follow_from_class_and_host() {
    let cases = [
        ("127.0.0.1:1", Some(Code::R02)),
        ("0.0.0.0:1", Some(Code::R01)),
        ("169.254.7.7:1", Some(Code::R03)),
        ("169.254.169.254:1", Some(Code::R14)),
        ("127.0.0.1:18890", Some(Code::R16)),
        ("172.17.0.5:1", None),
        ("10.88.0.5:1", Some(Code::R04)),
        ("100.64.1.1:1", Some(Code::R06)),
        ("10.1.1.1:1", None),
        ("8.8.8.8:1", None),
        ("[2001:db8::1]:1", Some(Code::R18)),
    ];
    let host = host();
    for (text, expected) in cases {
        let socket: SocketAddr = text.parse().unwrap();
        let class = classify(&Address::Socket(socket), &host);
        assert_eq!(host.code(class, socket.ip()), expected, "{text}");
    }
    host.set_interfaces(vec![interface("eth0", "2001:db8::7", 64)]);
    assert_eq!(
        host.code(Class::Public, "2001:db8::1".parse().unwrap()),
        None
    );
}

#[test]
fn labels_are_distinct_and_suspicious_ones_are_dialable() {
    let labels: std::collections::BTreeSet<_> =
        Class::ALL.iter().map(|class| class.label()).collect();
    assert_eq!(labels.len(), Class::ALL.len());
    assert!(
        Class::ALL
            .iter()
            .all(|class| !class.suspicious() || class.dialable())
    );
}

#[test]
fn a_prefix_of_any_length_never_panics() {
    for len in 0..=u8::MAX {
        let host = Host::new(
            vec![
                interface("x", "10.0.0.1", len),
                interface("x", "fd77::1", len),
            ],
            Vec::new(),
        );
        let _ = classify(&parse("10.0.0.2:1").unwrap(), &host);
        let _ = classify(&parse("[fd77::2]:1").unwrap(), &host);
    }
}

/// An interface's name, address, and length of the prefix.
type Made = (&'static str, &'static str, u8);

/// What an address is on a host with these interfaces, and which finding.
fn on(interfaces: &[Made], address: &str) -> (Class, Option<Code>) {
    let interfaces = interfaces
        .iter()
        .map(|(name, ip, len)| interface(name, ip, *len));
    let host = Host::new(interfaces.collect(), Vec::new());
    let socket: SocketAddr = address.parse().unwrap();
    let class = classify(&Address::Socket(socket), &host);
    (class, host.code(class, socket.ip()))
}

const WINDOWS: [Made; 4] = [
    ("Wi-Fi", "192.168.1.20", 24),
    ("vEthernet (WSL (Hyper-V firewall))", "172.29.64.1", 20),
    ("vEthernet (Default Switch)", "172.20.16.1", 20),
    ("vEthernet (External)", "10.1.2.3", 24),
];

const MACOS: [Made; 4] = [
    ("en0", "192.168.1.20", 24),
    ("bridge0", "10.9.0.1", 24),
    ("bridge100", "192.168.64.1", 24),
    ("vmenet0", "192.168.105.1", 24),
];

#[test]
fn the_networks_of_a_laptops_virtual_machines_are_container_networks() {
    let cases: [(&[Made], &str); 7] = [
        (&WINDOWS, "172.29.70.7:8888"),
        (&WINDOWS, "172.20.17.9:8888"),
        (&[("vEthernet (WSL)", "172.27.0.1", 20)], "172.27.3.4:8888"),
        (&[("vEthernet (nat)", "172.26.0.1", 20)], "172.26.3.4:8888"),
        (&MACOS, "192.168.64.5:8888"),
        (&MACOS, "192.168.105.5:8888"),
        (&[("lima0", "192.168.104.1", 24)], "192.168.104.7:8888"),
    ];
    for (interfaces, address) in cases {
        let expected = (Class::ContainerNetwork, None);
        assert_eq!(on(interfaces, address), expected, "{address}");
    }
}

#[test]
fn the_network_inside_a_virtual_machine_is_one_only_where_there_is_a_machine() {
    let linux = [("eth0", "10.0.3.7", 24), ("docker0", "172.17.0.1", 16)];
    let inside = [
        "192.168.65.3:8888",
        "192.168.5.15:8888",
        "192.168.127.2:8888",
    ];
    for address in inside {
        let found = (Class::ContainerNetwork, Some(Code::R04));
        assert_eq!(on(&WINDOWS, address), found, "{address}");
        assert_eq!(on(&MACOS, address), found, "{address}");
        assert_eq!(on(&linux, address), (Class::Private, None), "{address}");
    }
    // It is the home network there: the interface says more.
    let home = [
        ("en0", "192.168.5.20", 24),
        ("bridge100", "192.168.64.1", 24),
    ];
    assert_eq!(on(&home, "192.168.5.15:8888"), (Class::Private, None));
}

#[test]
fn a_bridge_that_has_the_hosts_own_address_is_no_container_network() {
    for name in ["br-lan", "br-ex", "br-bond0", "br0", "bridge0"] {
        let made = [(name, "192.168.7.1", 24), ("docker0", "172.17.0.1", 16)];
        let own = on(&made, "192.168.7.1:8888");
        assert_eq!(own, (Class::ThisHost, None), "{name}");
        let near = on(&made, "192.168.7.9:8888");
        assert_eq!(near, (Class::Private, None), "{name}");
    }
    // Where another interface has the address as well, it is the host's.
    let both = [("eth0", "172.17.0.1", 16), ("docker0", "172.17.0.1", 16)];
    assert_eq!(on(&both, "172.17.0.1:8888"), (Class::ThisHost, None));
}

#[test]
fn a_company_network_in_what_docker_may_take_is_private() {
    let docker = [
        ("eth0", "10.0.3.7", 24),
        ("br-91ab03c5e2f6", "172.21.0.1", 16),
    ];
    let office = [("eth0", "172.20.3.7", 16), ("docker0", "172.17.0.1", 16)];
    let cases: [(&[Made], &str); 6] = [
        (&docker, "172.20.0.5:8888"),
        (&docker, "172.31.0.5:8888"),
        (&docker, "192.168.16.5:8888"),
        (&office, "172.20.9.9:8888"),
        (&WINDOWS, "172.25.0.5:8888"),
        (&WINDOWS, "10.1.2.9:8888"),
    ];
    for (interfaces, address) in cases {
        assert_eq!(on(interfaces, address), (Class::Private, None), "{address}");
    }
    assert_eq!(
        on(&docker, "172.21.0.5:8888"),
        (Class::ContainerNetwork, None)
    );
    assert_eq!(on(&MACOS, "10.9.0.2:8888"), (Class::Private, None));
}
