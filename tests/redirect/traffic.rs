//! What the rules do to connections.

use std::process::Stdio;

use crate::bench::{Bench, V4, V6};
use crate::peer::Peer;

/// Each with the address that names it there.
const ADDRESSES: [&str; 2] = [V4, V6];

fn here(address: &str) -> &'static str {
    if address == V4 { "127.0.0.1" } else { "[::1]" }
}

#[test]
fn a_connection_to_a_port_that_is_asked_for_comes_to_the_listener_with_its_destination() {
    Bench::each("a_connection_is_redirected", |bench| {
        let _server = Peer::listen(&bench.netns, "15001 8888");
        bench.does("--apply --mark 42 --ports 8888,9000-9100");
        for address in ADDRESSES {
            for port in [8888, 9000, 9050, 9100] {
                let to = format!("{address}:{port}");
                assert_eq!(bench.dials(&to, 0), format!("at 15001 for {to}"));
            }
        }
        bench.does("--remove");
        for address in ADDRESSES {
            assert!(
                bench
                    .dials(&format!("{address}:8888"), 0)
                    .starts_with("at 8888 ")
            );
        }
    });
}

#[test]
fn what_must_pass_passes() {
    Bench::each("what_must_pass_passes", |bench| {
        let _server = Peer::listen(&bench.netns, "15001 8888 8889 8890 2379 9901");
        let passes = |to: &str, mark| {
            let told = bench.dials(to, mark);
            let port = to.rsplit(':').next().unwrap();
            assert!(told.starts_with(&format!("at {port} ")), "{to}: {told}");
        };
        bench.does("--apply --mark 42 --ports 2379,8888-8889,9901,15001 --exclude 8889");
        for address in ADDRESSES {
            // tidegate's own; etcd's, the listener's and excluded ports; one that isn't asked for; loopback.
            passes(&format!("{address}:8888"), 42);
            for port in [2379, 15001, 8889, 8890] {
                passes(&format!("{address}:{port}"), 0);
            }
            passes(&format!("{}:8888", here(address)), 0);
            assert!(
                bench
                    .dials(&format!("{address}:8888"), 43)
                    .starts_with("at 15001 ")
            );
        }
        bench.does("--apply --mark 42 --ports 8888,9901 --loopback --exclude 10.9.0.0/16 --exclude fd09::/16");
        for address in ADDRESSES {
            passes(&format!("{address}:8888"), 0);
            passes(&format!("{}:9901", here(address)), 0);
            let to = format!("{}:8888", here(address));
            assert_eq!(bench.dials(&to, 0), format!("at 15001 for {to}"));
        }
    });
}

#[test]
fn the_traffic_of_tidegates_own_user_passes() {
    Bench::each("the_traffic_of_tidegates_own_user_passes", |bench| {
        if !bench.netns.is_roots() {
            return;
        }
        let _server = Peer::listen(&bench.netns, "15001 8888");
        let dials = |flags: &str, host: &str| {
            bench.sh(&format!(
                "setpriv {flags} bash -c 'exec 3<>/dev/tcp/{host}/8888; head -n 1 <&3'"
            ))
        };
        for own in ["--uid 1337", "--gid 1337"] {
            bench.does(&format!("--apply {own} --ports 8888"));
            for host in ["10.9.9.9", "fd09::9"] {
                let us = dials("--reuid 1337 --regid 1337 --clear-groups", host);
                assert!(us.starts_with("at 8888 "), "{own}: {us}");
                let other = dials("--reuid 1338 --regid 1338 --clear-groups", host);
                assert!(other.starts_with("at 15001 "), "{own}: {other}");
            }
        }
    });
}

#[test]
fn connections_that_were_open_before_the_rules_stay_where_they_are() {
    Bench::each("connections_that_were_open_before", |bench| {
        let _server = Peer::listen(&bench.netns, "15001 8888");
        let mut before = Peer::dial(&bench.netns, &format!("{V4}:8888"), 0);
        assert!(before.says().starts_with("at 8888 "));
        bench.does("--apply --mark 42 --ports 8888");
        assert_eq!(before.echo("still"), "still");
        let mut during = Peer::dial(&bench.netns, &format!("{V4}:8888"), 0);
        assert!(during.says().starts_with("at 15001 "));
        // An exchange of the rules resets nothing either.
        bench.does("--apply --mark 42 --ports 9999");
        assert_eq!(
            (before.echo("a"), during.echo("b")),
            ("a".into(), "b".into())
        );
    });
}

#[test]
fn a_removal_with_drain_waits_for_the_redirected_connections_and_redirects_no_more() {
    Bench::each("a_removal_with_drain_waits", |bench| {
        let _server = Peer::listen(&bench.netns, "15001 8888");
        bench.does("--apply --mark 42 --ports 8888");
        let to = format!("{V4}:8888");
        let mut caller = Peer::dial(&bench.netns, &to, 0);
        assert!(caller.says().starts_with("at 15001 "));
        let mut removal = bench.tidegate("--remove --drain 60s");
        let mut removal = removal.stderr(Stdio::null()).spawn().unwrap();
        let direct = (0..200).any(|_| bench.dials(&to, 0).starts_with("at 8888 "));
        assert!(direct, "the jump is out");
        assert_eq!(caller.echo("still"), "still");
        assert!(removal.try_wait().unwrap().is_none(), "it waits");
        drop(caller);
        assert!(removal.wait().unwrap().success());
        assert!(!bench.rules().to_lowercase().contains("tidegate"));
    });
}
