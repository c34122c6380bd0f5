//! What listens, where services are found, and which name which.

use crate::config::{Config, ListenAddr, Protocol, Registry, Source};

use super::{BASE, load, refused};
use crate::platform::MAX_SOCKET_PATH;

#[test]
fn addresses_to_listen_on_are_explained() {
    let cases = [
        ("localhost:2", "write \"127.0.0.1:2\""),
        (":2", "write \"127.0.0.1:2\", or \"0.0.0.0:2\""),
        ("127.0.0.1", "the port is missing"),
        ("127.0.0.1:0", "port 0"),
        ("127.0.0.1:70000", "expected an IP address"),
        ("::1:2", "the port is missing"),
        ("fe80::x:2", "brackets"),
        ("item:2", "names and ranges"),
    ];
    for (address, expected) in cases {
        refused(
            &format!("[[listener]]\nname='x'\nlisten='{address}'"),
            expected,
        );
    }
    let config = load("[[listener]]\nname='x'\nlisten='[::1]:2'").unwrap();
    assert_eq!(
        config.listeners[1].listen,
        ListenAddr::Tcp("[::1]:2".parse().unwrap())
    );
}

#[test]
fn a_listener_s_unix_socket_has_a_path_and_a_mode() {
    let at = |address: &str, more: &str| {
        format!("[[listener]]\nname='x'\nlisten='{address}'\n{more}\n[admin]\nlisten='off'")
    };
    let Some(max) = MAX_SOCKET_PATH else {
        refused(&at("unix:/run/x", ""), "not supported on Windows");
        return;
    };
    let longest = format!("/{}", "x".repeat(max - 1));
    for (path, more, mode) in [
        ("/run/x", "", 0o660),
        ("/run/x", "socket_mode='0600'", 0o600),
        ("/run/x", "socket_mode='777'", 0o777),
        (longest.as_str(), "socket_mode='0000'", 0),
    ] {
        let config = load(&at(&format!("unix:{path}"), more)).unwrap();
        let listener = &config.listeners[1];
        assert_eq!(listener.listen, ListenAddr::Unix(path.into()));
        assert_eq!(listener.socket_mode, Some(mode));
    }
    for (address, more, expected) in [
        ("unix:run/x", "", "expected an absolute path"),
        ("unix:", "", "expected an absolute path"),
        ("unix:///run/x", "", "expected an absolute path"),
        ("unix:@name", "", "expected an absolute path"),
        (&format!("unix:{longest}x"), "", "a path of at most"),
        ("unix:/x", "socket_mode='0888'", "a mode in octal"),
        ("unix:/x", "socket_mode='1777'", "a mode in octal"),
        ("unix:/x", "socket_mode='rw-rw----'", "a mode in octal"),
        ("unix:/x", "socket_mode=''", "a mode in octal"),
        ("unix:/x", "socket_mode=660", "a mode in octal"),
        ("127.0.0.1:2", "socket_mode='0660'", "beside a TCP address"),
    ] {
        refused(&at(address, more), expected);
    }
    let twice = "[[listener]]\nname='y'\nlisten='unix:/run/x'";
    refused(
        &format!("{}\n{twice}", at("unix:/run/x", "")),
        "an address of its own",
    );
}

#[test]
fn names_and_addresses_stand_once() {
    refused(
        "[[listener]]\nname='one'\nlisten='127.0.0.1:2'",
        "found \"one\", which t:6 has",
    );
    refused(
        "[[listener]]\nname='x'\nlisten='127.0.0.1:1'",
        "found \"127.0.0.1:1\", which t:8 has",
    );
    refused(
        "[[listener]]\nname='x'\nlisten='[::1]:2'\n[metrics]\nlisten='[0::1]:2'",
        "found \"[::1]:2\", which t:13 has",
    );
    refused("[admin]\nlisten='127.0.0.1:1'", "an address of its own");
    refused("[metrics]\nlisten='127.0.0.1:1'", "an address of its own");
    refused("[admin]\n[metrics]\nlisten='127.0.0.1:9901'", "[admin]'s");
    refused("[metrics]\nlisten='127.0.0.1:9901'", "which is [admin]'s");
    refused(
        "[[registry]]\nname='main'\nkind='file'\npath='x'",
        "a registry name of its own",
    );
    refused(
        "[[service]]\nname='s'\n[[service]]\nname='s'",
        "a service name of its own",
    );
    refused(
        "[[service]]\nname='s'\nendpoints=['h:1','h:1']",
        "an address of its own",
    );
}

#[test]
fn admin_listens_on_this_machine_only() {
    refused("[admin]\nlisten='0.0.0.0:9901'", "write [metrics]");
    assert_eq!(load("[admin]\nlisten='off'").unwrap().admin, None);
    let listen = load("").unwrap().admin.unwrap().listen;
    assert_eq!(listen.to_string(), "127.0.0.1:9901");
    let text = "[admin]\nlisten='unix:/run/tidegate.sock'";
    if cfg!(unix) {
        let listen = load(text).unwrap().admin.unwrap().listen;
        assert_eq!(listen, ListenAddr::Unix("/run/tidegate.sock".into()));
        refused("[admin]\nlisten='unix:run'", "an absolute path");
    } else {
        refused(text, "not supported on Windows");
    }
}

#[test]
fn an_etcd_registry_is_whole_and_consistent() {
    let etcd = |more: &str| format!("[[registry]]\nname='e'\nkind='etcd'\n{more}");
    let cases = [
        ("endpoints=[]", "an empty array"),
        (
            "endpoints=['127.0.0.1:2379']",
            "write \"http://127.0.0.1:2379\"",
        ),
        ("endpoints=['ftp://e:1']", "the scheme is http or https"),
        ("endpoints=['http://e']", "the port is missing"),
        (
            "endpoints=['http://u:p@e:1']",
            "found \"…@e:1\"; user and password are keys",
        ),
        ("endpoints=['http://e:1','https://e:2']", "by one scheme"),
        ("endpoints=[1]", "expected a URL, found 1"),
        ("endpoints='http://e:1'", "expected URLs"),
        ("endpoints=['http://e:1']\nuser='u'", "found no `password`"),
        ("endpoints=['http://e:1']\npassword='p'", "found no `user`"),
        (
            "endpoints=['http://e:1']\nlayout='volo'",
            "expected \"kitex\"",
        ),
        (
            "endpoints=['http://e:1']\n[registry.tls]\nca='x'",
            "expected https://",
        ),
        (
            "endpoints=['https://e:1']\n[registry.tls]\ncert='x'",
            "found no `key`",
        ),
    ];
    for (more, expected) in cases {
        let second = "[[listener]]\nname='r'\nlisten='127.0.0.1:2'\nregistry='main'";
        let errors = Config::from_str("t", &format!("{BASE}{second}\n{}", etcd(more))).unwrap_err();
        assert_eq!(errors.len(), 1, "{more}\n{errors}");
        assert!(errors.to_string().contains(expected), "{more}\n{errors}");
    }
    let text =
        etcd("endpoints=['http://e:1/']\nprefix=''\n[[listener]]\nname='x'\nlisten='[::]:1'");
    let config = Config::from_str("t", &text).unwrap();
    let Registry::Etcd(etcd) = &config.registries[0] else {
        panic!("it is etcd");
    };
    assert_eq!(
        (etcd.endpoints[0].as_str(), etcd.prefix.as_str()),
        ("http://e:1", "")
    );
}

#[test]
fn a_service_is_found_in_the_only_registry_or_the_named_one() {
    let source = |config: &Config, name: &str| config.service(name).unwrap().source.clone();
    let config = load("[[service]]\nname='s'").unwrap();
    assert_eq!(source(&config, "s"), Source::Registry("main".into()));

    let two = "[[registry]]\nname='other'\nkind='file'\npath='j.toml'\n";
    let named = "[[service]]\nname='s'\nregistry='other'";
    let config = Config::from_str("t", &format!("{BASE}{two}{named}")).unwrap();
    assert_eq!(source(&config, "s"), Source::Registry("other".into()));
    let unnamed = Config::from_str("t", &format!("{BASE}{two}[[service]]\nname='s'")).unwrap_err();
    assert!(
        unnamed.to_string().contains("several: \"main\", \"other\""),
        "{unnamed}"
    );

    refused(
        "[[service]]\nname='s'\nregistry='mian'",
        "did you mean \"main\"?",
    );
    refused(
        "[[service]]\nname='s'\nregistry='main'\nendpoints=['h:1']",
        "either",
    );
    let none = "[[listener]]\nname='a'\nlisten='127.0.0.1:1'\n[[service]]\nname='s'";
    let errors = Config::from_str("t", none).unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("a registry for service \"s\", found none"),
        "{errors}"
    );
}

#[test]
fn a_service_that_only_a_listener_names_is_implied() {
    let config = load("[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nservice='s'").unwrap();
    assert_eq!(config.services.len(), 1);
    assert_eq!(config.services[0].source, Source::Registry("main".into()));
    assert_eq!(config.services[0].policy, config.defaults);
    let errors = Config::from_str(
        "t",
        "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nservice='s'",
    );
    let errors = errors.unwrap_err().to_string();
    assert!(
        errors.contains("service \"s\", which has no [[service]]"),
        "{errors}"
    );
    // One whose table is wrong is not complained about a second time.
    let wrong = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nservice='s'\n\
                 [[service]]\nname='s'\nregistry='nowhere'";
    refused(wrong, "expected the name of a registry");
}

#[test]
fn a_listener_without_a_service_takes_them_from_a_registry() {
    let config = load("[[listener]]\nname='x'\nlisten='127.0.0.1:2'").unwrap();
    assert_eq!(config.listeners[1].registry.as_deref(), Some("main"));
    let fixed = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nservice='s'\n";
    assert_eq!(load(fixed).unwrap().listeners[1].registry, None);
    refused(
        &format!("{fixed}registry='main'"),
        "stands in the service's own",
    );
    // With no registry, what has endpoints here can be named all the same.
    let only =
        "[[listener]]\nname='a'\nlisten='127.0.0.1:1'\n[[service]]\nname='s'\nendpoints=['h:1']";
    assert_eq!(
        Config::from_str("t", only).unwrap().listeners[0].registry,
        None
    );
}

#[test]
fn opaque_bytes_need_a_fixed_service() {
    let text = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nprotocol='opaque'\n";
    refused(text, "the key `service` beside `protocol = \"opaque\"`");
    let config = load(&format!("{text}service='s'")).unwrap();
    assert_eq!(config.listeners[1].protocol, Protocol::Opaque);
}

#[test]
fn static_endpoints_must_be_dialable() {
    for (address, expected) in [
        ("h", "the port is missing"),
        ("h:0", "1 to 65535"),
        ("h:x", "1 to 65535"),
        (":1", "the host is missing"),
        ("fd77::1:8888", "brackets"),
        ("[fd77::1:8888", "brackets"),
        ("h h:1", "a host name has"),
        ("/run/x", "write \"unix:/run/x\""),
        ("unix:run/x", "an absolute path"),
        ("unix:", "an absolute path"),
        ("unix:@", "an absolute path"),
    ] {
        refused(
            &format!("[[service]]\nname='s'\nendpoints=['{address}']"),
            expected,
        );
    }
    let config = load(
        "[[service]]\nname='s'\nendpoints=['[fd77::1]:1',{address='h.x:2',weight=3,tags={a='b'}}]",
    );
    let config = config.unwrap();
    let Source::Static(endpoints) = &config.services[0].source else {
        panic!("it is static");
    };
    assert_eq!((endpoints[0].weight, endpoints[1].weight), (10, 3));
    assert_eq!(endpoints[1].tags["a"], "b");
    refused("[[service]]\nname='s'\nendpoints=[]", "an empty array");
}

#[test]
fn service_names_fit_keys_and_labels() {
    for name in ["a/b", "a b", "a\\nb", &"x".repeat(256)] {
        refused(
            &format!("[[service]]\nname=\"{name}\""),
            "expected a service name",
        );
        let listener = format!("[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nservice=\"{name}\"");
        refused(&listener, "expected a service name");
    }
    load("[[service]]\nname='shop.item-v2_中'").unwrap();
}

#[test]
fn a_service_has_slots_for_so_many_methods() {
    let methods = |count: usize| {
        let each: String = (0..count)
            .map(|n| format!("[service.method.M{n}]\n"))
            .collect();
        format!("[[service]]\nname='s'\n{each}")
    };
    assert_eq!(load(&methods(255)).unwrap().services[0].methods.len(), 255);
    refused(&methods(256), "at most 255 methods");
}

#[test]
fn a_listener_may_know_what_fits_its_patterns() {
    let listener = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\n";
    let config = load(&format!("{listener}services=['shop.*','stock']")).unwrap();
    let known = |name| config.listeners[1].may_know(name);
    assert!(known("shop.item") && known("stock") && !known("stocks"));
    assert!(config.listeners[0].may_know("anything"));
    let fixed = load(&format!("{listener}service='s'")).unwrap();
    let known = |name| fixed.listeners[1].may_know(name);
    assert!(known("s") && !known("t"));
    for (services, expected) in [
        ("[]", "found an empty array"),
        ("'shop.*'", "names of services and patterns of them"),
        ("['a/b']", "a pattern such as \"shop.*\""),
        ("['']", "found an empty text"),
        ("[7]", "found 7"),
    ] {
        refused(&format!("{listener}services={services}"), expected);
    }
    refused(
        &format!("{listener}service='s'\nservices=['s']"),
        "expected no `services` beside `service`",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_transparent_listener_has_a_registry_and_no_fixed_service() {
    let listener = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\ntransparent=true\n";
    for more in ["", "sticky_destination=true", "services=['shop.*']"] {
        let config = load(&format!("{listener}{more}")).unwrap();
        assert!(config.listeners[1].transparent);
        assert_eq!(config.listeners[1].registry.as_deref(), Some("main"));
    }
    for protocol in ["thrift", "opaque"] {
        load(&format!("{listener}protocol='{protocol}'")).unwrap();
    }
    refused(
        &format!("{listener}service='s'"),
        "expected no `service` beside `transparent = true`",
    );
    let errors = Config::from_str("t", listener).unwrap_err().to_string();
    let expected = "a registry for the transparent listener \"x\", found none";
    assert!(errors.contains(expected), "{errors}");
    refused(
        "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nsticky_destination=true",
        "expected `transparent = true` beside `sticky_destination`",
    );
}

#[cfg(not(target_os = "linux"))]
#[test]
fn what_only_linux_has_is_refused_elsewhere() {
    let listener = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\ntransparent=true\n";
    refused(listener, "which this system does not have");
    refused("[runtime]\nmark=1", "which this system does not have");
}

#[cfg(target_os = "linux")]
#[test]
fn a_mark_may_be_written_as_firewalls_print_it() {
    let config = load("[runtime]\nmark=0x7d6a").unwrap();
    assert_eq!(config.runtime.mark, 0x7d6a);
    refused("[runtime]\nmark=0x100000000", "from 0 to 4294967295");
}

#[test]
fn no_firewall_redirects_to_a_unix_socket() {
    let listener = "[[listener]]\nname='x'\nlisten='unix:/run/x.sock'\ntransparent=true";
    refused(listener, "beside `transparent = true`");
}
