use super::*;
use crate::probe::Spoke;

const OPEN: Connect = Connect::Open(Duration::from_micros(300));
const REFUSED: Connect = Connect::Refused(Duration::from_micros(90));

fn seen(connect: Connect) -> Seen {
    Seen {
        connect,
        spoke: None,
        call: None,
        idle: None,
    }
}

fn facts<'a>(class: Class, registered: &'a [Code], seen: &'a Seen) -> Facts<'a> {
    Facts {
        class,
        registered,
        seen: Some(seen),
        lease: held(60, 45),
        on_link: false,
        alone: false,
        connect_timeout: KITEX_CONNECT_TIMEOUT,
    }
}

fn held(granted: u64, left: u64) -> Lease {
    Lease::Held {
        granted: Duration::from_secs(granted),
        left: Duration::from_secs(left),
    }
}

#[test]
fn what_answers_is_not_accused_of_its_range() {
    for (class, code) in [
        (Class::ContainerNetwork, Code::R04),
        (Class::Private, Code::R06),
        (Class::Public, Code::R18),
    ] {
        assert_eq!(findings(&facts(class, &[code], &seen(OPEN))), []);
        let silent = seen(Connect::TimedOut(Duration::from_secs(1)));
        assert_eq!(findings(&facts(class, &[code], &silent)), [code, Code::P02]);
        // A refusal comes from there as well, unless there is no IPv6 to ask by.
        let refused = seen(REFUSED);
        let refused = findings(&facts(class, &[code], &refused));
        match code {
            Code::R18 => assert_eq!(refused, [code, Code::P01]),
            _ => assert_eq!(refused, [Code::P01]),
        }
    }
}

#[test]
fn what_fails_on_a_container_bridge_of_this_host_is_some_other_hosts_container() {
    let of = |seen: &Seen, alone| {
        findings(&Facts {
            on_link: true,
            alone,
            ..facts(Class::ContainerNetwork, &[], seen)
        })
    };
    let silent = seen(Connect::TimedOut(Duration::from_secs(1)));
    assert_eq!(of(&silent, false), [Code::R04, Code::P02]);
    // The host's own side of the bridge refuses where nobody listens.
    assert_eq!(of(&seen(REFUSED), false), [Code::R04, Code::P01]);
    // What answers may be a container of this host, or any program of this host's own.
    assert_eq!(of(&seen(OPEN), false), []);
    let http = Seen {
        spoke: Some(Spoke::Http("HTTP/1.1 400 Bad Request".into())),
        ..seen(OPEN)
    };
    assert_eq!(of(&http, false), [Code::R04, Code::P05]);
    // Where all is on this host, its containers are meant.
    assert_eq!(of(&seen(OPEN), true), []);
    assert_eq!(of(&http, true), [Code::P05]);
    assert_eq!(of(&seen(REFUSED), true), [Code::P01, Code::R04]);
}

#[test]
fn what_was_not_tried_on_a_container_bridge_of_this_host_is_not_accused() {
    let ours = seen(Connect::Ours("Too many open files (os error 24)".into()));
    for seen in [None, Some(&ours)] {
        let facts = Facts {
            seen,
            on_link: true,
            ..facts(Class::ContainerNetwork, &[], &ours)
        };
        assert_eq!(findings(&facts), []);
    }
}

#[test]
fn a_loopback_address_is_fine_only_where_the_registry_is_here_too_and_it_answers() {
    let (open, refused) = (seen(OPEN), seen(REFUSED));
    let of = |seen, alone| {
        findings(&Facts {
            alone,
            ..facts(Class::Loopback, &[Code::R02], seen)
        })
    };
    assert_eq!(of(&open, true), []);
    assert_eq!(of(&open, false), [Code::R02]);
    assert_eq!(of(&refused, false), [Code::R02, Code::P01]);
    assert_eq!(of(&refused, true), [Code::P01, Code::R02]);
}

#[test]
fn half_a_lease_gone_is_a_missed_renewal_and_says_what_has_become_of_the_process() {
    let (open, refused) = (seen(OPEN), seen(REFUSED));
    let of = |seen, lease| {
        findings(&Facts {
            lease,
            ..facts(Class::Public, &[], seen)
        })
    };
    assert_eq!(of(&open, held(60, 30)), []);
    assert_eq!(of(&open, held(60, 29)), [Code::R12]);
    assert_eq!(of(&refused, held(60, 29)), [Code::R21, Code::P01]);
    assert_eq!(of(&refused, held(60, 41)), [Code::P01]);
    assert_eq!(of(&open, Lease::None), []);
    assert_eq!(of(&refused, Lease::None), [Code::P01, Code::R12]);
    assert_eq!(of(&refused, Lease::Unknown), [Code::P01]);
}

#[test]
fn a_refusal_by_this_host_says_nothing_about_the_process_of_another() {
    let refused = seen(REFUSED);
    let of = |class, registered: &[Code], alone| {
        findings(&Facts {
            lease: held(60, 20),
            on_link: class == Class::ContainerNetwork,
            alone,
            ..facts(class, registered, &refused)
        })
    };
    for code in [Code::R02, Code::R03, Code::R17] {
        let codes = of(Class::Loopback, &[code], false);
        assert_eq!(codes, [code, Code::R12, Code::P01]);
        let codes = of(Class::Loopback, &[code], true);
        assert_eq!(codes, [Code::R21, Code::P01, code]);
    }
    let bridge = of(Class::ContainerNetwork, &[], false);
    assert_eq!(bridge, [Code::R04, Code::R12, Code::P01]);
    let bridge = of(Class::ContainerNetwork, &[], true);
    assert_eq!(bridge, [Code::R21, Code::P01, Code::R04]);
}

#[test]
fn what_is_out_of_reach_is_not_said_to_have_stopped() {
    for (connect, code) in [
        (Connect::TimedOut(Duration::from_secs(1)), Code::P02),
        (Connect::Unreachable("no route".into()), Code::P03),
    ] {
        let seen = seen(connect);
        let codes = findings(&Facts {
            lease: Lease::None,
            ..facts(Class::Public, &[], &seen)
        });
        assert_eq!(codes, [code]);
    }
}

#[test]
fn what_this_host_could_not_try_is_accused_of_nothing() {
    let ours = seen(Connect::Ours("Too many open files (os error 24)".into()));
    for (class, code) in [
        (Class::ContainerNetwork, Code::R04),
        (Class::Private, Code::R06),
        (Class::Public, Code::R18),
        (Class::Loopback, Code::R02),
    ] {
        let codes = findings(&Facts {
            lease: Lease::None,
            alone: true,
            ..facts(class, &[code], &ours)
        });
        assert_eq!(codes, []);
    }
}

#[test]
fn a_private_address_without_a_route_is_told_from_one_on_the_link() {
    let seen = seen(Connect::Unreachable(
        "Network is unreachable (os error 101)".into(),
    ));
    let of = |on_link| {
        findings(&Facts {
            on_link,
            ..facts(Class::Private, &[], &seen)
        })
    };
    assert_eq!(of(false), [Code::R05, Code::P03]);
    assert_eq!(of(true), [Code::P03]);
}

#[test]
fn what_a_server_says_has_a_code_of_its_own() {
    for (spoke, code) in [
        (Spoke::Http("HTTP/1.1 400 Bad Request".into()), Code::P05),
        (Spoke::Tls, Code::P06),
        (Spoke::Http2, Code::P07),
        (Spoke::Redis, Code::P11),
        (Spoke::MySql, Code::P11),
        (Spoke::Ssh("SSH-2.0-OpenSSH_9.2".into()), Code::P11),
        (Spoke::Other("220 mail".into()), Code::P11),
    ] {
        let seen = Seen {
            spoke: Some(spoke),
            ..seen(OPEN)
        };
        assert_eq!(findings(&facts(Class::Public, &[], &seen)), [code]);
    }
}

#[test]
fn a_call_tells_a_live_server_from_a_hung_one_and_distance_from_both() {
    let far = Connect::Open(Duration::from_millis(80));
    let of = |connect: &Connect, call| {
        let seen = Seen {
            call: Some(call),
            ..seen(connect.clone())
        };
        findings(&facts(Class::Public, &[], &seen))
    };
    let answered = || Called::Answered(Duration::from_millis(1), "unknown method".into());
    assert_eq!(of(&OPEN, answered()), [Code::P10]);
    let own = "tidegate: no usable endpoint for item";
    let own = Called::Answered(Duration::from_millis(1), own.into());
    assert_eq!(of(&OPEN, own), [Code::R16]);
    assert_eq!(of(&far, answered()), [Code::P12, Code::P10]);
    assert_eq!(
        of(&OPEN, Called::Silent(Duration::from_secs(1))),
        [Code::P08]
    );
    assert_eq!(of(&OPEN, Called::Closed), []);
}

#[test]
fn how_far_is_too_far_is_what_the_callers_wait() {
    let far = seen(Connect::Open(Duration::from_millis(81)));
    let of = |millis| {
        findings(&Facts {
            connect_timeout: Duration::from_millis(millis),
            ..facts(Class::Public, &[], &far)
        })
    };
    assert_eq!(of(50), [Code::P12]);
    assert_eq!(of(80), [Code::P12]);
    assert_eq!(of(1200), []);
}

#[test]
fn an_idle_connection_that_is_closed_is_a_finding_and_one_that_stays_is_none() {
    let of = |idle| {
        let seen = Seen {
            idle: Some(idle),
            ..seen(OPEN)
        };
        findings(&facts(Class::Public, &[], &seen))
    };
    assert_eq!(of(Idle::Closed(Duration::from_secs(5))), [Code::P09]);
    assert_eq!(of(Idle::Open(Duration::from_secs(12))), []);
}

#[test]
fn a_server_that_closes_later_than_clients_keep_their_connections_is_not_accused() {
    let of = |after| {
        let seen = Seen {
            idle: Some(Idle::Closed(Duration::from_millis(after))),
            ..seen(OPEN)
        };
        findings(&facts(Class::Public, &[], &seen))
    };
    // Kitex closes at ten minutes, before v0.14 at two.
    for after in [120_003, 600_004] {
        assert_eq!(of(after), [], "{after} ms");
    }
    for after in [5_001, 30_002, 60_003] {
        assert_eq!(of(after), [Code::P09], "{after} ms");
    }
}

#[test]
fn notes_come_last() {
    let refused = seen(REFUSED);
    let codes = findings(&facts(Class::Public, &[Code::R08, Code::R11], &refused));
    assert_eq!(codes, [Code::R08, Code::P01, Code::R11]);
}
