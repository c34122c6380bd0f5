#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::*;
use crate::config::Config;
use crate::registry::candidate::Candidate;
use crate::registry::{Code, DialAddr, Found};

/// The rules of a config that holds nothing else of interest.
fn rules(text: &str) -> Vec<Rewrite> {
    let rest = "[[listener]]\nname='l'\nlisten='127.0.0.1:18890'\n";
    let config = Config::from_str("dev.toml", &format!("{text}\n{rest}"));
    config.unwrap_or_else(|errors| panic!("{errors}")).rewrites
}

/// A host that tidegate listens on, on its loopback.
fn host() -> Host {
    Host::new(
        Vec::new(),
        vec![DialAddr::Tcp("127.0.0.1:18890".parse().unwrap())],
    )
}

fn instance(network: &str, address: &str) -> Arc<Instance> {
    let tags = [("env", "test"), ("idc", "a")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Arc::new(Instance {
        address: address.to_owned(),
        network: network.to_owned(),
        key: format!("p/shop.item/{address}"),
        weight: 10,
        tags: BTreeMap::from(tags),
        revision: 1,
        notes: Vec::new(),
    })
}

/// What becomes of an instance of shop.item, and which names must be resolved for that.
fn of(
    rules: &[Rewrite],
    instance: &Arc<Instance>,
    names: &Resolved,
) -> (Vec<Candidate>, BTreeSet<String>) {
    let (host, rewrites) = (host(), Rewrites::new(rules).of("shop.item"));
    let world = World {
        host: &host,
        names,
        rewrites: &rewrites,
    };
    let mut wanted = BTreeSet::new();
    (candidates(instance, &world, &mut wanted), wanted)
}

fn names(known: &[(&str, &[&str])]) -> Resolved {
    let found = |ips: &[&str]| match ips {
        [] => Found::Failed("no such host".to_owned()),
        ips => Found::Addresses(ips.iter().map(|ip| ip.parse().unwrap()).collect()),
    };
    known
        .iter()
        .map(|(name, ips)| ((*name).to_owned(), found(ips)))
        .collect()
}

/// `dialled`, `dialled by LABEL`, or the finding where nothing is dialled.
fn shown(candidate: &Candidate) -> String {
    let to = match (&candidate.dial, candidate.codes.first()) {
        (Some(dial), _) => dial.to_string(),
        (None, Some(code)) => code.to_string(),
        (None, None) => "pending".to_owned(),
    };
    match &candidate.rewritten {
        Some(it) => format!("{to} by {}", it.label),
        None => to,
    }
}

fn all(candidates: &[Candidate]) -> Vec<String> {
    candidates.iter().map(shown).collect()
}

const A: &str = "[[rewrite]]\nname='a'\n";

#[test]
fn a_rule_takes_what_all_its_conditions_hold_for() {
    let cases = [
        ("cidr='10.0.0.0/8'", "10.0.0.7:80", true),
        ("cidr='10.0.0.0/8'", "11.0.0.7:80", false),
        ("cidr='10.0.0.0/8'", "[::ffff:10.0.0.7]:80", true),
        ("cidr='10.0.0.7'", "10.0.0.7:80", true),
        ("cidr='fd00::/8'", "[fd00::1]:80", true),
        ("address='10.0.0.7:80'", "10.0.0.7:80", true),
        ("address='10.0.0.7:80'", "10.0.0.7:81", false),
        ("address='10.0.0.7:80'", "[::ffff:10.0.0.7]:80", false),
        ("service='shop.*'", "10.0.0.7:80", true),
        ("service='shop'", "10.0.0.7:80", false),
        ("tag={env='test'}", "10.0.0.7:80", true),
        ("tag={env='test',idc='a'}", "10.0.0.7:80", true),
        ("tag={env='test',idc='b'}", "10.0.0.7:80", false),
        ("tag={zone='a'}", "10.0.0.7:80", false),
        (
            "cidr='10.0.0.0/8'\nservice='shop.item'\ntag={idc='a'}\naddress='10.0.0.7:80'",
            "10.0.0.7:80",
            true,
        ),
        ("cidr='10.0.0.0/8'\nservice='other'", "10.0.0.7:80", false),
        ("cidr='10.0.0.0/8'\ntag={idc='b'}", "10.0.0.7:80", false),
    ];
    for (conditions, address, taken) in cases {
        let rules = rules(&format!("{A}{conditions}\nhost='192.0.2.9'"));
        let (found, _) = of(&rules, &instance("tcp", address), &Resolved::new());
        assert_eq!(
            found[0].rewritten.is_some(),
            taken,
            "{conditions} {address}"
        );
    }
}

#[test]
fn a_rule_sets_the_host_the_port_or_both() {
    let cases = [
        ("host='192.0.2.9'", "10.0.0.7:80", "192.0.2.9:80"),
        ("port=30080", "10.0.0.7:80", "10.0.0.7:30080"),
        (
            "host='192.0.2.9'\nport=30080",
            "10.0.0.7:80",
            "192.0.2.9:30080",
        ),
        ("host='2001:db8::9'", "10.0.0.7:80", "[2001:db8::9]:80"),
        ("host='::ffff:192.0.2.9'", "10.0.0.7:80", "192.0.2.9:80"),
        // What could not be dialled at all.
        ("host='192.0.2.9'", "0.0.0.0:80", "192.0.2.9:80"),
        ("host='192.0.2.9'", "[::]:80", "192.0.2.9:80"),
        ("host='192.0.2.9'", ":80", "192.0.2.9:80"),
        ("host='192.0.2.9'", "fd77::1:80", "192.0.2.9:80"),
        ("host='192.0.2.9'", "[x]:80", "192.0.2.9:80"),
        ("host='192.0.2.9'\nport=1", "", "192.0.2.9:1"),
        ("host='192.0.2.9'\nport=1", "item", "192.0.2.9:1"),
        ("host='192.0.2.9'\nport=1", "10.0.0.7:0", "192.0.2.9:1"),
        ("host='192.0.2.9'", "169.254.169.254:80", "192.0.2.9:80"),
        ("host='192.0.2.9'\nport=1", "/run/item.sock", "192.0.2.9:1"),
    ];
    for (sets, address, dialled) in cases {
        let rules = rules(&format!("{A}service='*'\n{sets}"));
        let (found, wanted) = of(&rules, &instance("tcp", address), &Resolved::new());
        assert_eq!(all(&found), [format!("{dialled} by a")], "{sets} {address}");
        let to = &found[0].rewritten.as_ref().unwrap().to;
        assert_eq!((&**to, wanted.len()), (dialled, 0), "{sets} {address}");
    }
}

#[test]
fn a_rule_that_makes_no_address_of_what_it_takes_says_what_it_lacks() {
    let cases = [
        (
            "port=1",
            "tcp",
            "fd77::1:80",
            "R07",
            "rewrite \"a\", dev.toml:1 sets no host",
        ),
        (
            "host='192.0.2.9'",
            "tcp",
            "item",
            "R07",
            "rewrite \"a\", dev.toml:1 sets no port",
        ),
        ("host='192.0.2.9'", "tcp", "[x]:0", "R07", "sets no port"),
        (
            "host='192.0.2.9'",
            "unix",
            "/run/x.sock",
            "R19",
            "does not set both host and port",
        ),
        (
            "port=1",
            "tcp",
            "@x",
            "R19",
            "does not set both host and port",
        ),
        (
            "host='192.0.2.9'\nport=1",
            "udp",
            "10.0.0.7:80",
            "R15",
            "its network is \"udp\"",
        ),
    ];
    for (sets, network, address, code, why) in cases {
        // The second rule could, but the first that takes it counts.
        let second = "[[rewrite]]\nservice='shop.*'\nhost='192.0.2.9'\nport=1";
        let rules = rules(&format!("{A}tag={{idc='a'}}\n{sets}\n{second}"));
        let (found, _) = of(&rules, &instance(network, address), &Resolved::new());
        assert_eq!(all(&found), [code], "{sets} {address}");
        assert!(found[0].why.contains(why), "{}", found[0].why);
    }
}

#[test]
fn the_first_rule_that_takes_it_counts() {
    let rules = rules(
        "[[rewrite]]\ncidr='11.0.0.0/8'\nport=1\n\
         [[rewrite]]\nname='b'\ncidr='10.0.0.0/16'\nport=2\n\
         [[rewrite]]\nname='c'\ncidr='10.0.0.0/8'\nhost='192.0.2.9'\n",
    );
    for (address, dialled) in [
        ("10.0.0.7:80", "10.0.0.7:2 by b"),
        ("10.1.0.7:80", "192.0.2.9:80 by c"),
        ("11.0.0.7:80", "11.0.0.7:1 by dev.toml:1"),
        ("12.0.0.7:80", "12.0.0.7:80"),
    ] {
        let (found, _) = of(&rules, &instance("tcp", address), &Resolved::new());
        assert_eq!(all(&found), [dialled]);
    }
}

#[test]
fn a_name_is_resolved_only_where_a_rule_must_know_its_address() {
    let by_cidr = "[[rewrite]]\nname='cidr'\ncidr='10.0.0.0/8'\nhost='192.0.2.9'\n";
    let by_name = "[[rewrite]]\nname='name'\naddress='item:80'\nhost='192.0.2.8'\n";
    let port = "[[rewrite]]\nname='port'\naddress='item:80'\nport=1\n";
    let both = format!("{by_cidr}{by_name}");
    let two: &[&str] = &["10.0.0.1", "11.0.0.1"];
    type Known<'a> = &'a [(&'a str, &'a [&'a str])];
    let cases: [(&str, Known<'_>, &[&str], bool); 10] = [
        (by_cidr, &[], &["pending"], true),
        (
            by_cidr,
            &[("item", two)],
            &["192.0.2.9:80 by cidr", "11.0.0.1:80"],
            true,
        ),
        (by_cidr, &[("item", &[])], &["R17"], true),
        (by_name, &[], &["192.0.2.8:80 by name"], false),
        (port, &[], &["pending"], true),
        (
            port,
            &[("item", two)],
            &["10.0.0.1:1 by port", "11.0.0.1:1 by port"],
            true,
        ),
        (&both, &[], &["pending"], true),
        (
            &both,
            &[("item", two)],
            &["192.0.2.9:80 by cidr", "192.0.2.8:80 by name"],
            true,
        ),
        (&both, &[("item", &[])], &["192.0.2.8:80 by name"], true),
        ("", &[("item", two)], &["10.0.0.1:80", "11.0.0.1:80"], true),
    ];
    for (text, known, dialled, resolved) in cases {
        let (found, wanted) = of(&rules(text), &instance("tcp", "item:80"), &names(known));
        assert_eq!(all(&found), dialled, "{text}");
        assert_eq!(wanted.contains("item"), resolved, "{text}");
    }
}

#[test]
fn a_new_host_that_is_a_name_is_resolved_into_one_candidate_per_address() {
    let rules = rules(&format!("{A}cidr='0.0.0.0/0'\nhost='gw.example'"));
    let item = instance("tcp", "10.0.0.7:80");
    let (found, wanted) = of(&rules, &item, &Resolved::new());
    assert_eq!(all(&found), ["pending by a"]);
    assert!(wanted.contains("gw.example") && found[0].codes.is_empty());
    let ips: &[&str] = &["192.0.2.1", "169.254.169.254"];
    let (found, _) = of(&rules, &item, &names(&[("gw.example", ips)]));
    assert_eq!(all(&found), ["192.0.2.1:80 by a", "R14 by a"]);
    assert!(
        found[1]
            .why
            .contains("rewrite \"a\", dev.toml:1 leads there"),
        "{}",
        found[1].why
    );
    let (found, _) = of(&rules, &item, &names(&[("gw.example", &[])]));
    assert_eq!(all(&found), ["R17 by a"]);
    assert!(
        found[0].why.contains("gw.example does not resolve"),
        "{}",
        found[0].why
    );
    // A registered name that resolves into the network leads on to the new one.
    let item = instance("tcp", "item:80");
    let both: &[(&str, &[&str])] = &[
        ("item", &["10.0.0.1", "10.0.0.2"]),
        ("gw.example", &["192.0.2.1"]),
    ];
    let (found, wanted) = of(&rules, &item, &names(both));
    assert_eq!(all(&found), ["192.0.2.1:80 by a"; 2]);
    assert_eq!(wanted.len(), 2);
    let registered: Vec<_> = found.iter().filter_map(|it| it.registered).collect();
    let expected: [SocketAddr; 2] = ["10.0.0.1:80", "10.0.0.2:80"].map(|it| it.parse().unwrap());
    assert_eq!(registered, expected);
}

#[test]
fn the_class_of_what_is_dialled_counts_and_the_registered_one_stays_beside_it() {
    let cases = [
        (
            "0.0.0.0:80",
            "203.0.113.7",
            Class::Unspecified,
            Class::Public,
            None,
        ),
        (
            "127.0.0.1:80",
            "10.0.0.1",
            Class::Loopback,
            Class::Private,
            None,
        ),
        // What stands in the config is meant.
        (
            "10.0.0.1:80",
            "127.0.0.1",
            Class::Private,
            Class::Loopback,
            None,
        ),
        (
            "10.0.0.1:80",
            "169.254.7.7",
            Class::Private,
            Class::LinkLocal,
            None,
        ),
        (
            "fd77::1:80",
            "172.17.0.2",
            Class::Malformed,
            Class::ContainerNetwork,
            Some(Code::R04),
        ),
        (
            "10.0.0.1:18890",
            "127.0.0.1",
            Class::Private,
            Class::OwnListener,
            Some(Code::R16),
        ),
    ];
    for (address, to, class, dialled, code) in cases {
        let rules = rules(&format!("{A}service='*'\nhost='{to}'"));
        let (found, _) = of(&rules, &instance("tcp", address), &Resolved::new());
        let [it] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (it.class, it.dialled_class()),
            (class, dialled),
            "{address}"
        );
        assert_eq!(it.codes.first().copied(), code, "{address}");
        assert_eq!(
            it.why.contains("rewrite \"a\", dev.toml:1 leads there"),
            code.is_some()
        );
        assert_eq!(it.is_good(), dialled.dialable() && !dialled.suspicious());
    }
}

#[test]
fn the_preview_says_what_is_known_without_resolving() {
    let rules = rules(
        "[[rewrite]]\nname='office'\ncidr='10.0.0.0/8'\nhost='203.0.113.7'\nport=30080\n\
         [[rewrite]]\ntag={env='x'}\nhost='gw.example'\n",
    );
    let endpoint = |address: &str, env: &str| StaticEndpoint {
        address: address.to_owned(),
        weight: 10,
        tags: BTreeMap::from([("env".to_owned(), env.to_owned())]),
    };
    let endpoints = [
        endpoint("10.0.0.7:8888", "x"),
        endpoint("11.0.0.7:8888", "x"),
        endpoint("11.0.0.8:8888", "y"),
        endpoint("item:8888", "x"),
    ];
    assert_eq!(
        preview(&rules, "any", &endpoints),
        [
            "10.0.0.7:8888 → 203.0.113.7:30080 (rewrite \"office\", dev.toml:1)",
            "11.0.0.7:8888 → gw.example:8888 (rewrite dev.toml:6)",
        ]
    );
}
