//! What is well, however odd it looks: nothing is held against it.

use std::time::Duration;

use etcd_client::Client;
use scripted::{Act, Options};
use tokio::net::{UdpSocket, UnixListener};
use tokio::time::sleep;

use crate::lab::{Lab, PREFIX, Running, sh, value};
use crate::netns::inside;
use crate::servers::{closes_on_noise, greets, thrift};

#[test]
fn nothing_healthy_is_accused() {
    inside("healthy::nothing_healthy_is_accused", || async {
        let mut lab = Lab::new().await;
        lab.give_ipv6();
        let mut kept = Vec::new();
        let mut names = Vec::new();
        for (service, address) in [
            ("plain", "10.77.0.1:8901"),
            ("ipv6", "[fd77::1]:8902"),
            // Several services on one address.
            ("shared-a", "10.77.0.1:8903"),
            ("shared-b", "10.77.0.1:8903"),
            // Ranges that say nothing once somebody answers there.
            ("container-range", "172.17.0.2:8904"),
            ("carrier-range", "100.64.0.9:8905"),
            ("other-private", "192.168.77.5:8906"),
            ("many-ports", "10.77.0.1:8907"),
            ("mapped", "[::ffff:10.77.0.1]:8901"),
        ] {
            let ip = address.rsplit_once(':').unwrap().0;
            if !ip.contains("77.0.1") && !ip.contains("fd77") {
                crate::lab::sh(&format!("ip addr add {ip}/32 dev lo"));
                lab.on_caller(&format!("ip route add {ip}/32 via 10.77.0.1"));
            }
            if !address.contains("ffff") && service != "shared-b" {
                kept.push(thrift(address).await);
            }
            lab.register(service, address).await;
            names.push(service);
        }
        // Slow, and well.
        let slow = Options::always(Act::Delay(Duration::from_millis(400)));
        kept.push(
            slow.listen("10.77.0.1:8908".parse().unwrap())
                .start()
                .await
                .unwrap(),
        );
        lab.register("slow", "10.77.0.1:8908").await;
        // A unix socket of this host: namespaces of the network share files.
        let socket = lab.path("item.sock");
        let _unix = UnixListener::bind(&socket).unwrap();
        lab.put("socket", &socket, &value("unix", &socket, 10))
            .await;
        // A server that closes on what it does not understand, as Apache Thrift's do.
        closes_on_noise("10.77.0.1:8909").await;
        lab.register("strict", "10.77.0.1:8909").await;
        // Written by hand, with no lease.
        let key = format!("{PREFIX}/by-hand/10.77.0.1:8901");
        lab.put_key(&key, r#"{"network":"tcp","address":"10.77.0.1:8901"}"#)
            .await;
        names.extend(["slow", "socket", "strict", "by-hand"]);
        let told = lab.doctor(&names).await;
        let accused: Vec<_> = names
            .iter()
            .filter(|it| !told.codes(it).is_empty())
            .collect();
        assert!(accused.is_empty(), "{accused:?}: {:#}", told.json);
        assert_eq!(told.exit, 0, "{:#}", told.json);
        // The kernel alone accepts on that socket: a call would be left there.
        names.retain(|it| *it != "socket");
        // The same with calls: slow, strict or neither, whoever answers is alive.
        let told = lab.doctor(&[&["--call"], &names[..]].concat()).await;
        let dead: Vec<_> = names
            .iter()
            .filter(|it| told.codes(it).iter().any(|code| code != "P10"))
            .collect();
        assert!(dead.is_empty(), "{dead:?}: {:#}", told.json);
        assert_eq!(told.exit, 0);
        eprintln!("{} healthy services twice", names.len());
    });
}

#[test]
fn what_answers_on_a_container_bridge_of_this_host_is_not_accused() {
    let name = "healthy::what_answers_on_a_container_bridge_of_this_host_is_not_accused";
    inside(name, || async {
        let mut lab = Lab::new().await;
        // The servers' namespace is a container of the caller's as well.
        let docker = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0";
        lab.on_caller(&format!("{docker}; ip link set docker0 up"));
        sh(&format!(
            "ip link add inside type veth peer name port netns {}; ip addr add 172.17.0.6/16 dev inside; \
             ip link set inside up",
            lab.pid()
        ));
        lab.on_caller("ip link set port master docker0; ip link set port up");
        let _container = thrift("172.17.0.6:8941").await;
        lab.register("container", "172.17.0.6:8941").await;
        // A server of the caller's own host that registered the first address it found.
        let mut own = lab.command_on_caller("python3");
        let silent =
            "import socket, time; at = socket.create_server(('0.0.0.0', 8942)); time.sleep(60)";
        own.args(["-c", silent]);
        let _own = Running(own.spawn().unwrap());
        lab.on_caller("until ss -ltn | grep -q :8942; do sleep 0.05; done");
        lab.register("own", "172.17.0.1:8942").await;
        let told = lab.doctor(&["container"]).await;
        assert_eq!(
            (told.codes("container"), told.exit),
            (vec![], 0),
            "{:#}",
            told.json
        );
        assert_eq!(told.notes(), 0, "{:#}", told.json);
        // Whose it is nobody knows: that is said, and held against nobody.
        let told = lab.doctor(&["container", "own"]).await;
        assert_eq!(
            (told.codes("own"), told.exit),
            (vec![], 0),
            "{:#}",
            told.json
        );
        assert_eq!(
            (told.verdict("own"), told.notes()),
            ("reachable", 1),
            "{:#}",
            told.json
        );
    });
}

#[test]
fn notes_are_no_accusations() {
    inside("healthy::notes_are_no_accusations", || async {
        let mut lab = Lab::new().await;
        let _server = thrift("10.77.0.1:8911").await;
        lab.put(
            "weightless",
            "10.77.0.1:8911",
            &value("tcp", "10.77.0.1:8911", 0),
        )
        .await;
        lab.put(
            "twice",
            "10.77.0.1:8911",
            &value("tcp", "10.77.0.1:8911", 10),
        )
        .await;
        greets("10.77.0.1:8912", b"\0\0\0\x04\0\0\0\0\0").await;
        lab.register("grpc", "10.77.0.1:8912").await;
        let told = lab.doctor(&["weightless", "twice", "grpc"]).await;
        assert_eq!(told.codes("weightless"), ["R10"]);
        assert_eq!(told.codes("grpc"), ["P07"]);
        assert_eq!((told.codes("twice"), told.exit), (vec![], 0));
    });
}

#[test]
fn a_service_in_the_middle_of_a_restart_is_not_accused() {
    inside(
        "healthy::a_service_in_the_middle_of_a_restart_is_not_accused",
        || async {
            let mut lab = Lab::new().await;
            lab.register("restarts", "10.77.0.1:8921").await;
            lab.register("stops", "10.77.0.1:8922").await;
            let comes = tokio::spawn(async {
                sleep(Duration::from_millis(500)).await;
                thrift("10.77.0.1:8921").await
            });
            let mut client = lab.client.clone();
            let goes = tokio::spawn(async move {
                sleep(Duration::from_millis(500)).await;
                let key = format!("{PREFIX}/stops/10.77.0.1:8922");
                client.delete(key, None).await.unwrap();
            });
            let told = lab.doctor(&["restarts", "stops"]).await;
            assert_eq!(
                told.codes("restarts"),
                Vec::<String>::new(),
                "{:#}",
                told.json
            );
            assert_eq!(told.verdict("restarts"), "reachable");
            assert!(
                !told.codes("stops").contains(&"P01".to_owned()),
                "{:#}",
                told.json
            );
            drop((comes.await, goes.await));
        },
    );
}

#[test]
fn a_server_that_restarts_on_this_host_is_not_accused_while_its_key_is_away() {
    inside(
        "healthy::a_server_that_restarts_on_this_host_is_not_accused_while_its_key_is_away",
        || async {
            let mut lab = Lab::new().await;
            let _second = thrift("10.77.0.1:8941").await;
            lab.register("one-of-two", "10.77.0.1:8941").await;
            // The first two are away when the look begins, the third goes in the middle of it.
            for (servers, after) in [
                (
                    &[("one-of-two", "10.77.0.2:8942"), ("only", "10.77.0.2:8943")][..],
                    0,
                ),
                (&[("goes-meanwhile", "10.77.0.2:8944")], 500),
            ] {
                let mut kept = Vec::new();
                let mut restarts = Vec::new();
                for (service, address) in servers {
                    lab.register(service, address).await;
                    let port = address.rsplit_once(':').unwrap().1;
                    // The new process listens before it registers.
                    kept.push(lab.silent(port, 2 * after + 100));
                    restarts.push(restart(lab.client.clone(), service, address, after));
                }
                let names: Vec<&str> = servers.iter().map(|(service, _)| *service).collect();
                let told = async {
                    sleep(Duration::from_millis(50)).await;
                    lab.doctor(&names).await
                };
                let (told, _) = tokio::join!(told, futures_util::future::join_all(restarts));
                for service in names {
                    assert_eq!(told.codes(service), [""; 0], "{service}: {:#}", told.json);
                }
                assert_eq!(told.exit, 0);
            }
        },
    );
}

/// The key goes after so many milliseconds, and comes back 1.4 s later.
async fn restart(mut client: Client, service: &str, address: &str, after: u64) {
    let key = format!("{PREFIX}/{service}/{address}");
    sleep(Duration::from_millis(after)).await;
    client.delete(key.clone(), None).await.unwrap();
    sleep(Duration::from_millis(1400)).await;
    let value = value("tcp", address, 10);
    client.put(key, value, None).await.unwrap();
}

#[test]
fn a_lone_laptop_where_all_is_on_loopback_is_well() {
    inside(
        "healthy::a_lone_laptop_where_all_is_on_loopback_is_well",
        || async {
            let mut lab = Lab::new().await;
            sh(
                "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up",
            );
            let _bridged = thrift("172.17.0.1:8933").await;
            lab.register("bridged", "172.17.0.1:8933").await;
            let _both = (thrift("127.0.0.1:8931").await, thrift("[::1]:8932").await);
            lab.register("item", "127.0.0.1:8931").await;
            lab.register("six", "[::1]:8932").await;
            lab.register("named", "localhost:8931").await;
            let file = lab.write(
                "services.toml",
                "[[instance]]\nservice = \"filed\"\naddress = \"127.0.0.1:8931\"\n",
            );
            let config = lab.write(
            "laptop.toml",
            &format!(
                "[[registry]]\nname = \"etcd\"\nkind = \"etcd\"\nendpoints = [\"http://127.0.0.1:2379\"]\n\
                 [[registry]]\nname = \"file\"\nkind = \"file\"\npath = \"{file}\"\n\
                 [[listener]]\nname = \"all\"\nlisten = \"127.0.0.1:18890\"\nregistry = \"etcd\"\n\
                 [[service]]\nname = \"filed\"\nregistry = \"file\"\n\
                 [[service]]\nname = \"fixed\"\nendpoints = [\"127.0.0.1:8931\"]\n"
            ),
        );
            // On the servers' own host.
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
            command.args(["doctor", "--json", "-c", &config]);
            let told = crate::told::Told::of(&crate::lab::output(command).await);
            for service in ["item", "six", "named", "bridged", "filed", "fixed"] {
                assert_eq!(
                    told.codes(service),
                    Vec::<String>::new(),
                    "{service}: {:#}",
                    told.json
                );
                assert_eq!(told.verdict(service), "reachable");
            }
            assert_eq!(told.exit, 0);
        },
    );
}

#[test]
fn a_resolver_that_does_not_answer_accuses_no_name() {
    inside(
        "healthy::a_resolver_that_does_not_answer_accuses_no_name",
        || async {
            let mut lab = Lab::new().await;
            lab.register("named", "item.internal:8888").await;
            // Asked, and silent; without a way; and nobody there.
            let _silent = UdpSocket::bind("10.77.0.1:53").await.unwrap();
            lab.on_caller("ip addr add 10.77.0.3/32 dev lo");
            for resolver in ["10.77.0.1", "203.0.113.53", "10.77.0.3"] {
                lab.ask_for_names(resolver);
                let told = lab.doctor(&["named"]).await;
                assert_eq!(told.codes("named"), [""; 0], "{resolver}: {:#}", told.json);
                assert_eq!((told.verdict("named"), told.exit), ("unknown", 3));
                let (said, _) = lab.doctor_says(&["named"]).await;
                let words: Vec<&str> = said.split_whitespace().collect();
                let words = words.join(" ");
                assert!(
                    words.contains("this host's resolver does not answer"),
                    "{said}"
                );
                assert!(words.contains("check /etc/resolv.conf"), "{said}");
                let (said, _) = lab.doctor_says(&["named", "--lang", "zh"]).await;
                assert!(said.contains("/etc/resolv.conf"), "{said}");
            }
        },
    );
}
