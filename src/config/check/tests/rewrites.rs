//! `[[rewrite]]`: what is refused, and where; what can never match.

use super::{load, refused};
use crate::config::{NewHost, Rewrite};

fn rules(text: &str) -> Vec<Rewrite> {
    load(text).unwrap_or_else(|e| panic!("{e}")).rewrites
}

#[test]
fn a_rule_is_read_with_its_place() {
    let text = "[[rewrite]]\nname='office'\ncidr='172.17.0.0/16'\naddress='172.17.0.7:1'\n\
                service='shop.*'\ntag={env='test',idc='a'}\nhost='203.0.113.7'\nport=30080\n\
                [[rewrite]]\nservice='x'\nhost='gw.example'\n\
                [[rewrite]]\nservice='x-2'\nhost='::ffff:10.0.0.1'\n";
    let [first, second, third] = &rules(text)[..] else {
        panic!("three rules");
    };
    assert_eq!(first.to_string(), "rewrite \"office\", t:9");
    assert_eq!(&*first.label(), "office");
    assert_eq!(first.cidr.unwrap().to_string(), "172.17.0.0/16");
    assert_eq!(first.address.as_deref(), Some("172.17.0.7:1"));
    assert!(first.service.as_ref().unwrap().matches("shop.item"));
    assert_eq!(first.tag.len(), 2);
    assert_eq!(
        (first.host.as_ref().unwrap().to_string(), first.port),
        ("203.0.113.7".into(), Some(30080))
    );
    assert_eq!(
        (second.to_string(), &*second.label()),
        ("rewrite t:17".into(), "t:17")
    );
    assert_eq!(second.host, Some(NewHost::Name("gw.example".into())));
    assert_eq!(third.host.as_ref().unwrap().to_string(), "10.0.0.1");
}

#[test]
fn what_is_wrong_with_a_rule_is_refused_at_its_place() {
    // The line within the rule, the column, and what is said.
    let cases = [
        (
            "host='h'",
            1,
            1,
            "expected at least one of `cidr`, `address`, `service` and `tag`",
        ),
        (
            "tag={}\nhost='h'",
            1,
            1,
            "found none; for every address: cidr = \"0.0.0.0/0\"",
        ),
        (
            "cidr='10.0.0.0/8'",
            1,
            1,
            "expected `host`, `port` or both in [[rewrite]], found neither",
        ),
        (
            "cidr='172.17.5.0/16'\nhost='h'",
            2,
            6,
            "is 172.17.0.0/16 meant?; found \"172.17.5.0/16\"",
        ),
        (
            "cidr='10.0.0.0/33'\nhost='h'",
            2,
            6,
            "expected a network such as \"172.17.0.0/16\"",
        ),
        (
            "cidr=10\nhost='h'",
            2,
            6,
            "expected a network such as \"172.17.0.0/16\", found 10",
        ),
        (
            "service='a/b'\nhost='h'",
            2,
            9,
            "a pattern such as \"shop.*\"",
        ),
        (
            "service='*'\nhost='0.0.0.0'",
            3,
            6,
            "the unspecified address names no host",
        ),
        (
            "service='*'\nhost='::'",
            3,
            6,
            "the unspecified address names no host",
        ),
        (
            "service='*'\nhost='169.254.169.254'",
            3,
            6,
            "a cloud's metadata address, which is never dialled",
        ),
        (
            "service='*'\nhost='::ffff:100.100.100.200'",
            3,
            6,
            "metadata address",
        ),
        (
            "service='*'\nhost='fd00:ec2::254'",
            3,
            6,
            "metadata address",
        ),
        (
            "service='*'\nhost='1.2.3.4:80'",
            3,
            6,
            "the port is a key of its own",
        ),
        ("service='*'\nhost='[::1]'", 3, 6, "without brackets"),
        (
            "service='*'\nhost='10.0.0.300'",
            3,
            6,
            "neither an IP address nor a host name",
        ),
        ("service='*'\nhost='HOST_IP'", 3, 6, "it is to be filled in"),
        (
            "service='*'\nhost='HOST_IPV4'",
            3,
            6,
            "it is to be filled in",
        ),
        ("service='*'\nhost='PORT'", 3, 6, "it is to be filled in"),
        ("service='*'\nhost='a b'", 3, 6, "a host name has letters"),
        (
            "service='*'\nport=0",
            3,
            6,
            "a whole number from 1 to 65535, found 0",
        ),
        (
            "service='*'\nport=70000",
            3,
            6,
            "a whole number from 1 to 65535",
        ),
        (
            "service='*'\nhost='h'\ntag={a=1}",
            4,
            8,
            "expected a text, found 1",
        ),
        (
            "service='*'\nhots='h'\nport=1",
            3,
            1,
            "did you mean `host`?",
        ),
    ];
    for (rule, line, column, says) in cases {
        let text = format!("[[rewrite]]\n{rule}\n");
        let Err(errors) = load(&text) else {
            panic!("accepted: {rule}");
        };
        assert_eq!(errors.len(), 1, "{rule}\n{errors}");
        let spot = errors[0].spot.as_ref().unwrap();
        assert_eq!(
            (spot.line, spot.column),
            (8 + line, column),
            "{rule}\n{errors}"
        );
        assert!(errors.to_string().contains(says), "{rule}\n{errors}");
    }
    let rule = "[[rewrite]]\nname='a'\nservice='x'\nport=1\n";
    refused(
        &format!("{rule}{}", rule.replace("'x'", "'y'")),
        "expected a rewrite name of its own",
    );
    let both = load("[[rewrite]]\n").unwrap_err();
    assert_eq!(both.len(), 2, "{both}");
}

#[test]
fn a_rule_behind_one_that_takes_all_it_would_is_doubted_with_both_lines() {
    // The conditions of the earlier rule, of the later, and whether the later can never match.
    let cases = [
        ("cidr='10.0.0.0/8'", "cidr='10.1.0.0/16'", true),
        ("cidr='10.0.0.0/8'", "cidr='10.0.0.0/8'", true),
        ("cidr='10.1.0.0/16'", "cidr='10.0.0.0/8'", false),
        ("cidr='10.0.0.0/8'", "cidr='10.1.0.0/16'\nservice='x'", true),
        (
            "cidr='10.0.0.0/8'\nservice='x'",
            "cidr='10.1.0.0/16'",
            false,
        ),
        ("cidr='10.0.0.0/8'", "address='10.1.2.3:80'", true),
        ("cidr='0.0.0.0'", "address=':80'", true),
        ("cidr='10.0.0.0/8'", "address='item:80'", false),
        ("cidr='10.0.0.0/8'", "service='x'", false),
        ("address='a:1'", "address='a:1'\ntag={e='1'}", true),
        ("address='a:1'", "address='a:2'", false),
        ("service='*'", "service='shop.item'", true),
        ("service='*'", "cidr='10.0.0.0/8'\nservice='x'", true),
        ("service='*'", "cidr='10.0.0.0/8'", false),
        ("service='shop.*'", "service='shop.item*'", true),
        ("service='shop.item*'", "service='shop.*'", false),
        ("service='shop.*m'", "service='shop.i*m'", true),
        ("tag={e='1'}", "tag={e='1',f='2'}", true),
        ("tag={e='1',f='2'}", "tag={e='1'}", false),
        ("tag={e='1'}", "tag={e='2'}", false),
    ];
    for (first, then, never) in cases {
        let text =
            format!("[[rewrite]]\nname='first'\n{first}\nport=1\n[[rewrite]]\n{then}\nhost='h'\n");
        let config = load(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(
            config.warnings().len(),
            usize::from(never),
            "{text}{:?}",
            config.warnings()
        );
        for warning in config.warnings() {
            let line = 13 + first.matches('\n').count();
            assert_eq!(warning.spot.as_ref().unwrap().line, line, "{warning}");
            assert!(
                warning
                    .to_string()
                    .contains("the one \"first\" at t:9 takes all"),
                "{warning}"
            );
        }
    }
}

#[test]
fn conditions_that_exclude_each_other_are_doubted() {
    for address in ["11.0.0.1:1", "/run/x.sock", "unix:@x", ":80"] {
        let text = format!("[[rewrite]]\ncidr='10.0.0.0/8'\naddress='{address}'\nport=1\n");
        let config = load(&text).unwrap();
        let [warning] = config.warnings() else {
            panic!("{text}");
        };
        assert!(
            warning
                .to_string()
                .contains("its `address` is not in its `cidr`"),
            "{warning}"
        );
    }
    for address in ["10.0.0.1:1", "item:1"] {
        let text = format!("[[rewrite]]\ncidr='10.0.0.0/8'\naddress='{address}'\nport=1\n");
        assert_eq!(load(&text).unwrap().warnings(), []);
    }
}

#[test]
fn a_later_file_changes_a_named_rule_and_adds_others() {
    use crate::config::load::source::{Source, Sources};
    let base = "[[rewrite]]\nname='a'\nservice='x'\nhost='h'\n[[rewrite]]\nservice='y'\nport=1\n\
                [[listener]]\nname='l'\nlisten='[::1]:1'\n";
    let over = "[[rewrite]]\nname='a'\nhost='127.0.0.1'\n[[rewrite]]\nservice='z'\nport=2\n";
    let sources = Sources(vec![Source::new("base", base), Source::new("over", over)]);
    let config =
        crate::config::Config::from_sources(&sources, crate::config::Listeners::Needed, &|_| None)
            .unwrap();
    let words: Vec<String> = config.rewrites.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        ["rewrite \"a\", base:1", "rewrite base:5", "rewrite over:4"]
    );
    assert_eq!(
        config.rewrites[0].host.as_ref().unwrap().to_string(),
        "127.0.0.1"
    );
}
