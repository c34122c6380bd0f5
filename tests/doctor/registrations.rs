//! Registrations that are right, and registrations that are wrong.

use std::process::Command;
use std::time::Duration;

use scripted::{Act, Options, Server, free};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::ask::{PREFIX, codes, doctor, instances, run, run_command, whole};
use crate::etcd::Etcd;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loopback_address_where_nobody_listens_is_wrong_and_one_where_somebody_does_is_not() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let (up, down) = (server.address().to_string(), free().to_string());
    etcd.register_for(PREFIX, "item", &up, 60).await;
    etcd.register_for(PREFIX, "item", &down, 60).await;
    let (code, report) = doctor(&etcd, &["item"]).await;
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(codes(&report, &up), [""; 0], "{report:#}");
    assert_eq!(codes(&report, &down), ["R02", "P01"], "{report:#}");
    let noted = report["registries"][0]["findings"][0]["said"].as_str();
    assert!(noted.unwrap().starts_with("1 registration "), "{report:#}");
    let all = instances(&report);
    let refused = all.iter().find(|it| it["address"] == *down).unwrap();
    assert_eq!(refused["seen"]["connect"], "refused");
    assert_eq!(refused["class"], "loopback");
    assert_eq!(refused["lease"]["granted_seconds"], 60.0);
    assert_eq!(refused["verdict"], "wrong");
    let sum = &report["summary"];
    let counts = ["registrations", "services", "reachable", "wrong", "exit"].map(|it| &sum[it]);
    assert_eq!(counts, [2, 1, 1, 1, 1], "{report:#}");
    let others = ["unknown", "missing", "others"].map(|it| &sum[it]);
    assert_eq!(others, [0, 0, 0], "{report:#}");
    assert_eq!(server.calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_services_are_no_finding_and_no_call_is_sent_unless_asked_for() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let address = server.address().to_string();
    etcd.register_for(PREFIX, "item", &address, 60).await;
    etcd.register_for(PREFIX, "stock", &address, 60).await;
    let (code, report) = doctor(&etcd, &["--idle=100ms"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["summary"]["reachable"], 2);
    assert_eq!(instances(&report)[0]["seen"]["idle"]["result"], "open");
    assert_eq!(server.calls(), 0);
    let (code, report) = doctor(&etcd, &["--call"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        instances(&report)[0]["seen"]["call"]["result"],
        "answered",
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_dialled_and_what_cannot_be_read_is_named() {
    let etcd = Etcd::start().await;
    for address in ["0.0.0.0:8888", "169.254.169.254:80", "::1:8888"] {
        etcd.register_for(PREFIX, "item", address, 60).await;
    }
    etcd.put(&format!("{PREFIX}/item/x"), "no JSON").await;
    let (code, report) = doctor(&etcd, &["item"]).await;
    assert_eq!(code, 1);
    assert_eq!(codes(&report, "0.0.0.0:8888"), ["R01"]);
    assert_eq!(codes(&report, "169.254.169.254:80"), ["R14"]);
    assert_eq!(codes(&report, "::1:8888"), ["R07"]);
    assert_eq!(report["services"][0]["skipped"][0]["code"], "R09");
    assert!(
        instances(&report).iter().all(|it| it["seen"].is_null()),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_server_is_told_from_a_thrift_server() {
    let etcd = Etcd::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 64];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            });
        }
    });
    etcd.register_for(PREFIX, "web", &address, 60).await;
    let (code, report) = doctor(&etcd, &[]).await;
    assert_eq!(code, 1);
    assert_eq!(codes(&report, &address), ["P05"]);
    let spoke = &instances(&report)[0]["seen"]["spoke"];
    assert_eq!(spoke["protocol"], "http", "{spoke}");
    assert!(spoke["said"].as_str().unwrap().contains("400"), "{spoke}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_the_middle_of_a_restart_is_not_accused() {
    let etcd = Etcd::start().await;
    let address = free();
    etcd.register_for(PREFIX, "item", &address.to_string(), 60)
        .await;
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        Options::always(Act::Echo)
            .listen(address)
            .start()
            .await
            .unwrap()
    });
    let (code, report) = doctor(&etcd, &["item"]).await;
    let _server = late.await.unwrap();
    assert_eq!(code, 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_out_of_descriptors_accuses_nobody_and_says_that_it_could_not_look() {
    let etcd = Etcd::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    // Without leases, as written by hand.
    for host in 1..=60 {
        let address = format!("127.0.0.{host}:{port}");
        etcd.register(PREFIX, "item", &address).await;
    }
    let mut command = Command::new("sh");
    let line = format!(
        "ulimit -n 24; exec {} doctor --json --etcd {} item",
        env!("CARGO_BIN_EXE_tidegate"),
        etcd.url()
    );
    command.args(["-c", &line]);
    let answer = run_command(command).await;
    let report = answer.json();
    let accused = |it: &Value| it["codes"].as_array().unwrap().iter().any(|it| it != "P12");
    let accused: Vec<_> = instances(&report).into_iter().filter(accused).collect();
    assert!(accused.is_empty(), "{accused:#?}");
    let unknown = |it: &Value| it["verdict"] == "unknown" && it["seen"]["connect"] == "ours";
    assert!(instances(&report).iter().any(unknown), "{report:#}");
    assert_eq!(answer.code, 3, "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_deregistered_meanwhile_is_no_finding() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let (up, down) = (server.address().to_string(), free().to_string());
    etcd.register_for(PREFIX, "item", &up, 60).await;
    etcd.register_for(PREFIX, "item", &down, 60).await;
    let leaves = async {
        // A refused connect is tried for 750 ms.
        tokio::time::sleep(Duration::from_millis(400)).await;
        etcd.delete(&format!("{PREFIX}/item/{down}")).await;
    };
    let ((code, report), ()) = tokio::join!(doctor(&etcd, &["item"]), leaves);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["summary"]["registrations"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_is_answered_with_the_nearest_and_a_beginning_with_what_it_begins() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let address = server.address().to_string();
    for name in ["item", "item-v2"] {
        etcd.register_for(PREFIX, name, &address, 60).await;
    }
    let (code, report) = doctor(&etcd, &["itme", "item"]).await;
    assert_eq!(code, 1);
    let services = &report["services"];
    assert_eq!(whole(&services[0]), ["R13"]);
    let said = services[0]["findings"][0]["said"].as_str().unwrap();
    let parts = [
        "2 services under `kitex/registry-etcd`",
        "none called `itme`",
        "nearest: `item`",
    ];
    assert!(parts.iter().all(|it| said.contains(it)), "{said}");
    assert_eq!(whole(&services[1]), ["R20"]);
    let said = services[1]["findings"][0]["said"].as_str().unwrap();
    assert!(said.contains("`item-v2`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_service_whose_servers_have_stopped_neither_name_nor_prefix_is_doubted() {
    let etcd = Etcd::start().await;
    for name in ["crashed", "item"] {
        etcd.register(PREFIX, name, "10.0.0.1:8888").await;
    }
    etcd.delete(&format!("{PREFIX}/crashed/10.0.0.1:8888"))
        .await;
    let (code, report) = doctor(&etcd, &["crashed"]).await;
    assert_eq!(code, 1);
    let finding = &report["services"][0]["findings"][0];
    assert_eq!(finding["code"], "R13");
    let said = "`crashed` was registered, last at 10.0.0.1:8888, and is no more";
    assert_eq!(finding["said"], said, "{report:#}");
    let remedies = finding["remedies"].to_string();
    assert!(remedies.contains("why it stopped"), "{remedies}");
    for doubt in ["prefix", "name", "PREFIX"] {
        assert!(!remedies.contains(doubt), "{remedies}");
    }
    // Also where it is not asked for, but missed, since the config names it.
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\n\
         [[service]]\nname = 'crashed'\nregistry = 'main'\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("tidegate.toml"), config).unwrap();
    for args in [&["doctor"][..], &["resolve", "crashed"]] {
        let answer = crate::ask::run(&folder, args).await;
        assert!(answer.out.contains("last at 10.0.0.1:8888"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_under_another_prefix_is_found() {
    let etcd = Etcd::start().await;
    etcd.register_for("", "item", "127.0.0.1:8890", 60).await;
    let (code, report) = doctor(&etcd, &["item"]).await;
    assert_eq!(code, 1);
    assert_eq!(whole(&report["services"][0]), ["R13"]);
    let said = report["services"][0]["findings"][0]["said"]
        .as_str()
        .unwrap();
    assert!(said.contains("`item` under the empty prefix"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loopback_address_that_is_registered_no_more_may_have_been_another_host_s() {
    let etcd = Etcd::start().await;
    let (server, other) = (
        Server::start(Act::Echo).await.unwrap(),
        Server::start(Act::Echo).await.unwrap(),
    );
    let gone = server.address().to_string();
    etcd.register(PREFIX, "item", &gone).await;
    etcd.delete(&format!("{PREFIX}/item/{gone}")).await;
    etcd.register_for(PREFIX, "item", &other.address().to_string(), 60)
        .await;
    let (code, report) = doctor(&etcd, &["item"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(whole(&report["services"][0]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_rule_leads_is_corrected_in_the_rule() {
    let etcd = Etcd::start().await;
    etcd.register_for(PREFIX, "item", "10.99.0.1:8890", 60)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let write = |host: &str| {
        let config = format!(
            "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\n\
             [[rewrite]]\nservice = 'item'\nhost = '{host}'\n",
            etcd.url()
        );
        std::fs::write(folder.path().join("t.toml"), config).unwrap();
    };
    write("no-such-host.invalid");
    let answer = run(&folder, &["doctor", "-c", "t.toml", "--json"]).await;
    let report = answer.json();
    assert_eq!(codes(&report, "10.99.0.1:8890"), ["R17"], "{report:#}");
    let all = instances(&report);
    let remedies = all[0]["remedies"].as_array().unwrap();
    let [first] = &remedies[..] else {
        panic!("{remedies:#?}");
    };
    let what = first["what"].as_str().unwrap();
    assert!(what.contains("rewrite t.toml:5"), "{first}");
    write("HOST_IP");
    let answer = run(&folder, &["check", "-c", "t.toml"]).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("t.toml:7:8"), "{answer:?}");
    assert!(answer.err.contains("it is to be filled in"), "{answer:?}");
}
