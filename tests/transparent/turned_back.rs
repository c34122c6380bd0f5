//! Loops, and clients that dial tidegate itself.

use std::net::SocketAddr;

use scripted::{Answer, Framing, Header};

use crate::host::{Family, Host, MARK, PORT, TOOLS, call, instance, iptables, metric, redirect};
use crate::netns::inside;

/// The text of the exception that ends a loop.
fn loop_said(answer: Answer) -> String {
    match answer {
        Answer::Exception(6, said) => {
            assert!(said.contains("not carried to"), "{said}");
            said
        }
        other => panic!("answered: {other:?}"),
    }
}

#[test]
fn rules_that_catch_tidegates_own_connections_make_no_loop() {
    inside(
        "turned_back::rules_that_catch_tidegates_own_connections_make_no_loop",
        || async {
            let (known, stranger) = (Family::V4.instance(1), Family::V4.instance(2));
            let server = instance(known).await;
            let host = Host::start_marked(&[("item", known)], "", MARK + 1).await;
            for tool in TOOLS {
                // The rules let another mark pass than the one tidegate has.
                redirect(tool, "8888", MARK);
                for to in [known, stranger] {
                    for framing in Framing::ALL {
                        let said = loop_said(call(to, framing, Header::default()).await);
                        assert!(said.contains("--uid, --gid or --mark"), "{said}");
                    }
                }
                iptables(&format!("--remove {tool}"));
            }
            assert_eq!(server.calls(), 0);
            let exceptions = metric("tidegate_calls_total", "outcome=\"exception\"");
            assert_eq!(exceptions, 0, "no instance has said anything");
            let loops = host.redirects("loop");
            let came = metric("tidegate_client_connections_total", "redirect");
            // Each call's own connection, and the one that came back; retries and failover add a few.
            assert!(
                loops > 0 && came < 16 * 12,
                "{loops} loops, {came} connections"
            );
        },
    );
}

#[test]
fn a_client_that_dials_the_transparent_port_itself_is_told_what_to_dial() {
    inside(
        "turned_back::a_client_that_dials_the_transparent_port_itself_is_told_what_to_dial",
        || async {
            let known = Family::V4.instance(1);
            let _server = instance(known).await;
            let host = Host::start(&[("item", known)], "").await;
            let itself = [
                SocketAddr::from(([127, 0, 0, 1], PORT)),
                SocketAddr::new(Family::V4.address(1), PORT),
            ];
            for round in 0..2 {
                // With the rules there is connection tracking, which then names our own address.
                if round == 1 {
                    redirect("", "8888", MARK);
                }
                for to in itself {
                    for framing in Framing::ALL {
                        let said = loop_said(call(to, framing, Header::default()).await);
                        assert!(said.contains("dial the service's own address"), "{said}");
                    }
                }
            }
            let calls = 4 * Framing::ALL.len() as u64;
            assert_eq!(host.redirects("direct"), calls);
        },
    );
}
