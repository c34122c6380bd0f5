//! Clients that dial a registered address.

use std::time::Duration;

use scripted::header::key::TO_SERVICE;
use scripted::{Act, Answer, Framing, Header, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::host::{
    Family, Host, INSTANCE, MARK, TOOLS, call, dial, echo, eventually, instance, iptables, redirect,
};
use crate::netns::inside;

#[test]
fn a_client_that_dials_a_dead_instance_is_served_by_another() {
    inside(
        "instances::a_client_that_dials_a_dead_instance_is_served_by_another",
        || async {
            for family in [Family::V4, Family::V6] {
                let (alive, dead) = (family.instance(1), family.instance(2));
                let server = instance(alive).await;
                let host = Host::start(&[("item", alive), ("item", dead)], "").await;
                for tool in TOOLS {
                    redirect(tool, "8888", MARK);
                    let before = host.redirects("service");
                    for framing in Framing::ALL {
                        for to in [alive, dead] {
                            let answer = call(to, framing, Header::default()).await;
                            assert_eq!(answer, echo(), "{family:?} {tool} {framing:?} {to}");
                        }
                    }
                    let calls = 2 * Framing::ALL.len() as u64;
                    assert_eq!(host.redirects("service"), before + calls);
                    iptables(&format!("--remove {tool}"));
                }
                assert_eq!(server.calls(), 4 * Framing::ALL.len() as u64);
                host.app.drain().await;
            }
        },
    );
}

#[test]
fn a_connection_outlives_the_instance_that_its_client_chose() {
    inside(
        "instances::a_connection_outlives_the_instance_that_its_client_chose",
        || async {
            let (first, second) = (Family::V4.instance(1), Family::V4.instance(2));
            let (one, two) = (instance(first).await, instance(second).await);
            let entries = [("item", first), ("item", second)];
            let _host = Host::start(&entries, "sticky_destination = true").await;
            redirect("", "8888", MARK);
            let mut client = dial(first, Framing::Framed).await;
            for _ in 0..20 {
                assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
            }
            assert_eq!(
                (one.calls(), two.calls()),
                (20, 0),
                "its own choice is kept"
            );
            drop(one);
            // Its end is known before the next call: what was in flight then would be lost with it.
            let gone = || std::net::TcpListener::bind(first).is_ok();
            eventually("it is gone", gone).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            for _ in 0..20 {
                assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
            }
            assert_eq!(two.calls(), 20);
        },
    );
}

#[test]
fn an_address_that_has_just_left_the_registry_still_means_its_service() {
    inside(
        "instances::an_address_that_has_just_left_the_registry_still_means_its_service",
        || async {
            let (alive, gone) = (Family::V4.instance(1), Family::V4.instance(2));
            let _server = instance(alive).await;
            let host = Host::start(&[("item", alive), ("item", gone)], "").await;
            redirect("", "8888", MARK);
            host.register(&[("item", alive)]);
            let shown = || host.app.services().to_string().contains(&gone.to_string());
            eventually("it has left", || !shown()).await;
            let answer = call(gone, Framing::Framed, Header::default()).await;
            assert_eq!(answer, echo());
            assert_eq!(host.redirects("unregistered"), 0);
        },
    );
}

/// Two services at one address, each with an instance of its own besides.
async fn shared(listener: &str) -> (Host, [scripted::Server; 3]) {
    let both = Family::V4.instance(1);
    let (item, stock) = (Family::V4.instance(2), Family::V4.instance(3));
    let servers = [
        instance(both).await,
        instance(item).await,
        instance(stock).await,
    ];
    let entries = [
        ("item", both),
        ("stock", both),
        ("item", item),
        ("stock", stock),
    ];
    let host = Host::start(&entries, listener).await;
    redirect("", "8888", MARK);
    (host, servers)
}

#[test]
fn a_call_to_the_address_of_two_services_goes_to_the_one_it_names() {
    inside(
        "instances::a_call_to_the_address_of_two_services_goes_to_the_one_it_names",
        || async {
            let (host, [both, item, stock]) = shared("").await;
            let to = both.address();
            drop(both);
            let named = Header::default().int(TO_SERVICE, "stock");
            let by_idl = Header::default().string("isn", "item");
            for _ in 0..10 {
                assert_eq!(call(to, Framing::TtHeader, named.clone()).await, echo());
                assert_eq!(call(to, Framing::TtHeader, by_idl.clone()).await, echo());
            }
            assert_eq!((item.calls(), stock.calls()), (10, 10));
            assert_eq!(host.redirects("shared"), 20);
        },
    );
}

#[test]
fn a_call_that_does_not_say_which_of_two_services_goes_exactly_where_it_was_going() {
    inside(
        "instances::a_call_that_does_not_say_which_of_two_services_goes_exactly_where_it_was_going",
        || async {
            let (_host, [both, item, stock]) = shared("").await;
            let to = both.address();
            for framing in Framing::ALL {
                for _ in 0..3 {
                    assert_eq!(call(to, framing, Header::default()).await, echo());
                }
            }
            let calls = 3 * Framing::ALL.len() as u64;
            assert_eq!((both.calls(), item.calls(), stock.calls()), (calls, 0, 0));
            drop(both);
            let said = call(to, Framing::Framed, Header::default()).await;
            let Answer::Exception(6, said) = said else {
                panic!("{said:?}")
            };
            assert!(
                said.contains(&format!("cannot connect to {to}"))
                    && said.contains("several services are registered there"),
                "{said}"
            );
        },
    );
}

#[test]
fn a_service_that_says_it_does_not_know_the_call_sends_it_where_it_was_going() {
    inside(
        "instances::a_service_that_says_it_does_not_know_the_call_sends_it_where_it_was_going",
        || async {
            let (both, other) = (Family::V4.instance(1), Family::V4.instance(2));
            let right = instance(both).await;
            let unknown = Act::Exception(20, "unknown service".into());
            let wrong = Options::always(unknown)
                .listen(other)
                .start()
                .await
                .unwrap();
            let entries = [("item", both), ("stock", both), ("stock", other)];
            let _host = Host::start(&entries, "").await;
            redirect("", "8888", MARK);
            let named = Header::default().int(TO_SERVICE, "stock");
            for _ in 0..20 {
                assert_eq!(call(both, Framing::TtHeader, named.clone()).await, echo());
            }
            assert_eq!(right.calls(), 20, "each call was answered there in the end");
            assert!(wrong.calls() > 0, "some were elsewhere first");
        },
    );
}

#[test]
fn other_protocols_than_thrift_reach_another_instance_of_the_service_too() {
    inside(
        "instances::other_protocols_than_thrift_reach_another_instance_of_the_service_too",
        || async {
            let (alive, dead) = (Family::V4.instance(1), Family::V4.instance(2));
            let listener = TcpListener::bind(alive).await.unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut hello = [0; 16];
                    stream.read_exact(&mut hello).await.unwrap();
                    stream.write_all(&hello).await.unwrap();
                }
            });
            let _host = Host::start(&[("item", alive), ("item", dead)], "").await;
            redirect("", "8888", MARK);
            let mut stream = TcpStream::connect(dead).await.unwrap();
            stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
            let mut back = [0; 16];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"PRI * HTTP/2.0\r\n");
        },
    );
}

#[test]
fn once_the_rules_are_removed_a_client_dials_as_before() {
    inside(
        "instances::once_the_rules_are_removed_a_client_dials_as_before",
        || async {
            let (alive, dead) = (Family::V4.instance(1), Family::V4.instance(2));
            let server = instance(alive).await;
            let host = Host::start(&[("item", alive), ("item", dead)], "").await;
            for tool in TOOLS {
                redirect(tool, &INSTANCE.to_string(), MARK);
                assert_eq!(call(dead, Framing::Framed, Header::default()).await, echo());
                iptables(&format!("--remove {tool}"));
                let refused = scripted::Client::connect(dead, Framing::Framed).await;
                assert_eq!(
                    refused.err().unwrap().kind(),
                    std::io::ErrorKind::ConnectionRefused
                );
            }
            assert_eq!(
                call(alive, Framing::Framed, Header::default()).await,
                echo()
            );
            assert_eq!(host.redirects("service"), 2);
            eventually("all were answered", || server.calls() == 3).await;
        },
    );
}

#[test]
fn a_reload_that_names_the_service_or_no_longer_does_keeps_its_addresses() {
    inside(
        "instances::a_reload_that_names_the_service_or_no_longer_does_keeps_its_addresses",
        || async {
            let (alive, dead) = (Family::V4.instance(1), Family::V4.instance(2));
            let _server = instance(alive).await;
            let host = Host::start(&[("item", alive), ("item", dead)], "").await;
            redirect("", "8888", MARK);
            let mut open = dial(dead, Framing::Framed).await;
            for config in ["[[service]]\nname = \"item\"\n", ""] {
                assert_eq!(open.call("Echo", "hi").await.unwrap(), echo());
                host.reload(config).await;
                for _ in 0..5 {
                    assert_eq!(call(dead, Framing::Framed, Header::default()).await, echo());
                }
            }
            assert_eq!(open.call("Echo", "hi").await.unwrap(), echo());
            assert_eq!(host.redirects("unregistered"), 0);
        },
    );
}

#[test]
fn a_choice_is_kept_again_once_the_instance_is_back() {
    inside(
        "instances::a_choice_is_kept_again_once_the_instance_is_back",
        || async {
            let (first, second) = (Family::V4.instance(1), Family::V4.instance(2));
            let (one, two) = (instance(first).await, instance(second).await);
            let both = [("item", first), ("item", second)];
            let host = Host::start(&both, "sticky_destination = true").await;
            redirect("", "8888", MARK);
            let mut client = dial(first, Framing::Framed).await;
            assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
            assert_eq!((one.calls(), two.calls()), (1, 0));
            host.register(&both[1..]);
            // Until the choice is looked for again, which is not at once, calls are balanced: one says nothing.
            let mut until_all_go = async |to: &scripted::Server| {
                let mut in_a_row = 0;
                for _ in 0..2_000 {
                    let before = to.calls();
                    assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
                    in_a_row = if to.calls() > before { in_a_row + 1 } else { 0 };
                    if in_a_row == 30 {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                panic!("its calls go elsewhere");
            };
            until_all_go(&two).await;
            host.register(&both);
            until_all_go(&one).await;
        },
    );
}
