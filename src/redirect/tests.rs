#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::time::Duration;

use super::iptables::Family;
use super::{BadRules, Exclude, Net, Own, Ports, Rules, Run, Step, Wanted, iptables, nft, run};

fn ports(text: &str) -> Ports {
    text.parse().unwrap()
}

fn wanted(caught: &str) -> Wanted {
    Wanted {
        own: Own {
            uid: Some(1337),
            ..Own::default()
        },
        ports: ports(caught),
        to: 15001,
        exclude: Vec::new(),
        etcd: Ports::from_iter([2379, 2380]),
        here: Ports::from_iter([9901]),
        loopback: false,
        ipv4_only: false,
    }
}

fn rules(wanted: Wanted) -> Rules {
    Rules::new(wanted).unwrap()
}

fn shown(steps: &[Step]) -> String {
    steps.iter().map(Step::to_string).collect()
}

const BOTH: [Family; 2] = [Family::V4, Family::V6];

#[test]
fn ports_are_read_and_shown_as_few_ranges() {
    let read = ports("9000-9100, 8888,9101,9050-9060,1-2");
    assert_eq!(read.show("-", ","), "1-2,8888,9000-9101");
    let rest = Ports::all().minus(&read);
    assert_eq!(rest.show(":", " "), "3:8887 8889:8999 9102:65535");
    assert!(read.minus(&Ports::all()).is_empty());
    assert_eq!(Ports::all().show("-", ","), "1-65535");
}

#[test]
fn a_piece_that_is_no_port_is_named() {
    for piece in [
        "",
        "0",
        "65536",
        "9x",
        "-5",
        "+5",
        "9-8",
        "1-",
        "1-2-3",
        "0-5",
        "9000:9100",
    ] {
        let error = format!("8888,{piece}").parse::<Ports>().unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("`{piece}` is no port: ")),
            "{said}"
        );
    }
}

#[test]
fn a_network_is_read_with_its_host_bits_off() {
    for (text, net) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("1.2.3.4/0", "0.0.0.0/0"),
        ("fd00:1::5/16", "fd00::/16"),
        ("::1", "::1/128"),
        ("ffff::/0", "::/0"),
    ] {
        assert_eq!(text.parse::<Net>().unwrap().to_string(), net);
    }
    for text in [
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0/8",
        "1.2.3.4/",
        "/8",
        "a.b",
    ] {
        let said = text.parse::<Exclude>().unwrap_err().to_string();
        assert!(
            said.starts_with(&format!("`{text}` is no network")),
            "{said}"
        );
    }
    assert_eq!("22,25".parse(), Ok(Exclude::Ports(ports("22,25"))));
}

#[test]
fn without_a_way_to_know_its_own_connections_there_are_no_rules() {
    let mut nobody = wanted("8888");
    nobody.own = Own::default();
    assert_eq!(Rules::new(nobody).unwrap_err(), BadRules::NobodyIsOwn);
}

#[test]
fn to_ask_for_nothing_but_what_is_never_caught_is_an_error() {
    let said = Rules::new(wanted("2379,15001")).unwrap_err().to_string();
    assert!(
        said.contains("--ports 2379,15001 all are excluded"),
        "{said}"
    );
}

const V4: &str = "iptables-restore -w --noflush <<'END'
*nat
:TIDEGATE - [0:0]
-A TIDEGATE -m owner --uid-owner 1337 -j RETURN
-A TIDEGATE -m owner --gid-owner 7 -j RETURN
-A TIDEGATE -m mark --mark 0x2a -j RETURN
-A TIDEGATE -d 10.0.0.0/8 -j RETURN
-A TIDEGATE -d 127.0.0.0/8 -j RETURN
-A TIDEGATE -p tcp --syn -m multiport --dports 8888,9000:9009,9011:9100 -j REDIRECT --to-ports 15001
COMMIT
END
iptables -w -t nat -C OUTPUT -p tcp -j TIDEGATE 2>/dev/null || iptables -w -t nat -A OUTPUT -p tcp -j TIDEGATE
";

fn much() -> Wanted {
    let mut wanted = wanted("8888,9000-9100");
    wanted.own.gid = Some(7);
    wanted.own.mark = NonZeroU32::new(42);
    wanted.exclude = ["10.0.0.0/8", "fd00::/8", "9010"]
        .map(|it| it.parse().unwrap())
        .into();
    wanted
}

#[test]
fn iptables_exchanges_the_chain_and_then_jumps_to_it_once() {
    let rules = rules(much());
    assert_eq!(shown(&iptables::apply(&rules, &[Family::V4])), V4);
    let both = shown(&iptables::apply(&rules, &BOTH));
    let lines: Vec<_> = both.lines().collect();
    assert!(
        lines.contains(&"-A TIDEGATE -d ::1/128 -j RETURN"),
        "{both}"
    );
    assert!(
        lines.contains(&"-A TIDEGATE -d fd00::/8 -j RETURN"),
        "{both}"
    );
    // Both chains stand before either is used.
    let first_jump = lines.iter().position(|it| it.contains(" -C OUTPUT "));
    let last_chain = lines.iter().rposition(|it| *it == "COMMIT");
    assert!(last_chain < first_jump, "{both}");
}

#[test]
fn a_rule_of_iptables_names_at_most_fifteen_ports() {
    let odd: Vec<_> = (0..20).map(|it| (9001 + 2 * it).to_string()).collect();
    let rules = rules(wanted(&format!("{},100-200", odd.join(","))));
    let text = shown(&iptables::apply(&rules, &[Family::V4]));
    let slots: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once("--dports ")?.1.split(' ').next())
        .map(|list| list.split([',', ':']).count())
        .collect();
    assert_eq!(slots, [15, 7], "{text}");
}

#[test]
fn where_port_80_is_redirected_metadata_addresses_pass() {
    for (ports, pass) in [("8888", false), ("80", true), ("1-65535", true)] {
        let text = shown(&iptables::apply(&rules(wanted(ports)), &BOTH));
        for metadata in ["169.254.169.254/32", "fd00:ec2::254/128"] {
            let passes = text.contains(&format!("-A TIDEGATE -d {metadata} -j RETURN"));
            assert_eq!(passes, pass, "{ports}: {text}");
        }
    }
}

#[test]
fn with_loopback_tidegates_own_ports_there_pass_still() {
    let mut wanted = wanted("8888,9901");
    wanted.loopback = true;
    let rules_ = rules(wanted.clone());
    let text = shown(&iptables::apply(&rules_, &[Family::V4]));
    let own = "-A TIDEGATE -d 127.0.0.0/8 -p tcp -m multiport --dports 9901 -j RETURN\n";
    assert!(text.contains(own), "{text}");
    let script = nft::script(&rules_, nft::Family::Inet);
    assert!(
        script.contains("ip6 daddr ::1 tcp dport { 9901 } return\n"),
        "{script}"
    );
    // None of them is caught anyway: nothing needs to pass.
    wanted.ports = ports("8888");
    let rules = rules(wanted);
    let text =
        shown(&iptables::apply(&rules, &[Family::V4])) + &nft::script(&rules, nft::Family::Inet);
    assert!(!text.contains("127.0.0.0/8"), "{text}");
}

const INET: &str = "add table inet tidegate
delete table inet tidegate
table inet tidegate {
    chain tidegate {
        meta skuid 1337 return
        meta skgid 7 return
        meta mark 0x2a return
        ip daddr 10.0.0.0/8 return
        ip6 daddr fd00::/8 return
        ip daddr 127.0.0.0/8 return
        ip6 daddr ::1 return
        tcp dport { 8888, 9000-9009, 9011-9100 } tcp flags & (fin | syn | rst | ack) == syn redirect to :15001
    }
    chain output {
        type nat hook output priority -100; policy accept;
        meta l4proto tcp jump tidegate
    }
}
";

#[test]
fn nft_exchanges_its_table_in_one_script() {
    assert_eq!(nft::script(&rules(much()), nft::Family::Inet), INET);
    let ip = nft::script(&rules(much()), nft::Family::Ip);
    assert!(
        ip.starts_with("add table ip tidegate\n") && !ip.contains("ip6"),
        "{ip}"
    );
}

#[test]
fn ipv4_only_leaves_ipv6_alone_and_takes_away_what_was_there() {
    let mut wanted = much();
    wanted.ipv4_only = true;
    let rules = rules(wanted);
    let text = shown(&iptables::apply(&rules, &BOTH));
    assert!(text.starts_with(V4), "{text}");
    assert!(
        !text.contains("ip6tables-restore") && text.contains("ip6tables -w -t nat -X"),
        "{text}"
    );
    let script = nft::script(&rules, nft::Family::Inet);
    assert!(
        script.contains("meta nfproto ipv4 ") && !script.contains("ip6"),
        "{script}"
    );
}

#[test]
fn removal_takes_the_jumps_out_first_and_the_chains_last() {
    let drain = Some((15001, Duration::from_secs(30)));
    assert_eq!(
        shown(&iptables::remove(&[Family::V4], drain)),
        "if iptables -w -t nat -S TIDEGATE >/dev/null 2>&1; then
    while iptables -w -t nat -D OUTPUT -p tcp -j TIDEGATE 2>/dev/null; do :; done
fi
# What follows resets the redirected connections that still live: those at port 15001.
if iptables -w -t nat -S TIDEGATE >/dev/null 2>&1; then
    iptables -w -t nat -F TIDEGATE
    iptables -w -t nat -X TIDEGATE
fi
"
    );
    assert_eq!(
        shown(&nft::remove(nft::Family::Inet, drain)),
        "if nft list table inet tidegate >/dev/null 2>&1; then
nft -f - <<'END'
add chain inet tidegate output
flush chain inet tidegate output
END
    # What follows resets the redirected connections that still live: those at port 15001.
    nft delete table inet tidegate
fi
"
    );
}

#[test]
fn a_tool_that_is_missing_is_named_with_the_package_that_has_it() {
    let missing = Run::new("no-such-firewall", "");
    let said = run(&[Step::Run(missing)]).unwrap_err().to_string();
    let expected = "there is no `no-such-firewall` here: on Debian, apt-get install --no-install-recommends iptables";
    assert_eq!(said, expected);
}

#[test]
fn the_document_shows_the_rules_as_they_are() {
    let text = include_str!("../../docs/redirect.md");
    let steps = iptables::apply(&rules(wanted("8888,9000-9100")), &[Family::V4]);
    for step in steps {
        assert!(text.contains(&step.to_string()), "{step}");
    }
}
