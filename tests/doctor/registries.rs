//! Registries that can be read, and registries that cannot.

use etcd_client::{Txn, TxnOp};
use scripted::{Act, Server, free};

use crate::ask::{PREFIX, codes, doctor, run, whole};
use crate::etcd::Etcd;
use crate::process::{Tidegate, listener, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_away_cannot_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", free());
    let answer = run(&folder, &["doctor", "--etcd", &url, "--json"]).await;
    assert_eq!(answer.code, 3, "{answer:?}");
    let report = answer.json();
    let member = &report["registries"][0]["members"][0];
    assert_eq!(
        (&member["code"], &member["step"]),
        (&"E01".into(), &"port".into())
    );
    assert_eq!(whole(&report["registries"][0])[0], "E01");
    let answer = run(&folder, &["doctor", "--etcd", &url]).await;
    assert_eq!(answer.code, 3);
    assert!(answer.out.contains("E01"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named() {
    let mut etcd = Etcd::start().await;
    etcd.enable_auth("tide", "right", &format!("{PREFIX}/"))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\nuser = 'tide'\npassword = 'wrong'\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("t.toml"), config).unwrap();
    let answer = run(&folder, &["doctor", "-c", "t.toml", "--json"]).await;
    assert_eq!(answer.code, 3, "{answer:?}");
    let report = answer.json();
    assert_eq!(
        report["registries"][0]["members"][0]["code"], "E02",
        "{report:#}"
    );
    assert_eq!(report["registries"][0]["members"][0]["step"], "password");
    assert!(!answer.out.contains("wrong'"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_and_the_config_itself_are_looked_at_and_a_listener_of_the_config_is_a_loop() {
    let server = Server::start(Act::Echo).await.unwrap();
    let (up, own, down) = (server.address(), free(), free());
    let folder = tempfile::tempdir().unwrap();
    let registered = format!(
        "[[instance]]\nservice = 'item'\naddress = '{up}'\n[[instance]]\nservice = 'item'\naddress = '{own}'\n"
    );
    std::fs::write(folder.path().join("items.toml"), registered).unwrap();
    let file = "[[registry]]\nname = 'file'\nkind = 'file'\npath = 'items.toml'\n";
    let config = format!(
        "{file}{}{}",
        listener("in", own, "stock"),
        service("stock", &[down], "")
    );
    std::fs::write(folder.path().join("tidegate.toml"), config).unwrap();
    let answer = run(&folder, &["doctor", "--json"]).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    let report = answer.json();
    assert_eq!(report["registries"][0]["kind"], "file");
    assert_eq!(codes(&report, &up.to_string()), [""; 0]);
    assert_eq!(codes(&report, &own.to_string()), ["R16"]);
    // What stands in the config is meant.
    assert_eq!(codes(&report, &down.to_string()), ["P01"]);
    let names = report["services"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| (&it["name"], &it["registry"])).collect();
    assert_eq!(
        names,
        [
            (&"item".into(), &"file".into()),
            (&"stock".into(), &"config".into())
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_more_entries_than_are_kept_no_service_is_said_to_be_empty() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let address = server.address().to_string();
    let mut client = etcd.client().await;
    for part in 0..801 {
        let key = |n: i32| format!("{PREFIX}/aaa/{part}-{n}");
        let puts = (0..125).map(|n| TxnOp::put(key(n), "no JSON", None));
        let puts = Txn::new().and_then(puts.collect::<Vec<_>>());
        client.txn(puts).await.unwrap();
    }
    for name in ["item", "stock"] {
        // Nobody renews it, and a busy machine takes its time with so many entries.
        etcd.register_for(PREFIX, name, &address, 3600).await;
    }
    let (_, report) = doctor(&etcd, &[]).await;
    let codes_of = |report: &serde_json::Value, name: &str| {
        let services = report["services"].as_array().unwrap();
        let it = services.iter().find(|it| it["name"] == name)?;
        Some(whole(it).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    for name in ["item", "stock"] {
        assert!(
            codes_of(&report, name).is_none_or(|it| it.is_empty()),
            "{name}"
        );
    }
    // One that the config names is looked at by its name.
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\n\
         [[service]]\nname = 'stock'\nregistry = 'main'\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("tidegate.toml"), config).unwrap();
    let report = run(&folder, &["doctor", "--json"]).await.json();
    assert_eq!(codes_of(&report, "stock"), Some(Vec::new()));
    let services = report["services"].as_array().unwrap();
    let stock = services.iter().find(|it| it["name"] == "stock").unwrap();
    assert_eq!(stock["reachable"], 1);
}

/// What other programs keep in an etcd: config-etcd's rules, Kubernetes' objects, services under a prefix of their own.
const OTHERS: [(&str, &str); 7] = [
    (
        "/KitexConfig/gateway/item/rpc_timeout",
        r#"{"*":{"rpc_timeout_ms":1000}}"#,
    ),
    ("/registry/pods/default/x", "k8s\0\n"),
    ("/registry/roles/system:basic", "k8s\0\n"),
    ("/nodes/10.0.0.8:9100", r#"{"name":"node8","cpu":4}"#),
    ("/pids/10.0.0.8:9100", "up"),
    ("/config/db/10.0.0.1:3306", "up"),
    (
        "/dev/kitex/stock/10.0.0.1:8888",
        r#"{"network":"tcp","address":"10.0.0.1:8888","weight":10}"#,
    ),
];

/// Whether something is to be pasted that changes an entry.
fn changes(said: &str) -> bool {
    [" put ", " del "].iter().any(|it| said.contains(it))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_the_empty_prefix_other_programs_keys_are_passed_over() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    etcd.register_for("", "item", &server.address().to_string(), 60)
        .await;
    for (key, value) in OTHERS {
        etcd.put(key, value).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\nprefix = ''\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("t.toml"), &config).unwrap();
    let answer = run(&folder, &["doctor", "-c", "t.toml", "--json"]).await;
    let report = answer.json();
    assert_eq!(answer.code, 0, "{report:#}");
    assert_eq!(report["services"].as_array().unwrap().len(), 1);
    assert_eq!(report["registries"][0]["passed_over"], 7);
    let said = run(&folder, &["doctor", "-c", "t.toml"]).await.out;
    assert!(said.contains("7 keys of other programs"), "{said}");
    let wrong = run(&folder, &["doctor", "itme", "-c", "t.toml"]).await.out;
    assert!(wrong.contains("1 service under the empty"), "{wrong}");
    // Named here, it is meant; but nothing that changes its keys is to be pasted.
    let named = format!("{config}[[service]]\nname = 'KitexConfig'\nregistry = 'main'\n");
    std::fs::write(folder.path().join("named.toml"), named).unwrap();
    for args in [
        &["doctor", "-c", "named.toml"][..],
        &["doctor", "KitexConfig", "registry", "-c", "t.toml"],
    ] {
        let answer = run(&folder, args).await;
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.out.contains("rpc_timeout"), "{answer:?}");
        assert!(
            answer.out.contains("another program uses the same prefix"),
            "{answer:?}"
        );
        assert!(!changes(&answer.out), "{answer:?}");
    }
    let asked = ["doctor", "nodes", "pids", "config", "-c", "t.toml"];
    let answer = run(&folder, &asked).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    let pasted = |word: &str| answer.out.contains(word);
    assert!(!pasted("KITEX_") && !pasted("ADDRESS"), "{answer:?}");
    assert!(!changes(&answer.out), "{answer:?}");
    assert!(pasted("✗ /nodes/10.0.0.8:9100  malformed"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_without_services_and_one_without_the_right_to_list_are_said() {
    let mut etcd = Etcd::start().await;
    let (code, report) = doctor(&etcd, &[]).await;
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(whole(&report["registries"][0]), ["R13"]);
    let server = Server::start(Act::Echo).await.unwrap();
    let address = server.address().to_string();
    etcd.register_for(PREFIX, "item", &address, 600).await;
    etcd.enable_auth("tide", "pass", &format!("{PREFIX}/item/"))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\nuser = 'tide'\npassword = 'pass'\n\
         [[service]]\nname = 'item'\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("t.toml"), config).unwrap();
    for args in [
        &["doctor", "-c", "t.toml", "--json"][..],
        &["doctor", "item", "-c", "t.toml", "--json"],
    ] {
        let answer = run(&folder, args).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        assert_eq!(codes(&answer.json(), &address), [""; 0]);
        assert_eq!(answer.json()["summary"]["reachable"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["doctor", "a/b", "--etcd", "http://127.0.0.1:1"][..],
        &["doctor", "--etcd", "127.0.0.1:1"],
        &["doctor", "--timeout", "0s", "--etcd", "http://127.0.0.1:1"],
        &["doctor", "--recent", "--call"],
        &["doctor", "--admin", "127.0.0.1:1", "-c", "t.toml"],
        &["doctor", "--idle", "1s", "--etcd", "http://127.0.0.1:1"],
        &["resolve"],
        &[
            "resolve",
            "item",
            "--with",
            "env",
            "--etcd",
            "http://127.0.0.1:1",
        ],
    ] {
        let answer = run(&folder, args).await;
        assert_eq!(answer.code, 2, "{args:?}: {answer:?}");
        assert!(
            !answer.err.is_empty() && answer.out.is_empty(),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_config_a_running_one_is_asked_for_its_own() {
    let server = Server::start(Act::Echo).await.unwrap();
    let config = listener("item", free(), "item") + &service("item", &[server.address()], "");
    let proxy = tokio::task::block_in_place(|| Tidegate::start(&config));
    let admin = proxy.admin.to_string();
    let folder = tempfile::tempdir().unwrap();
    let answer = run(&folder, &["doctor", "--admin", &admin]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let said = format!("As the tidegate at {admin} is configured.");
    assert!(answer.err.contains(&said), "{answer:?}");
    assert!(answer.out.contains("item (config)"), "{answer:?}");
    let answer = run(&folder, &["resolve", "item", "--json", "--admin", &admin]).await;
    let dials = &answer.json()["endpoints"][0]["dials"];
    assert_eq!(*dials, server.address().to_string(), "{answer:?}");
    let nobody = free().to_string();
    let answer = run(&folder, &["doctor", "--admin", &nobody]).await;
    assert_eq!(answer.code, 3, "{answer:?}");
    for way in ["-c FILE", "--etcd URL", "--admin ADDR"] {
        assert!(answer.err.contains(way), "{way}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_line_agrees_with_the_exit_code() {
    let etcd = Etcd::start().await;
    let server = Server::start(Act::Echo).await.unwrap();
    etcd.register_for(PREFIX, "shop.item", &server.address().to_string(), 60)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let missing = run(&folder, &["doctor", "stock", "--etcd", &etcd.url()]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.out.contains("\n1 service not found"), "{missing:?}");
    assert!(missing.out.contains("`shop.item`\n"), "{missing:?}");
    let nearest = run(&folder, &["doctor", "item", "--etcd", &etcd.url()]).await;
    assert!(nearest.out.contains("`shop.item`"), "{nearest:?}");
    assert!(!nearest.out.contains("prefix ="), "{nearest:?}");
    let url = format!("http://{}", free());
    let blind = run(&folder, &["doctor", "--etcd", &url]).await;
    assert_eq!(blind.code, 3, "{blind:?}");
    let said = "could not look: no registry could be read";
    assert!(blind.out.contains(said), "{blind:?}");
    assert_eq!(
        blind.out.matches("refuses the connection").count(),
        1,
        "{blind:?}"
    );
}
