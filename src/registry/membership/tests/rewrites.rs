//! Members whose addresses a rule changed.

use super::*;
use crate::config::Config;

fn policy(suspicious: Suspicious, rules: &str) -> MemberPolicy {
    let rest = "[[listener]]\nname='l'\nlisten='127.0.0.1:18890'\n";
    let config = Config::from_str("dev.toml", &format!("{rules}\n{rest}")).unwrap();
    MemberPolicy {
        suspicious,
        empty_grace: GRACE,
        rewrites: Arc::new(Rewrites::new(&config.rewrites)),
    }
}

fn bench(suspicious: Suspicious, rules: &str) -> Bench {
    let mut bench = Bench::new(suspicious);
    bench
        .membership
        .set_policy(policy(suspicious, rules), bench.now);
    bench
}

impl Bench {
    /// A reload, which reads what is registered again.
    fn reload(&mut self, suspicious: Suspicious, rules: &str, addresses: &[&str]) -> Members {
        self.membership
            .set_policy(policy(suspicious, rules), self.now);
        self.read(addresses)
    }
}

const WILDCARD: &str = "[[rewrite]]\nname='wildcard'\ncidr='0.0.0.0'\nhost='10.0.0.9'\n";
const LOCAL: &str = "[[rewrite]]\nname='local'\ncidr='10.0.0.0/8'\nhost='127.0.0.1'\n";

#[tokio::test(start_paused = true)]
async fn an_address_that_names_no_host_is_rescued_by_a_rule_that_sets_one() {
    let mut bench = bench(Suspicious::Avoid, WILDCARD);
    let members = bench.read(&["0.0.0.0:1", ":2", "11.0.0.1:3"]);
    assert_eq!(list(&members), ["10.0.0.9:1", "10.0.0.9:2", "11.0.0.1:3"]);
    let shown = &members.shown[0];
    assert_eq!(
        (shown.class, shown.dialled_class()),
        (Class::Unspecified, Class::Private)
    );
    assert_eq!((shown.code, shown.why.as_str()), (None, ""));
    assert_eq!(
        shown.before_and_after(),
        "0.0.0.0:1 → 10.0.0.9:1 (rewrite \"wildcard\", dev.toml:1)"
    );
    assert_eq!(shown.registered, Some("0.0.0.0:1".parse().unwrap()));
    assert_eq!(shown.socket(), None, "nobody can be there");
    assert_eq!(
        members.shown[2].socket(),
        Some("11.0.0.1:3".parse().unwrap())
    );
    assert_eq!(members.shown[2].before_and_after(), "11.0.0.1:3");
    assert_eq!(members.list[0].instance.address, "0.0.0.0:1");
    assert_eq!(members.list[0].class, Class::Unspecified);
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_leads_to_counts_for_suspicious_and_not_what_is_registered() {
    // To loopback: avoided beside others, used alone.
    let mut to_loopback = bench(Suspicious::Avoid, LOCAL);
    let members = to_loopback.read(&["10.0.0.1:1", "11.0.0.1:1"]);
    assert_eq!(list(&members), ["11.0.0.1:1"]);
    assert!(why(&members, "10.0.0.1:1").contains("avoided"));
    let mut alone = bench(Suspicious::Avoid, LOCAL);
    assert_eq!(list(&alone.read(&["10.0.0.1:1"])), ["127.0.0.1:1"]);
    let mut refused = bench(Suspicious::Refuse, LOCAL);
    assert!(refused.read(&["10.0.0.1:1"]).list.is_empty());
    // From loopback: like any other.
    let rule = "[[rewrite]]\ncidr='127.0.0.0/8'\nhost='10.0.0.9'\n";
    let mut from_loopback = bench(Suspicious::Refuse, rule);
    assert_eq!(list(&from_loopback.read(&["127.0.0.1:1"])), ["10.0.0.9:1"]);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_lead_to_the_same_one_are_one_member_and_no_finding() {
    let rule = "[[rewrite]]\ncidr='10.0.0.0/8'\nhost='203.0.113.7'\nport=1\n";
    let mut bench = bench(Suspicious::Avoid, rule);
    let members = bench.read(&["10.0.0.1:1", "10.0.0.2:2", "203.0.113.7:1"]);
    assert_eq!(list(&members), ["203.0.113.7:1"]);
    assert!(members.shown.iter().all(|shown| shown.code.is_none()));
    assert!(why(&members, "10.0.0.2:2").contains("another entry leads to the same address"));
    // A host name with several addresses in the network is one entry.
    let ips = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
    bench
        .names
        .insert("item".to_owned(), Found::Addresses(ips.to_vec()));
    let members = bench.read(&["item:80"]);
    assert_eq!(list(&members), ["203.0.113.7:1"]);
    assert!(
        members.shown[1]
            .why
            .contains("another address of this entry")
    );
}

#[tokio::test(start_paused = true)]
async fn other_rules_hold_at_once_and_what_they_left_is_no_loss() {
    let mut bench = bench(Suspicious::Avoid, "");
    assert_eq!(list(&bench.read(&["10.0.0.1:1"])), ["10.0.0.1:1"]);
    // To the own loopback, which would be avoided for a while had the registry lost the others.
    let members = bench
        .at(1)
        .reload(Suspicious::Avoid, LOCAL, &["10.0.0.1:1"]);
    assert_eq!(list(&members), ["127.0.0.1:1"]);
    assert_eq!(bench.next_change(), None);
    let members = bench.at(2).reload(Suspicious::Avoid, "", &["10.0.0.1:1"]);
    assert_eq!(list(&members), ["10.0.0.1:1"]);
    // What is lost after that is the last resort; what another rule led to is not.
    assert_eq!(list(&bench.at(3).read(&[])), ["10.0.0.1:1?"]);
    assert!(bench.at(18).tick().list.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_last_resort_outlives_a_reload_and_shows_its_rule() {
    let mut bench = bench(Suspicious::Avoid, WILDCARD);
    bench.read(&[":1"]);
    bench.at(1).read(&[]);
    let members = bench.at(2).reload(Suspicious::Avoid, LOCAL, &[]);
    assert_eq!(list(&members), ["10.0.0.9:1?"]);
    assert!(members.shown[0].before_and_after().contains("wildcard"));
    assert_eq!(members.shown[0].class, Class::Unspecified);
    assert_eq!(bench.next_change(), Some(16));
}

#[tokio::test(start_paused = true)]
async fn the_remedy_for_what_a_rule_leads_to_is_the_rule() {
    let rule = "[[rewrite]]\nname='r'\nservice='*'\nhost='gw.example'\n";
    let mut bench = bench(Suspicious::Avoid, rule);
    let ips = vec!["169.254.169.254".parse().unwrap()];
    bench
        .names
        .insert("gw.example".to_owned(), Found::Addresses(ips));
    let members = bench.read(&["10.0.0.1:1"]);
    assert!(members.list.is_empty());
    let shown = &members.shown[0];
    assert_eq!(shown.code, Some(Code::R14));
    assert!(
        shown
            .remedy(Code::R14)
            .starts_with("let rewrite \"r\", dev.toml:1 lead to")
    );
    assert!(shown.remedy(Code::R08).contains("in both places"));
}
