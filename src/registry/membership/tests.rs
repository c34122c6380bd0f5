#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::registry::{Class, Code, Found, Instance, Naming};

mod rewrites;

const GRACE: Duration = Duration::from_secs(15);

fn instance(address: &str, revision: u64) -> Instance {
    Instance {
        address: address.to_owned(),
        network: "tcp".to_owned(),
        key: format!("p/item/{address}@{revision}"),
        weight: 10,
        tags: BTreeMap::new(),
        revision,
        notes: Vec::new(),
    }
}

fn set_of(instances: impl IntoIterator<Item = Instance>) -> ReadSet {
    let instances = instances.into_iter().map(Arc::new).collect();
    ReadSet {
        instances,
        skipped: Vec::new(),
        at: Instant::now(),
        stale: false,
    }
}

/// One service, a clock, and sets given by their addresses.
struct Bench {
    membership: Membership,
    names: Resolved,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(suspicious: Suspicious) -> Self {
        let now = Instant::now();
        let membership = Membership::new(MemberPolicy {
            suspicious,
            empty_grace: GRACE,
            ..MemberPolicy::default()
        });
        Bench {
            membership,
            names: Resolved::new(),
            start: now,
            now,
        }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.start + Duration::from_secs(seconds);
        self
    }

    fn read(&mut self, addresses: &[&str]) -> Members {
        let set = set_of(addresses.iter().map(|address| instance(address, 1)));
        self.read_set(&set)
    }

    fn read_set(&mut self, set: &ReadSet) -> Members {
        self.membership
            .read(set, &Host::default(), &self.names, self.now)
    }

    fn tick(&mut self) -> Members {
        self.membership.tick(self.now)
    }

    fn next_change(&self) -> Option<u64> {
        self.membership
            .next_change()
            .map(|at| (at - self.start).as_secs())
    }
}

/// The members, those of last resort with a `?`.
fn list(members: &Members) -> Vec<String> {
    let text = |member: &Member| {
        format!(
            "{}{}",
            member.dial,
            if member.last_resort { "?" } else { "" }
        )
    };
    members.list.iter().map(text).collect()
}

fn why(members: &Members, address: &str) -> String {
    members
        .shown
        .iter()
        .find(|shown| shown.instance.address == address)
        .unwrap()
        .why
        .clone()
}

fn code(members: &Members, address: &str) -> Option<Code> {
    members
        .shown
        .iter()
        .find(|shown| shown.instance.address == address)
        .unwrap()
        .code
}

#[tokio::test(start_paused = true)]
async fn a_first_set_of_suspicious_addresses_is_served_at_once() {
    let mut bench = Bench::new(Suspicious::Avoid);
    let members = bench.read(&["127.0.0.1:1", "169.254.1.1:1"]);
    assert_eq!(list(&members), ["127.0.0.1:1", "169.254.1.1:1"]);
    assert!(members.known);
    assert_eq!(bench.next_change(), None);
}

#[tokio::test(start_paused = true)]
async fn a_loopback_address_in_the_config_is_meant_and_no_finding() {
    for (key, found) in [("config", None), ("p/item/127.0.0.1:1", Some(Code::R02))] {
        let mut bench = Bench::new(Suspicious::Allow);
        let registered = Instance {
            key: key.to_owned(),
            ..instance("127.0.0.1:1", 1)
        };
        let members = bench.read_set(&set_of([registered]));
        assert_eq!(code(&members, "127.0.0.1:1"), found, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn suspicious_addresses_are_avoided_beside_others_and_for_a_grace_after() {
    let mut bench = Bench::new(Suspicious::Avoid);
    let members = bench.read(&["127.0.0.1:1", "10.0.0.1:1"]);
    assert_eq!(list(&members), ["10.0.0.1:1"]);
    assert!(why(&members, "127.0.0.1:1").contains("avoided"));
    let members = bench.at(100).read(&["127.0.0.1:1"]);
    assert_eq!(
        list(&members),
        ["10.0.0.1:1?"],
        "what was lost is last resort, the own loopback is not"
    );
    assert_eq!(bench.next_change(), Some(115));
    assert_eq!(list(&bench.at(114).tick()), ["10.0.0.1:1?"]);
    assert_eq!(list(&bench.at(115).tick()), ["127.0.0.1:1"]);
    assert_eq!(bench.next_change(), None);
}

#[tokio::test(start_paused = true)]
async fn a_grace_begins_when_the_last_good_address_goes_not_when_it_came() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.read(&["127.0.0.1:1", "10.0.0.1:1", "10.0.0.2:1"]);
    bench.at(50).read(&["127.0.0.1:1", "10.0.0.2:1"]);
    bench.at(60).read(&["127.0.0.1:1"]);
    assert_eq!(
        list(&bench.at(74).read(&["127.0.0.1:1"])),
        ["10.0.0.1:1?", "10.0.0.2:1?"]
    );
    assert_eq!(list(&bench.at(75).tick()), ["127.0.0.1:1"]);
}

#[tokio::test(start_paused = true)]
async fn allow_and_refuse_do_as_they_say() {
    let mut bench = Bench::new(Suspicious::Allow);
    assert_eq!(
        list(&bench.read(&["127.0.0.1:1", "10.0.0.1:1"])),
        ["127.0.0.1:1", "10.0.0.1:1"]
    );
    let refuse = MemberPolicy {
        suspicious: Suspicious::Refuse,
        empty_grace: GRACE,
        ..MemberPolicy::default()
    };
    let members = bench.membership.set_policy(refuse, bench.now);
    assert_eq!(list(&members), ["10.0.0.1:1"]);
    let members = bench.read(&["127.0.0.1:1"]);
    assert_eq!(list(&members), ["10.0.0.1:1?"]);
    let members = bench.at(15).tick();
    assert!(members.list.is_empty(), "refused for ever");
    assert!(why(&members, "127.0.0.1:1").contains("refuse"));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_dialled_is_listed_and_does_not_count_as_something_else() {
    let never = [
        "0.0.0.0:1",
        "fd77::1:8888",
        "169.254.169.254:80",
        "/run/item.sock",
        "",
    ];
    let mut bench = Bench::new(Suspicious::Avoid);
    let mut addresses = never.to_vec();
    addresses.push("127.0.0.1:1");
    let members = bench.read(&addresses);
    assert_eq!(list(&members), ["127.0.0.1:1"]);
    let codes: Vec<_> = never
        .iter()
        .map(|address| code(&members, address))
        .collect();
    let expected = [Code::R01, Code::R07, Code::R14, Code::R19, Code::R07].map(Some);
    assert_eq!(codes, expected);
    assert!(
        members
            .shown
            .iter()
            .filter(|shown| !shown.used)
            .all(|shown| !shown.why.is_empty())
    );
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_unix_socket_is_a_member_once_it_was_seen_here_or_stands_in_the_config() {
    let host = Host::default();
    let mut membership = Membership::new(MemberPolicy::default());
    let socket = |address: &str, network: &str, key: &str| Instance {
        network: network.to_owned(),
        key: key.to_owned(),
        ..instance(address, 1)
    };
    let set = set_of([
        socket("/run/a.sock", "unix", "p/item/a"),
        socket("unix:/run/b.sock", "tcp", "p/item/b"),
        socket("unix:/run/c.sock", "tcp", crate::registry::fixed::KEY),
        socket("run/d.sock", "unix", "p/item/d"),
        instance("127.0.0.1:1", 1),
    ]);
    let mut read = |host: &Host| membership.read(&set, host, &Resolved::new(), Instant::now());
    let members = read(&host);
    assert_eq!(list(&members), ["unix:/run/c.sock"]);
    assert_eq!(code(&members, "/run/a.sock"), Some(Code::R19));
    assert_eq!(code(&members, "run/d.sock"), Some(Code::R07));

    host.found_socket(std::path::Path::new("/run/a.sock"));
    host.found_socket(std::path::Path::new("/run/b.sock"));
    let members = read(&host);
    assert_eq!(
        list(&members),
        ["unix:/run/a.sock", "unix:/run/b.sock", "unix:/run/c.sock"]
    );
    assert_eq!(code(&members, "/run/a.sock"), None);
}

#[tokio::test(start_paused = true)]
async fn our_own_listener_is_never_a_member() {
    let host = Host::new(
        Vec::new(),
        vec![DialAddr::Tcp("127.0.0.1:18890".parse().unwrap())],
    );
    let mut membership = Membership::new(MemberPolicy::default());
    let set = set_of([instance("127.0.0.1:18890", 1)]);
    let members = membership.read(&set, &host, &Resolved::new(), Instant::now());
    assert!(members.list.is_empty());
    assert_eq!(members.shown[0].code, Some(Code::R16));
}

#[tokio::test(start_paused = true)]
async fn a_removed_address_gets_no_call_while_another_is_there() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.read(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!(list(&bench.at(1).read(&["10.0.0.2:1"])), ["10.0.0.2:1"]);
    assert_eq!(bench.next_change(), None);
}

#[tokio::test(start_paused = true)]
async fn an_emptied_service_keeps_what_it_lost_within_the_grace_for_the_grace() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.read(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    bench.at(10).read(&["10.0.0.2:1", "10.0.0.3:1"]);
    bench.at(20).read(&["10.0.0.3:1"]);
    let members = bench.at(30).read(&[]);
    assert_eq!(
        list(&members),
        ["10.0.0.2:1?", "10.0.0.3:1?"],
        "the first went 20 s ago"
    );
    assert!(
        members
            .shown
            .iter()
            .all(|shown| shown.used && shown.why.contains("last resort"))
    );
    assert_eq!(bench.next_change(), Some(45));
    assert_eq!(
        list(&bench.at(44).read(&[])),
        ["10.0.0.2:1?", "10.0.0.3:1?"],
        "another empty read changes nothing"
    );
    assert!(bench.at(45).tick().list.is_empty());
    assert_eq!(bench.next_change(), None);
    assert!(
        bench.at(46).read(&[]).list.is_empty(),
        "and it does not begin anew"
    );
}

#[tokio::test(start_paused = true)]
async fn a_last_resort_ends_when_anything_is_registered() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.read(&["10.0.0.1:1", "10.0.0.2:1"]);
    bench.at(1).read(&[]);
    assert_eq!(list(&bench.at(2).read(&["10.0.0.1:1"])), ["10.0.0.1:1"]);
    assert_eq!(
        list(&bench.at(3).read(&[])),
        ["10.0.0.2:1?", "10.0.0.1:1?"],
        "both went within the grace"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_nothing_is_kept() {
    let now = Instant::now();
    let policy = MemberPolicy {
        suspicious: Suspicious::Avoid,
        empty_grace: Duration::ZERO,
        ..MemberPolicy::default()
    };
    let mut membership = Membership::new(policy);
    membership.read(
        &set_of([instance("10.0.0.1:1", 1)]),
        &Host::default(),
        &Resolved::new(),
        now,
    );
    let set = set_of([instance("127.0.0.1:1", 1)]);
    let members = membership.read(&set, &Host::default(), &Resolved::new(), now);
    assert_eq!(list(&members), ["127.0.0.1:1"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_under_several_keys_is_one_member_by_the_newest() {
    let mut newest = instance("10.0.0.1:1", 9);
    newest.weight = 70;
    let set = set_of([
        instance("10.0.0.1:1", 3),
        newest,
        instance("[::ffff:10.0.0.1]:1", 5),
    ]);
    let mut membership = Membership::new(MemberPolicy::default());
    let members = membership.read(&set, &Host::default(), &Resolved::new(), Instant::now());
    assert_eq!(members.list.len(), 1);
    assert_eq!(
        (members.list[0].weight, members.list[0].instance.revision),
        (70, 9)
    );
    let codes: Vec<_> = members.shown.iter().map(|shown| shown.code).collect();
    assert_eq!(codes, [Some(Code::R11), None, Some(Code::R11)]);
}

#[tokio::test(start_paused = true)]
async fn a_host_name_is_one_member_for_each_address() {
    let mut bench = Bench::new(Suspicious::Avoid);
    let members = bench.read(&["item:80"]);
    assert!(members.list.is_empty());
    assert_eq!(
        code(&members, "item:80"),
        None,
        "not looked up yet is no finding"
    );
    let ips = ["10.0.0.1", "10.0.0.2", "169.254.169.254"].map(|ip| ip.parse().unwrap());
    bench
        .names
        .insert("item".to_owned(), Found::Addresses(ips.to_vec()));
    let members = bench.read(&["item:80"]);
    assert_eq!(list(&members), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(
        members.shown.len(),
        3,
        "the metadata address is shown, never dialled"
    );
    bench
        .names
        .insert("item".to_owned(), Found::Failed("no such host".to_owned()));
    let members = bench.read(&["item:80"]);
    assert_eq!(code(&members, "item:80"), Some(Code::R17));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_resolver_gave_no_answer_for_is_not_accused_and_not_waited_for() {
    let mut bench = Bench::new(Suspicious::Avoid);
    let silent = Found::Unanswered("try again".to_owned());
    bench.names.insert("item".to_owned(), silent);
    let members = bench.read(&["item:80", "127.0.0.1:1"]);
    assert!(members.list.is_empty(), "the own loopback is no substitute");
    let item = &members.shown[0];
    assert_eq!((item.code, item.naming), (None, Naming::Unanswered));
    assert!(!item.is_pending());
    assert!(
        item.why.contains("does not answer (try again)"),
        "{}",
        item.why
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_is_no_reason_to_call_the_own_loopback() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench
        .names
        .insert("item".to_owned(), Found::Failed("no such host".to_owned()));
    assert!(bench.read(&["item:80", "127.0.0.1:1"]).list.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_for_loopback_is_a_finding_of_its_own_and_suspicious() {
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.names.insert(
        "localhost".to_owned(),
        Found::Addresses(vec!["127.0.0.1".parse().unwrap()]),
    );
    let members = bench.read(&["localhost:80", "10.0.0.1:80"]);
    assert_eq!(list(&members), ["10.0.0.1:80"]);
    assert_eq!(code(&members, "localhost:80"), Some(Code::R17));
}

#[tokio::test(start_paused = true)]
async fn a_name_for_loopback_alone_is_used_as_soon_as_it_is_resolved() {
    let mut bench = Bench::new(Suspicious::Avoid);
    assert!(bench.read(&["localhost:80"]).list.is_empty());
    let ips = vec!["127.0.0.1".parse().unwrap()];
    bench
        .names
        .insert("localhost".to_owned(), Found::Addresses(ips));
    assert_eq!(list(&bench.read(&["localhost:80"])), ["127.0.0.1:80"]);
    // Not where something else was there just before.
    let mut bench = Bench::new(Suspicious::Avoid);
    bench.read(&["10.0.0.1:80"]);
    bench.at(1).read(&["localhost:80"]);
    let ips = vec!["127.0.0.1".parse().unwrap()];
    bench
        .names
        .insert("localhost".to_owned(), Found::Addresses(ips));
    assert_eq!(list(&bench.at(2).read(&["localhost:80"])), ["10.0.0.1:80?"]);
    assert_eq!(list(&bench.at(16).tick()), ["127.0.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn another_network_is_named_and_a_note_is_shown_beside_the_class() {
    let mut udp = instance("10.0.0.1:53", 1);
    udp.network = "udp".to_owned();
    let mut noted = instance("127.0.0.1:1", 1);
    noted.notes = vec![Code::R08, Code::R10];
    let mut membership = Membership::new(MemberPolicy::default());
    let members = membership.read(
        &set_of([udp, noted]),
        &Host::default(),
        &Resolved::new(),
        Instant::now(),
    );
    assert_eq!(members.shown[0].code, Some(Code::R15));
    assert_eq!(members.shown[1].code, Some(Code::R02));
    assert_eq!(members.shown[1].more, [Code::R08, Code::R10]);
    assert_eq!(list(&members), ["127.0.0.1:1"]);
}
