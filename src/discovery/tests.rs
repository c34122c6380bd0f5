#![allow(clippy::unwrap_used)]
use super::*;
use crate::registry::Class;
use crate::registry::{Code, Instance};

#[test]
fn what_is_dialled_has_its_tags_and_says_whether_it_is_on_this_host() {
    let instance = Arc::new(Instance {
        address: "10.0.0.1:1".into(),
        network: "tcp".into(),
        key: String::new(),
        weight: 7,
        tags: [("env".to_owned(), "alice".to_owned())].into(),
        revision: 3,
        notes: Vec::new(),
    });
    let member = |class| Member {
        registered: None,
        rewritten: None,
        codes: vec![Code::R04],
        instance: instance.clone(),
        dial: std::net::SocketAddr::from(([10, 0, 0, 1], 1)).into(),
        class,
        weight: 7,
        last_resort: false,
    };
    let host = Host::new(
        vec![Interface {
            name: "eth0".into(),
            ip: [10, 0, 0, 9].into(),
            prefix_len: 24,
        }],
        Vec::new(),
    );
    let here = [Class::ThisHost, Class::Loopback, Class::UnixSocket];
    for class in Class::ALL {
        let origins = Origins::new(&host, None);
        let dial = dials(&[member(class)], &origins).pop().unwrap();
        assert_eq!(dial.origin.codes, [Code::R04]);
        assert_eq!((dial.origin.class, dial.origin.on_link), (class, true));
        assert_eq!(dial.here, here.contains(&class), "{}", class.label());
        assert_eq!(dial.tags.get("env"), Some("alice"));
        assert_eq!(dial.tags.get("idc"), None);
        assert_eq!((dial.weight, dial.revision), (7, 3));
    }
}

#[test]
fn a_registry_for_one_look_needs_no_runtime_and_has_its_name() {
    let file = config::Registry::File(config::File {
        name: "items".into(),
        path: "none.toml".into(),
    });
    assert_eq!(open_once(&file).unwrap().name(), "items");
}

#[test]
fn entries_that_cannot_be_read_are_no_empty_service() {
    let members = |unreadable| Members {
        unreadable,
        known: true,
        ..Members::default()
    };
    assert_eq!(knowledge("item", &members(0)), Knowledge::Nothing);
    for (n, said) in [
        (1, "1 entry, unreadable (R09); see tidegate doctor item"),
        (7, "7 entries, unreadable (R09); see tidegate doctor item"),
    ] {
        let known = knowledge("item", &members(n));
        assert_eq!(known, Knowledge::Read(Some(said.into())));
    }
}
