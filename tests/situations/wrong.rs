//! Everything that can be wrong with a registration, each really so.

use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, UnixListener};

use crate::lab::{Lab, PREFIX, SERVER, sh, value};
use crate::netns::inside;
use crate::servers::{answers, closes_idle, greets, knows_no_name, program, thrift};

/// The first packet of MySQL 8.0 and its password's salt cut short: what a client reads first.
const MYSQL: &[u8] =
    b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0";
const REDIS: &[u8] = b"-ERR unknown command '\x16\x03\x01', with args beginning with: \r\n";
const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
/// An empty SETTINGS frame, with which gRPC's servers begin.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A service with one registration, and the codes held against it.
struct Situation {
    service: &'static str,
    address: &'static str,
    codes: &'static [&'static str],
}

const fn wrong(
    service: &'static str,
    address: &'static str,
    codes: &'static [&'static str],
) -> Situation {
    Situation {
        service,
        address,
        codes,
    }
}

/// By the address alone, or by what a connect from the caller's host comes to.
const SITUATIONS: [Situation; 25] = [
    wrong("loopback", "127.0.0.1:8890", &["R02", "P01"]),
    wrong("v6-loopback", "[::1]:8890", &["R02", "P03"]),
    wrong("unspecified", "0.0.0.0:8888", &["R01"]),
    wrong("v6-unspecified", "[::]:8888", &["R01"]),
    wrong("no-port", "10.77.0.1:0", &["R01"]),
    wrong("link-local", "169.254.207.55:8000", &["R03", "P03"]),
    wrong("container", "172.17.0.2:8888", &["R04", "P03"]),
    wrong("private", "192.168.77.5:8888", &["R05", "P03"]),
    wrong("vpn", "100.100.7.7:8888", &["R06", "P03"]),
    wrong("no-route", "203.0.113.9:8888", &["P03"]),
    wrong("dropped", "10.77.0.1:8801", &["P02"]),
    wrong("nobody-there", "10.77.0.99:8888", &["P02"]),
    wrong("forbidden", "10.77.0.1:8802", &["P03"]),
    wrong("rejected", "10.77.0.1:8812", &["P01"]),
    wrong("refused", "10.77.0.1:8803", &["P01"]),
    wrong("http", "10.77.0.1:8804", &["P05"]),
    wrong("redis", "10.77.0.1:8805", &["P11"]),
    wrong("mysql", "10.77.0.1:8806", &["P11"]),
    wrong("ssh", "10.77.0.1:8807", &["P11"]),
    wrong("tls", "10.77.0.1:8808", &["P06"]),
    wrong("far", "10.77.0.1:8811", &["P12"]),
    wrong("unresolved", "no-such-host.invalid:8888", &["R17"]),
    wrong("resolves-to-loopback", "localhost:8890", &["R17", "P01"]),
    wrong("no-brackets", "fd77::1:8888", &["R07"]),
    wrong("metadata", "169.254.169.254:80", &["R14"]),
];

#[test]
fn each_cause_is_named_by_its_code() {
    inside("wrong::each_cause_is_named_by_its_code", || async {
        let mut lab = Lab::new().await;
        firewall();
        knows_no_name("10.77.0.1:53").await;
        lab.ask_for_names(SERVER);
        let _python = program("10.77.0.1:8804", "python3", &["-m", "http.server", "8804"]).await;
        let _tls = tls(&lab).await;
        answers("10.77.0.1:8805", REDIS).await;
        greets("10.77.0.1:8806", MYSQL).await;
        greets("10.77.0.1:8807", SSH).await;
        let _far = thrift("10.77.0.1:8811").await;
        for it in &SITUATIONS {
            lab.register(it.service, it.address).await;
        }
        let odd = odd_entries(&mut lab).await;
        let told = lab.doctor(&[]).await;
        let plain = SITUATIONS.iter().map(|it| (it.service, it.codes));
        let named: Vec<_> = plain.chain(odd).collect();
        let wrong: Vec<String> = named
            .iter()
            .filter(|(service, codes)| told.codes(service) != *codes)
            .map(|(service, codes)| format!("{service}: {:?}, not {codes:?}", told.codes(service)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{:#}", told.json);
        assert_eq!(told.exit, 1);
        eprintln!("{} situations named", named.len());
    });
}

/// Entries that Kitex does not write by itself, or whose address is no address of a host.
async fn odd_entries(lab: &mut Lab) -> [(&'static str, &'static [&'static str]); 7] {
    lab.put(
        "key-differs",
        "10.77.0.1:8803",
        &value("tcp", "10.77.0.1:8811", 10),
    )
    .await;
    lab.put("unreadable", "10.77.0.1:8888", "10.77.0.1:8888")
        .await;
    lab.put(
        "network",
        "10.77.0.1:8888",
        &value("udp", "10.77.0.1:8888", 10),
    )
    .await;
    let socket = lab.path("elsewhere.sock");
    lab.put("socket", &socket, &value("unix", &socket, 10))
        .await;
    lab.register("no-ipv6", "[fd77::1]:8888").await;
    let left = lab.path("left.sock");
    drop(UnixListener::bind(&left).unwrap());
    lab.put("stale-socket", &left, &value("unix", &left, 10))
        .await;
    let key = format!("{PREFIX}/no-lease/10.77.0.1:8803");
    lab.put_key(&key, &value("tcp", "10.77.0.1:8803", 10)).await;
    [
        ("key-differs", &["R08", "P12"]),
        ("unreadable", &["R09"]),
        ("network", &["R15"]),
        ("socket", &["R19"]),
        ("stale-socket", &["R19"]),
        ("no-ipv6", &["R18", "P03"]),
        ("no-lease", &["P01", "R12"]),
    ]
}

/// What drops, what rejects, and what makes a round trip long: every first SYN is lost, so that a connect takes a second.
fn firewall() {
    sh("iptables -w -A INPUT -p tcp --dport 8801 -j DROP");
    sh("iptables -w -A INPUT -p tcp --dport 8802 -j REJECT --reject-with icmp-admin-prohibited");
    sh("iptables -w -A INPUT -p tcp --dport 8812 -j REJECT --reject-with tcp-reset");
    sh(
        "iptables -w -A INPUT -p tcp --dport 8811 --syn -m statistic --mode nth --every 2 --packet 0 -j DROP",
    );
}

async fn tls(lab: &Lab) -> crate::lab::Running {
    let (key, cert) = (lab.path("key.pem"), lab.path("cert.pem"));
    sh(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x \
         -keyout {key} -out {cert} 2>/dev/null"
    ));
    let args = ["s_server", "-accept", "8808", "-key", &key, "-cert", &cert];
    program("10.77.0.1:8808", "openssl", &args).await
}

#[test]
fn a_container_bridge_of_this_host_makes_no_other_hosts_container_its_own() {
    let name = "wrong::a_container_bridge_of_this_host_makes_no_other_hosts_container_its_own";
    inside(name, || async {
        let mut lab = Lab::new().await;
        let docker = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0";
        lab.on_caller(&format!("{docker}; ip link set docker0 up"));
        let http = |args: &[&str]| {
            let mut command = lab.command_on_caller("python3");
            command
                .args(args)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            crate::lab::Running(command.spawn().unwrap())
        };
        let _own = http(&["-m", "http.server", "8894"]);
        lab.on_caller("until ss -ltn | grep -q :8894; do sleep 0.05; done");
        for (service, address) in [
            ("container", "172.17.0.5:8888"),
            ("bridge", "172.17.0.1:8888"),
            ("own-program", "172.17.0.1:8894"),
        ] {
            lab.register(service, address).await;
        }
        let told = lab.doctor(&[]).await;
        for (service, codes) in [
            ("container", ["R04", "P02"]),
            ("bridge", ["R04", "P01"]),
            ("own-program", ["R04", "P05"]),
        ] {
            assert_eq!(told.codes(service), codes, "{service}: {:#}", told.json);
            let first = &told.service(service)["instances"][0]["remedies"][0];
            let is_a_containers = first["what"].as_str().unwrap().starts_with("Publish");
            assert_eq!(is_a_containers, service == "container", "{first}");
        }
        assert_eq!(told.exit, 1);
    });
}

#[test]
fn a_private_address_behind_a_default_route_is_no_matter_of_a_firewall_alone() {
    let name = "wrong::a_private_address_behind_a_default_route_is_no_matter_of_a_firewall_alone";
    inside(name, || async {
        let mut lab = Lab::new().await;
        // As a laptop's: it takes all, and what is not of its network goes nowhere.
        lab.on_caller("ip route add default via 10.77.0.1");
        sh("iptables -w -P FORWARD DROP; iptables -w -A INPUT -p tcp --dport 8801 -j DROP");
        lab.register("elsewhere", "172.26.3.9:8888").await;
        lab.register("on-link", "10.77.0.1:8801").await;
        lab.register("public", "203.0.113.9:8888").await;
        let told = lab.doctor(&[]).await;
        for (service, is_of_a_network) in
            [("elsewhere", true), ("on-link", false), ("public", false)]
        {
            assert_eq!(told.codes(service), ["P02"], "{:#}", told.json);
            let first = &told.service(service)["instances"][0]["remedies"][0];
            let says = first["what"].as_str().unwrap().contains("VPN");
            assert_eq!(says, is_of_a_network, "{service}: {first}");
        }
    });
}

#[test]
fn how_long_a_connect_may_take_is_what_the_config_says() {
    let name = "wrong::how_long_a_connect_may_take_is_what_the_config_says";
    inside(name, || async {
        let mut lab = Lab::new().await;
        firewall();
        let _far = thrift("10.77.0.1:8811").await;
        lab.register("far", "10.77.0.1:8811").await;
        let told = lab.doctor(&["far"]).await;
        assert_eq!((told.codes("far"), told.exit), (vec!["P12".into()], 1));
        let registry = "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n";
        let short = "[[service]]\nname = \"far\"\nconnect_timeout = \"600ms\"\n";
        for (policy, codes, exit) in [("", &[][..], 0), (short, &["P12"][..], 1)] {
            let config = lab.write("far.toml", &format!("{registry}{policy}"));
            let told = lab.doctor_with(&["-c", &config, "far"]).await;
            assert_eq!(told.codes("far"), codes, "{:#}", told.json);
            assert_eq!(told.exit, exit);
        }
    });
}

#[test]
fn a_hung_server_is_found_by_a_call_alone() {
    inside("wrong::a_hung_server_is_found_by_a_call_alone", || async {
        let mut lab = Lab::new().await;
        let hung = program("10.77.0.1:8810", "python3", &["-m", "http.server", "8810"]).await;
        sh(&format!("kill -STOP {}", hung.0.id()));
        // Nobody accepts: the kernel does, until its queue is full.
        let full = TcpListener::bind("10.77.0.1:8809").await.unwrap();
        lab.register("hung", "10.77.0.1:8810").await;
        lab.register("unaccepted", "10.77.0.1:8809").await;
        let told = lab.doctor(&["hung", "unaccepted"]).await;
        assert_eq!(told.verdict("hung"), "reachable");
        assert_eq!((told.codes("hung"), told.exit), (vec![], 0));
        let told = lab.doctor(&["--call", "hung", "unaccepted"]).await;
        assert_eq!(
            (told.codes("hung"), told.codes("unaccepted")),
            (vec!["P08".into()], vec!["P08".into()])
        );
        assert_eq!(told.exit, 1);
        sh(&format!("kill -CONT {}", hung.0.id()));
        drop(full);
    });
}

#[test]
fn a_server_that_closes_idle_connections_is_found_by_waiting() {
    inside(
        "wrong::a_server_that_closes_idle_connections_is_found_by_waiting",
        || async {
            let mut lab = Lab::new().await;
            closes_idle("10.77.0.1:8820", Duration::from_secs(2)).await;
            let _stays = thrift("10.77.0.1:8821").await;
            lab.register("closes", "10.77.0.1:8820").await;
            lab.register("stays", "10.77.0.1:8821").await;
            let told = lab.doctor(&["closes", "stays"]).await;
            assert_eq!(told.exit, 0, "{:#}", told.json);
            let told = lab.doctor(&["--idle=4s", "closes", "stays"]).await;
            assert_eq!(
                (told.codes("closes"), told.codes("stays")),
                (vec!["P09".into()], vec![])
            );
            assert_eq!(told.exit, 1);
        },
    );
}

#[test]
fn a_lease_that_is_not_renewed_and_what_it_leaves_behind_are_told_apart() {
    inside(
        "wrong::a_lease_that_is_not_renewed_and_what_it_leaves_behind_are_told_apart",
        || async {
            let mut lab = Lab::new().await;
            let _alive = thrift("10.77.0.1:8830").await;
            lab.register_unrenewed("alive", "10.77.0.1:8830").await;
            // What SetFixedAddress leaves after a graceful stop: the port is closed, the key stays.
            let lease = lab.register_unrenewed("stopped", "10.77.0.1:8831").await;
            // Refused here, where nobody knows how the server on another host fares.
            let astray = lab.register_unrenewed("astray", "127.0.0.1:8832").await;
            lab.wait_for_half(lease).await;
            lab.wait_for_half(astray).await;
            let told = lab.doctor(&["alive", "stopped", "astray"]).await;
            assert_eq!(told.codes("alive"), ["R12"], "{:#}", told.json);
            assert_eq!(told.codes("stopped"), ["R21", "P01"]);
            assert_eq!(told.codes("astray"), ["R02", "R12", "P01"]);
        },
    );
}

#[test]
fn what_listens_on_this_host_and_is_registered_no_more_is_found() {
    inside(
        "wrong::what_listens_on_this_host_and_is_registered_no_more_is_found",
        || async {
            let mut lab = Lab::new().await;
            let _listens = lab.silent("8840", 0);
            let lease = lab.register_unrenewed("lost", "10.77.0.2:8840").await;
            let _elsewhere = thrift("10.77.0.1:8841").await;
            lab.register("lost", "10.77.0.1:8841").await;
            lab.client.lease_revoke(lease).await.unwrap();
            lab.on_caller("until ss -ltn | grep -q :8840; do sleep 0.05; done");
            let mut told = lab.doctor(&["lost"]).await;
            // A busy etcd tells its history later than a look waits for it.
            for _ in 0..10 {
                if told.codes("lost").is_empty() {
                    told = lab.doctor(&["lost"]).await;
                }
            }
            assert_eq!(told.codes("lost"), ["R22"], "{:#}", told.json);
            assert_eq!(told.exit, 1);
            // Where it was the only one, that tells more than that there is none.
            let lease = lab.register_unrenewed("alone", "10.77.0.2:8840").await;
            lab.client.lease_revoke(lease).await.unwrap();
            let told = lab.doctor(&["alone"]).await;
            assert_eq!(told.codes("alone"), ["R22", "R13"], "{:#}", told.json);
            let (said, _) = lab.doctor_says(&["alone"]).await;
            assert!(said.contains("more: tidegate explain R22"), "{said}");
            // The same process under another name, which was not asked for: it has moved.
            lab.register("found", "10.77.0.2:8840").await;
            let told = lab.doctor(&["lost"]).await;
            assert_eq!(told.codes("lost"), [""; 0], "{:#}", told.json);
            assert_eq!(told.exit, 0);
        },
    );
}

#[test]
fn a_listener_of_tidegate_is_a_loop_whether_it_runs_or_not() {
    inside(
        "wrong::a_listener_of_tidegate_is_a_loop_whether_it_runs_or_not",
        || async {
            let mut lab = Lab::new().await;
            lab.register("item", "10.77.0.2:18890").await;
            let config = lab.write(
            "tidegate.toml",
            "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n\
             [[listener]]\nname = \"item\"\nlisten = \"0.0.0.0:18890\"\nservice = \"item\"\n",
        );
            let told = lab.doctor_with(&["-c", &config, "item"]).await;
            assert_eq!((told.codes("item"), told.exit), (vec!["R16".into()], 1));
        },
    );
}

#[test]
fn a_listener_of_a_tidegate_that_runs_is_found_without_its_config() {
    let name = "wrong::a_listener_of_a_tidegate_that_runs_is_found_without_its_config";
    inside(name, || async {
        let mut lab = Lab::new().await;
        lab.register("item", "10.77.0.2:18890").await;
        let config = |admin: &str| {
            format!(
                "[admin]\nlisten = \"{admin}\"\n\
                 [[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n\
                 [[listener]]\nname = \"item\"\nlisten = \"0.0.0.0:18890\"\nservice = \"item\"\n"
            )
        };
        let run = |admin: &str| {
            let config = lab.write("running.toml", &config(admin));
            let mut command = lab.command_on_caller(env!("CARGO_BIN_EXE_tidegate"));
            command.args(["run", "-c", &config]);
            command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            let running = crate::lab::Running(command.spawn().unwrap());
            lab.on_caller("until ss -ltn | grep -q :18890; do sleep 0.05; done");
            running
        };
        // Where it is asked.
        let running = run("127.0.0.1:9901");
        let told = lab.doctor(&["item"]).await;
        assert_eq!(told.codes("item"), ["R16"], "{:#}", told.json);
        assert_eq!((told.exit, told.seen("item")), (1, &Value::Null));
        drop(running);
        // Where nobody knows of it: by what it answers.
        let _running = run("127.0.0.1:9902");
        let told = lab.doctor(&["--call", "item"]).await;
        assert_eq!(told.codes("item"), ["R16"], "{:#}", told.json);
        assert_eq!(told.exit, 1);
    });
}

#[test]
fn names_that_are_not_there_or_begin_others_are_told() {
    inside(
        "wrong::names_that_are_not_there_or_begin_others_are_told",
        || async {
            let mut lab = Lab::new().await;
            let _server = thrift("10.77.0.1:8850").await;
            for service in ["item", "item-v2", "order", "stock"] {
                lab.register(service, "10.77.0.1:8850").await;
            }
            let key = "/moved/10.77.0.1:8850";
            lab.put_key(key, &value("tcp", "10.77.0.1:8850", 10)).await;
            let told = lab.doctor(&["itme"]).await;
            assert_eq!((told.codes("itme"), told.exit), (vec!["R13".into()], 1));
            let said = told.service("itme")["findings"][0]["said"]
                .as_str()
                .unwrap();
            assert!(said.contains("item") && said.contains(PREFIX), "{said}");
            let told = lab.doctor(&["moved"]).await;
            assert_eq!((told.codes("moved"), told.exit), (vec!["R13".into()], 1));
            let told = lab.doctor(&["item", "item-v2", "order"]).await;
            assert_eq!(told.codes("item"), ["R20"]);
            assert_eq!(
                (told.codes("item-v2"), told.codes("order")),
                (vec![], vec![])
            );
            let (said, _) = lab.doctor_says(&["itme"]).await;
            assert!(
                said.contains("nearest") && !said.contains(&format!("{SERVER}:8850")),
                "{said}"
            );
        },
    );
}

#[test]
fn an_http_2_server_is_worth_a_note_and_nothing_more() {
    inside(
        "wrong::an_http_2_server_is_worth_a_note_and_nothing_more",
        || async {
            let mut lab = Lab::new().await;
            greets("10.77.0.1:8860", SETTINGS).await;
            lab.register("grpc", "10.77.0.1:8860").await;
            let told = lab.doctor(&["grpc"]).await;
            assert_eq!((told.codes("grpc"), told.exit), (vec!["P07".into()], 0));
        },
    );
}
