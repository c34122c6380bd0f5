#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Config;
use crate::finding::plain;

const LANGS: [Lang; 2] = [Lang::En, Lang::Zh];

fn subject() -> Subject<'static> {
    Subject {
        service: "shop.item",
        address: "127.0.0.1:8890",
        key: "kitex/registry-etcd/shop.item/127.0.0.1:8890",
        host: Some("10.0.3.7".parse().unwrap()),
        ..Subject::default()
    }
}

fn pasted(code: Code, subject: &Subject<'_>) -> Vec<String> {
    let all = remedies(code, subject, Lang::En);
    all.into_iter().filter_map(|it| it.paste).collect()
}

/// Loads what is to be pasted into a config, beside the least that makes it one.
fn load(paste: &str) -> Config {
    const REGISTRY: &str =
        "[[registry]]\nname='r'\nkind='etcd'\nendpoints=['https://127.0.0.1:2379']\n";
    const LISTENER: &str = "\n[[listener]]\nname='l'\nlisten='127.0.0.1:18890'\nservice='s'\n";
    let text = match paste.starts_with('[') {
        true => format!("{REGISTRY}{LISTENER}{paste}"),
        // A line for the registry.
        false => format!("{REGISTRY}{paste}{LISTENER}"),
    };
    Config::from_str("pasted", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_loopback_address_gets_the_lines_that_register_another() {
    let expected = [
        "server.WithServiceAddr(&net.TCPAddr{IP: net.ParseIP(\"10.0.3.7\"), Port: 8890})",
        "export KITEX_IP_TO_REGISTRY=10.0.3.7\nexport KITEX_PORT_TO_REGISTRY=8890",
        "$env:KITEX_IP_TO_REGISTRY=\"10.0.3.7\"\n$env:KITEX_PORT_TO_REGISTRY=\"8890\"",
        "etcd.SetFixedAddress(r, &net.TCPAddr{IP: net.ParseIP(\"10.0.3.7\"), Port: 8890})",
        "[[rewrite]]\nservice = \"shop.item\"\naddress = \"127.0.0.1:8890\"\nhost = \"10.0.3.7\"\nport = 8890",
        "[defaults]\nsuspicious = \"allow\"",
    ];
    assert_eq!(pasted(Code::R02, &subject()), expected);
}

#[test]
fn every_code_has_one_to_five_remedies_in_both_languages() {
    for (code, lang) in Code::ALL
        .iter()
        .flat_map(|code| LANGS.map(|lang| (*code, lang)))
    {
        let all = remedies(code, &subject(), lang);
        let count = all.iter().filter(|it| !it.goes_on).count();
        assert!((1..=5).contains(&count), "{code}: {all:#?}");
        assert!(!all[0].goes_on, "{code}: {all:#?}");
        for Remedy { what, paste, .. } in &all {
            assert!(!what.is_empty(), "{code}");
            let is_open = what.ends_with([':', '：']);
            assert!(
                !is_open || paste.is_some(),
                "{code}: nothing follows {what}"
            );
        }
        assert_eq!(all, remedies(code, &subject(), lang));
    }
}

#[test]
fn what_is_to_be_pasted_is_the_same_in_both_languages() {
    for code in Code::ALL {
        let [en, zh] = LANGS.map(|lang| {
            let all = remedies(*code, &subject(), lang).into_iter();
            all.map(|it| it.paste).collect::<Vec<_>>()
        });
        assert_eq!(en, zh, "{code}");
    }
}

#[test]
fn whatever_is_set_in_a_shell_is_set_in_powershell_too() {
    let shell = |line: &str| line.strip_prefix("export ").map(str::to_owned);
    let powershell = |line: &str| Some(line.strip_prefix("$env:")?.replace('"', ""));
    let set = |all: &Remedy, by: &dyn Fn(&str) -> Option<String>| -> Vec<String> {
        all.paste
            .iter()
            .flat_map(|it| it.lines())
            .filter_map(by)
            .collect()
    };
    let mut seen = 0;
    for (code, lang) in Code::ALL
        .iter()
        .flat_map(|code| LANGS.map(|lang| (*code, lang)))
    {
        let all = remedies(code, &subject(), lang);
        for (at, it) in all
            .iter()
            .enumerate()
            .filter(|(_, it)| !set(it, &shell).is_empty())
        {
            let next = &all[at + 1];
            assert!(
                next.goes_on && next.what.contains("PowerShell"),
                "{code}: {next:?}"
            );
            assert_eq!(set(it, &shell), set(next, &powershell), "{code}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_remedy_for_two_systems_is_one() {
    let all = remedies(Code::P01, &subject(), Lang::En);
    assert_eq!(first(&all, 4), all);
    let two = first(&all, 2);
    assert!(two[1].what.starts_with("See on its host"), "{two:#?}");
    assert_eq!((two.len(), two[2].what.as_str()), (3, "On Windows:"));
}

#[test]
fn an_address_that_is_not_known_stays_a_word_in_capitals() {
    let unknown = Subject {
        host: None,
        address: "0.0.0.0:0",
        ..subject()
    };
    let pasted = pasted(Code::R01, &unknown);
    assert_eq!(
        pasted[0],
        "export KITEX_IP_TO_REGISTRY=HOST_IP\nexport KITEX_PORT_TO_REGISTRY=PORT"
    );
}

#[test]
fn lines_for_the_config_load() {
    let mut seen = 0;
    for code in Code::ALL {
        let subject = Subject {
            prefix: Some("dev/kitex"),
            ..subject()
        };
        for paste in pasted(*code, &subject) {
            let is_line = ["prefix =", "user =", "tls ="]
                .iter()
                .any(|key| paste.starts_with(key));
            if paste.starts_with('[') || is_line {
                // The file named there does not exist, and the variable is not set.
                let paste = paste
                    .replace("ca = \"ca.pem\", ", "")
                    .replace("${ETCD_PASSWORD}", "secret");
                load(&paste);
                seen += 1;
            }
        }
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn the_rewrite_rule_takes_the_address_and_leads_to_the_host() {
    for (address, port) in [
        ("127.0.0.1:8890", 8890),
        ("fd00::1:8888", 8888),
        ("[fe80::1]:7", 7),
    ] {
        let subject = Subject {
            address,
            ..subject()
        };
        let pasted = pasted(Code::R03, &subject);
        let rule = pasted
            .iter()
            .find(|it| it.starts_with("[[rewrite]]"))
            .unwrap();
        let rewrites = load(rule).rewrites;
        assert_eq!(rewrites[0].address.as_deref(), Some(address));
        assert_eq!(rewrites[0].host.as_ref().unwrap().to_string(), "10.0.3.7");
        assert_eq!(rewrites[0].port, Some(port));
    }
}

#[test]
fn an_ipv6_address_is_registered_by_the_one_way_that_keeps_its_brackets() {
    let subject = Subject {
        host: Some("fd00::1".parse().unwrap()),
        ..subject()
    };
    for code in [Code::R01, Code::R02, Code::R03, Code::R05, Code::R06] {
        let pasted = pasted(code, &subject).join("\n");
        assert!(
            pasted.contains("SetFixedAddress") && pasted.contains("\"fd00::1\""),
            "{pasted}"
        );
        assert!(
            !pasted.contains("KITEX_IP") && !pasted.contains("WithServiceAddr"),
            "{pasted}"
        );
    }
    let unbracketed = Subject {
        address: "fd77::1:8888",
        host: None,
        ..subject
    };
    let pasted = pasted(Code::R07, &unbracketed);
    assert!(
        pasted[0].starts_with("export KITEX_IP_TO_REGISTRY=HOST_IPV4\n"),
        "{pasted:#?}"
    );
    assert!(
        pasted[2].contains("net.ParseIP(\"fd77::1\"), Port: 8888"),
        "{pasted:#?}"
    );
    let put = Subject {
        host: Some("fd00::1".parse().unwrap()),
        ..unbracketed
    };
    assert!(self::pasted(Code::R15, &put)[0].contains("\"address\":\"[fd00::1]:8888\""));
}

#[test]
fn nothing_that_means_something_to_a_shell_or_a_program_is_pasted() {
    let evil = [
        "127.0.0.1:1'; rm -rf ~; '",
        "$(reboot):8890",
        "`reboot`:1",
        "a\"\nhost = \"b:1",
        "-oProxyCommand=x:1",
        "--help:1",
        "x\\\"y:1",
        "\u{202e}1.0.0.721:1",
        "a b:1",
        "\u{1b}[2J:1",
        "a&b|c>d:1",
        "$env:PATH:1",
        "a`nb:1",
        "a;calc:1",
        "(calc):1",
        "@{x}:1",
        "a“b”:1",
        "a#b:1",
        "unix:/run/$HOME",
    ];
    for (text, code) in evil
        .iter()
        .flat_map(|text| Code::ALL.iter().map(move |code| (text, code)))
    {
        let all = |text: &str| Etcdctl {
            endpoint: text.to_owned(),
            user: Some(text.to_owned()),
            cacert: Some(text.to_owned()),
            cert: Some(text.to_owned()),
            key: Some(text.to_owned()),
        };
        let (reached, quoted) = (all(text), all("\""));
        let key = format!("-/{text}");
        let subject = Subject {
            service: text,
            address: text,
            key: &key,
            host: None,
            in_file: false,
            nearest: Some(text),
            prefix: Some(text),
            etcd: Some(&reached),
            own_prefix: Some(text),
            ..Subject::default()
        };
        let harmless = Subject {
            nearest: Some("x"),
            prefix: Some("\""),
            etcd: Some(&quoted),
            own_prefix: Some("\""),
            ..Subject::default()
        };
        let mut harmless = pasted(*code, &harmless);
        // What is no host name is given no address.
        harmless.retain(|it| it != "HOST_IP HOST");
        assert_eq!(pasted(*code, &subject), harmless, "{code} {text}");
        for remedy in remedies(*code, &subject, Lang::Zh) {
            assert_eq!(plain(&remedy.what), remedy.what, "{code} {text}");
        }
    }
}

#[test]
fn what_is_filled_in_is_not_filled_in_again() {
    let subject = Subject {
        service: "PORT",
        address: "HOST_IP:1",
        ..subject()
    };
    let rule = pasted(Code::R02, &subject).remove(4);
    assert!(
        rule.contains("service = \"PORT\"\naddress = \"HOST_IP:1\""),
        "{rule}"
    );
}

#[test]
fn a_wrong_name_is_told_the_nearest_and_a_wrong_prefix_the_right_one() {
    let subject = Subject {
        service: "itme",
        nearest: Some("item"),
        prefix: Some(""),
        ..Subject::default()
    };
    let all = remedies(Code::R13, &subject, Lang::En);
    assert!(all[0].what.starts_with("Ask for item, "), "{all:#?}");
    assert_eq!(all[1].paste.as_deref(), Some("prefix = \"\""));
    let pasted = pasted(Code::R13, &subject).join("\n");
    assert!(!pasted.contains("PREFIX"), "{pasted}");
}

#[test]
fn an_entry_of_a_file_is_corrected_there_and_not_by_kitex_or_etcd() {
    let subject = Subject {
        key: "instances.toml:3",
        in_file: true,
        ..subject()
    };
    for code in Code::ALL
        .iter()
        .filter(|code| code.label().starts_with('R'))
    {
        let all = remedies(*code, &subject, Lang::En);
        assert_eq!(
            all[0].what, "Correct the entry at instances.toml:3.",
            "{code}"
        );
        let pasted = pasted(*code, &subject).join("\n");
        assert!(
            !pasted.contains("KITEX_") && !pasted.contains("etcd"),
            "{code}: {pasted}"
        );
    }
}

#[test]
fn findings_about_etcd_name_the_member() {
    let subject = Subject {
        address: "https://[fd00::2]:2379",
        key: "kitex/registry-etcd/item/",
        ..Subject::default()
    };
    assert!(pasted(Code::E03, &subject)[0].ends_with("read 'kitex/registry-etcd/item/'"));
    let all = remedies(Code::E01, &subject, Lang::En);
    assert!(
        all.iter().any(|it| it.what.contains("port 2379")),
        "{all:#?}"
    );
}

#[test]
fn etcdctl_is_told_the_registrys_etcd_and_its_prefix_and_keeps_the_lease() {
    let etcd = Etcdctl {
        endpoint: "http://10.0.0.9:2379".into(),
        ..Etcdctl::default()
    };
    let subject = Subject {
        key: "",
        etcd: Some(&etcd),
        own_prefix: Some("dev/kitex"),
        ..subject()
    };
    let put = &pasted(Code::R09, &subject)[0];
    assert!(
        put.starts_with("etcdctl --endpoints='http://10.0.0.9:2379' put --ignore-lease 'KEY' "),
        "{put}"
    );
    let names = &pasted(Code::R13, &subject)[0];
    assert_eq!(
        names,
        "etcdctl --endpoints='http://10.0.0.9:2379' get --prefix --keys-only dev/kitex/"
    );
    let grant = &pasted(Code::E03, &subject)[0];
    assert!(grant.ends_with(" read 'dev/kitex/shop.item/'"), "{grant}");
    let empty = Subject {
        own_prefix: Some(""),
        ..subject
    };
    let names = &pasted(Code::R13, &empty)[0];
    assert!(names.ends_with(" --keys-only /"), "{names}");
    let member = Subject {
        address: "http://10.0.0.9:2379",
        ..subject
    };
    for code in Code::ALL {
        for line in pasted(*code, &member).iter().flat_map(|it| it.lines()) {
            let endpoints = line.matches("--endpoints=").count();
            assert!(
                !line.starts_with("etcdctl ") || endpoints == 1,
                "{code}: {line}"
            );
        }
    }
}

#[test]
fn etcdctl_is_told_whom_to_be_and_which_certificates_to_show() {
    let etcd = Etcdctl {
        endpoint: "https://10.0.0.9:2379".into(),
        user: Some("tide".into()),
        cacert: Some("/certs/KEY.pem".into()),
        cert: Some("/my certs/own.pem".into()),
        key: None,
    };
    let subject = Subject {
        etcd: Some(&etcd),
        own_prefix: Some("kitex/registry-etcd"),
        ..subject()
    };
    let reached =
        "etcdctl --endpoints='https://10.0.0.9:2379' --cacert='/certs/KEY.pem' --cert='CERT_FILE' ";
    for (code, told) in [
        (Code::R09, "--user='USER' put --ignore-lease "),
        (Code::R12, "--user='USER' del "),
        (Code::R13, "--user='tide' get --prefix "),
        (Code::E03, "--user='root' role grant-permission "),
    ] {
        let all = pasted(code, &subject).join("\n");
        let is_told = |line: &str| {
            line.strip_prefix(reached)
                .is_some_and(|it| it.starts_with(told))
        };
        assert!(all.lines().any(is_told), "{code}: {all}");
    }
    let member = Subject {
        address: "https://10.0.0.8:2379",
        ..subject
    };
    for line in Code::ALL.iter().flat_map(|code| pasted(*code, &member)) {
        for flag in ["--endpoints=", "--user="] {
            assert!(
                line.lines().all(|it| it.matches(flag).count() <= 1),
                "{line}"
            );
        }
    }
}

#[test]
fn who_has_no_config_is_given_the_whole_registry() {
    let etcd = Etcdctl {
        endpoint: "http://10.0.0.9:2379".into(),
        user: Some("tide".into()),
        ..Etcdctl::default()
    };
    let subject = Subject {
        etcd: Some(&etcd),
        own_prefix: Some("kitex/registry-etcd"),
        prefix: Some("dev/kitex"),
        unconfigured: true,
        ..subject()
    };
    for code in [Code::R13, Code::E02] {
        let lines = &pasted(code, &subject)[0];
        let text =
            format!("{lines}\n[[listener]]\nname='l'\nlisten='127.0.0.1:18890'\nservice='s'\n");
        let config = Config::from_str("pasted", &text.replace("${ETCD_PASSWORD}", "x"));
        assert_eq!(config.unwrap().registries.len(), 1, "{lines}");
    }
    let all = remedies(Code::R13, &subject, Lang::En);
    assert!(all.iter().all(|it| !it.what.contains("Correct the name")));
    assert!(!format!("{all:?}").contains("WithAuth"), "{all:#?}");
    let configured = Subject {
        unconfigured: false,
        ..subject
    };
    assert_eq!(pasted(Code::R13, &configured)[0], "prefix = \"dev/kitex\"");
    let granted = &pasted(Code::E03, &subject)[1];
    assert!(granted.ends_with("user grant-role tide ROLE"), "{granted}");
}

#[test]
fn this_hosts_own_address_is_said_to_be_it() {
    let subject = Subject {
        here: true,
        ..subject()
    };
    for (lang, said) in [
        (Lang::En, "(10.0.3.7 is this host: "),
        (Lang::Zh, "（10.0.3.7 是本机："),
    ] {
        let all = remedies(Code::R02, &subject, lang);
        let saying = all.iter().filter(|it| it.what.contains(said));
        assert_eq!(saying.count(), 1, "{all:#?}");
        assert!(all[0].what.contains(said), "{all:#?}");
    }
}

#[test]
fn a_mistyped_name_is_not_told_to_change_the_prefix() {
    let subject = Subject {
        service: "itme",
        nearest: Some("item"),
        ..Subject::default()
    };
    let all = remedies(Code::R13, &subject, Lang::En);
    assert!(all[0].what.starts_with("Ask for item, "), "{all:#?}");
    let says = |word: &str| all.iter().any(|it| format!("{it:?}").contains(word));
    assert!(!says("prefix =") && !says("WithAuth"), "{all:#?}");
}

#[test]
fn a_name_that_does_not_resolve_is_told_nothing_of_firewalls() {
    let subject = Subject {
        address: "http://etcd:2379",
        step: "name",
        ..Subject::default()
    };
    for lang in LANGS {
        let all = remedies(Code::E01, &subject, lang);
        assert_eq!(all.len(), 1, "{all:#?}");
        let port = Subject {
            step: "port",
            ..subject
        };
        assert_eq!(remedies(Code::E01, &port, lang).len(), 3);
    }
}

#[test]
fn no_name_of_this_host_itself_is_given_to_another() {
    for (address, is_given) in [
        ("item.local:8890", true),
        ("item-1:8890", true),
        ("localhost:8890", false),
        ("LocalHost.:8890", false),
        ("app.localhost:8890", false),
        ("localhost.localdomain:8890", false),
        ("ip6-localhost:8890", false),
        ("10.0.0.7:8890", false),
        ("[fd00::7]:8890", false),
        ("10.0.0.300:8890", false),
        (":8890", false),
    ] {
        let subject = Subject {
            address,
            ..subject()
        };
        for lang in LANGS {
            let all = remedies(Code::R17, &subject, lang);
            let mut pasted = all.iter().filter_map(|it| it.paste.as_deref());
            let is_it = |it: &str| it.starts_with("10.0.3.7 ");
            assert_eq!(pasted.any(is_it), is_given, "{address}: {all:#?}");
        }
        let logged = Code::R17.remedy_at(address, "key");
        assert_eq!(logged.contains("/etc/hosts"), is_given, "{logged}");
    }
}

#[test]
fn a_bridges_own_address_is_of_a_server_outside_of_containers() {
    for (address, is_a_containers) in [("172.17.0.1:8890", false), ("172.17.0.5:8890", true)] {
        let subject = Subject {
            address,
            ..subject()
        };
        for lang in LANGS {
            let all = remedies(Code::R04, &subject, lang);
            let of = code_first(Code::R04, lang);
            assert_eq!(all[0].what == of, is_a_containers, "{all:#?}");
            let listens = |it: &Remedy| {
                let paste = it.paste.as_deref();
                paste.is_some_and(|it| it.starts_with("server.WithServiceAddr"))
            };
            assert_eq!(all.iter().any(listens), !is_a_containers, "{all:#?}");
        }
        let logged = Code::R04.remedy_at(address, "key");
        assert_eq!(logged.contains("publish"), is_a_containers, "{logged}");
    }
}

/// The first sentence of what helps with a finding in general.
fn code_first(code: Code, lang: Lang) -> &'static str {
    code.text(lang).remedies[0].lines().next().unwrap()
}

#[test]
fn where_a_rule_leads_there_it_is_corrected_and_not_the_registration() {
    for in_file in [false, true] {
        let ruled = Subject {
            rule: Some("rewrite b1.toml:15"),
            in_file,
            ..subject()
        };
        for (code, lang) in [Code::R02, Code::R04, Code::R17, Code::P01, Code::P02]
            .into_iter()
            .flat_map(|code| LANGS.map(|lang| (code, lang)))
        {
            let all = remedies(code, &ruled, lang);
            assert!(all[0].what.contains("rewrite b1.toml:15"), "{all:#?}");
            let pasted: Vec<&str> = all.iter().filter_map(|it| it.paste.as_deref()).collect();
            let pasted = pasted.join("\n");
            for word in ["KITEX_", "server.", "etcd", "[[rewrite]]", "10.0.3.7 "] {
                assert!(!pasted.contains(word), "{code} {word}: {pasted}");
            }
        }
    }
}

#[test]
fn a_private_address_of_another_network_that_is_silent_is_not_only_a_firewalls_matter() {
    let elsewhere = Subject {
        address: "172.26.3.9:8888",
        elsewhere: true,
        host: None,
        ..subject()
    };
    for lang in LANGS {
        let mut all = remedies(Code::P02, &elsewhere, lang);
        all.retain(|it| !it.goes_on);
        assert!(all[0].what.contains("VPN"), "{all:#?}");
        let pasted = |at: usize| all[at].paste.clone().unwrap();
        assert!(pasted(1).contains("KITEX_IP_TO_REGISTRY=HOST_IP"));
        assert!(pasted(2).starts_with("[[rewrite]]"));
        assert_eq!(pasted(3), "ip route get 172.26.3.9");
        assert!(!format!("{all:?}").contains("ip neigh"), "{all:#?}");
        // One of this network is.
        let here = Subject {
            elsewhere: false,
            ..elsewhere
        };
        assert_eq!(
            remedies(Code::P02, &here, lang)[0].paste.as_deref(),
            Some("ip route get 172.26.3.9")
        );
    }
}

#[test]
fn who_calls_a_far_instance_through_tidegate_is_told_what_tidegate_must_wait() {
    let subject = Subject {
        longer: Some(Duration::from_millis(2400)),
        ..subject()
    };
    let pasted = pasted(Code::P12, &subject);
    assert_eq!(
        pasted[0],
        "[[service]]\nname = \"shop.item\"\nconnect_timeout = \"2.4s\""
    );
    load(&pasted[0]);
    for lang in LANGS {
        let all = remedies(Code::P12, &subject, lang);
        assert!(all.iter().all(|it| !it.what.contains("1.2")), "{all:#?}");
    }
}

#[test]
fn an_entry_without_a_lease_that_nobody_answers_for_is_to_be_deleted_first() {
    let subject = Subject {
        no_lease: true,
        ..subject()
    };
    assert!(pasted(Code::R12, &subject)[0].starts_with("etcdctl del "));
    let first = &remedies(Code::R12, &subject, Lang::En)[0];
    assert!(first.what.starts_with("Delete the entry"), "{first:?}");
}

#[test]
fn a_key_that_does_not_end_in_an_address_is_never_written_or_deleted() {
    let registered = [
        ("/item/10.0.0.1:8888", "10.0.0.1:8888"),
        ("/item/[fd00::1]:8888", "[fd00::1]:8888"),
        ("/item/fd00::1:8888", "fd00::1:8888"),
        ("/item/shop-7.local:8888", "10.0.0.1:8888"),
        ("/item//run/item.sock", "/run/item.sock"),
    ];
    let others = [
        ("/KitexConfig/gateway/item/rpc_timeout", ""),
        ("/registry/pods/default/x", ""),
        ("/registry/roles/system:basic", ""),
        ("/item/instance-1", "10.0.0.1:8888"),
        // Its value names no address.
        ("/item/10.0.0.8:9100", ""),
        ("/item/db/10.0.0.1:3306", "10.0.0.1:8888"),
    ];
    let keys = registered.map(|it| (it, true));
    let keys = keys.into_iter().chain(others.map(|it| (it, false)));
    for ((key, address), is_registered) in keys {
        let subject = Subject {
            key,
            address,
            own_prefix: Some(""),
            service: "item",
            ..subject()
        };
        for code in Code::ALL
            .iter()
            .filter(|code| code.label().starts_with('R'))
        {
            let lines = pasted(*code, &subject).join("\n");
            let changes = lines.contains(" put ") || lines.contains(" del ");
            assert!(is_registered || !changes, "{code} {key}: {lines}");
            let is_led = lines.contains("[[rewrite]]") || lines.contains("KITEX_");
            assert!(
                !address.is_empty() || is_registered || !is_led,
                "{code} {key}: {lines}"
            );
            if matches!(code, Code::R08 | Code::R09 | Code::R15) {
                assert_eq!(changes, is_registered, "{code} {key}: {lines}");
                let first = &remedies(*code, &subject, Lang::En)[0].what;
                let is_asked = first.starts_with("See whether another program");
                assert!(is_registered || is_asked, "{code} {key}: {first}");
            }
        }
    }
}

#[test]
fn a_service_that_was_registered_is_to_be_started_and_its_name_is_not_doubted() {
    let gone = Subject {
        service: "item",
        was_registered: true,
        ..Subject::default()
    };
    for lang in LANGS {
        let all = remedies(Code::R13, &gone, lang);
        assert_eq!(all.len(), 2, "{all:#?}");
        assert!(all.iter().all(|it| it.paste.is_none()), "{all:#?}");
        let moved = Subject {
            prefix: Some("dev"),
            ..gone
        };
        let also = remedies(Code::R13, &moved, lang);
        assert_eq!(also[..2], all, "{also:#?}");
        assert_eq!(also[2].paste.as_deref(), Some("prefix = \"dev\""));
    }
}
