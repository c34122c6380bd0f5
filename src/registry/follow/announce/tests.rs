#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::log::captured::captured;
use crate::registry::{DialAddr, Instance, Member, Naming};

fn shown(address: &str, code: Option<Code>, used: bool) -> Shown {
    let instance = Instance {
        address: address.to_owned(),
        network: "tcp".to_owned(),
        key: format!("p/item/{address}"),
        weight: 10,
        tags: BTreeMap::new(),
        revision: 1,
        notes: Vec::new(),
    };
    Shown {
        instance: Arc::new(instance),
        class: Class::Loopback,
        registered: address.parse().ok(),
        rewritten: None,
        code,
        more: vec![Code::R10],
        dial: address.parse().ok().map(DialAddr::Tcp),
        naming: Naming::Settled,
        used,
        why: "it is loopback".to_owned(),
    }
}

fn members(shown: Vec<Shown>) -> Members {
    let used = shown.iter().filter(|s| s.used).map(|s| Member {
        codes: Vec::new(),
        instance: s.instance.clone(),
        dial: s.dial.clone().unwrap(),
        class: s.class,
        registered: s.registered,
        rewritten: s.rewritten.clone(),
        weight: 10,
        last_resort: false,
    });
    Members {
        list: used.collect(),
        shown,
        known: true,
        denied: None,
        unreadable: 0,
    }
}

/// The lines that each of these sets adds to the log.
fn lines(sets: &[Members]) -> Vec<Vec<String>> {
    let mut announcer = Announcer::new("item".into());
    let said = sets.iter().map(|set| captured(|| announcer.announce(set)));
    said.map(|it| it.lines().map(str::to_owned).collect())
        .collect()
}

#[test]
fn an_address_is_said_once_with_all_its_findings_and_again_when_its_use_changes() {
    let (used, not) = (
        shown("127.0.0.1:1", Some(Code::R02), true),
        shown("127.0.0.1:1", Some(Code::R02), false),
    );
    let said = lines(&[
        members(vec![used.clone()]),
        members(vec![used]),
        members(vec![not]),
    ]);
    assert_eq!(said[0].len(), 1);
    assert!(
        said[0][0].contains("registered, used") && said[0][0].contains("also R10"),
        "{said:?}"
    );
    assert!(said[1].is_empty(), "{said:?}");
    assert!(
        said[2][0].contains("WARN") && said[2][0].contains("not used any more"),
        "{said:?}"
    );
}

#[test]
fn an_address_that_goes_is_said_and_so_is_a_service_with_nothing_left() {
    let said = lines(&[
        members(vec![shown("127.0.0.1:1", None, true)]),
        members(vec![]),
    ]);
    assert!(
        said[1][0].contains("no longer registered") && said[1][0].contains("127.0.0.1:1"),
        "{said:?}"
    );
    assert!(
        said[1][1].contains("WARN")
            && said[1][1].contains("nothing is registered any more: its instances are gone")
            && said[1][1].contains("code=R13"),
        "{said:?}"
    );
}

#[test]
fn a_service_with_nothing_registered_is_told_once_with_what_helps_and_again_when_it_becomes_so() {
    let unreadable = Members {
        unreadable: 1,
        ..members(vec![])
    };
    let unusable = shown("127.0.0.1:1", Some(Code::R02), false);
    let said = lines(&[
        Members::default(),
        unreadable,
        members(vec![]),
        members(vec![]),
        members(vec![unusable]),
        members(vec![]),
    ]);
    let none: [&str; 0] = [];
    assert_eq!(said[0], none);
    assert_eq!(said[1], none);
    assert_eq!(said[2].len(), 1);
    for part in [
        "WARN",
        "nothing is registered: the wrong prefix, no such service, or its instances are gone",
        "correct the name",
        "see tidegate doctor item",
        "code=R13",
    ] {
        assert!(said[2][0].contains(part), "{said:?}");
    }
    assert_eq!(said[3], none);
    assert!(
        said[5].iter().any(|line| line.contains("any more")),
        "{said:?}"
    );
}

#[test]
fn what_a_rule_makes_of_an_address_is_said_with_it_and_again_when_another_does() {
    let rewritten = |to: &str, used: bool| {
        let mut shown = shown("10.0.0.7:1", (!used).then_some(Code::R16), used);
        shown.rewritten = Some(Rewritten {
            to: to.into(),
            class: Class::OwnListener,
            rule: "rewrite \"office\", dev.toml:4".into(),
            label: "office".into(),
        });
        shown
    };
    let (first, second) = (
        rewritten("192.0.2.9:1", true),
        rewritten("192.0.2.8:1", false),
    );
    let said = lines(&[
        members(vec![first.clone()]),
        members(vec![first]),
        members(vec![second]),
    ]);
    assert!(
        said[0][0]
            .contains("registered, rewritten to 192.0.2.9:1 (rewrite \"office\", dev.toml:4)"),
        "{said:?}"
    );
    assert!(said[1].is_empty(), "{said:?}");
    let last = &said[2][0];
    for part in [
        "not used any more, rewritten to 192.0.2.8:1",
        "R16",
        "let rewrite \"office\", dev.toml:4 lead to",
    ] {
        assert!(last.contains(part), "{part}: {last}");
    }
}

#[test]
fn what_is_kept_as_last_resort_is_said_at_once() {
    let mut lost = shown("127.0.0.1:1", None, true);
    let before = members(vec![lost.clone()]);
    lost.why = "registered no more; kept as last resort for 15s".to_owned();
    let mut after = members(vec![lost]);
    let kept = after.list.iter().map(|member| Member {
        last_resort: true,
        ..member.clone()
    });
    after.list = kept.collect();
    let said = lines(&[before, after.clone(), after]);
    assert_eq!(said[1].len(), 1, "{said:?}");
    assert!(
        said[1][0].contains("WARN")
            && said[1][0].contains("registered no more; kept as last resort"),
        "{said:?}"
    );
    assert!(said[2].is_empty(), "{said:?}");
}

#[test]
fn an_address_forges_no_line_and_fills_none() {
    let long = format!("10.0.0.1:1\n2026 WARN forged {}", "a".repeat(5_000));
    let said = lines(&[
        members(vec![shown(&long, Some(Code::R07), false)]),
        members(vec![]),
    ]);
    for lines in &said {
        for line in lines {
            assert!(!line.starts_with("2026 WARN forged"), "{line}");
            assert!(line.len() < 1_200, "{}: {line}", line.len());
        }
    }
}

#[test]
fn a_finding_without_a_reason_of_its_own_says_its_cause() {
    let mut odd = shown("10.0.0.1:1", Some(Code::R08), true);
    odd.why = String::new();
    let said = lines(&[members(vec![odd])]);
    let cause = format!("registered, used: {}, also", Code::R08.cause());
    assert!(said[0][0].contains(&cause), "{said:?}");
}
