//! `tidegate resolve`.

use scripted::free;
use serde_json::Value;

use crate::ask::{Answer, PREFIX, run};
use crate::etcd::Etcd;

const RULES: &str = "[[rewrite]]\nname = 'office'\ncidr = '10.0.0.0/8'\nhost = '203.0.113.7'\n\
    [[service]]\nname = 'item'\nregistry = 'main'\n\
    [[service.lane]]\nwhen = { env = '*' }\nuse = { env = '{env}' }\n\
    [[service.lane]]\nwhen = { RPC_PERSIST_LANE = 'only' }\nuse = { env = 'only' }\nfallback = false\n";

/// An etcd with a baseline, a lane, and an address that is never dialled.
async fn scene() -> (Etcd, tempfile::TempDir) {
    let etcd = Etcd::start().await;
    etcd.register(PREFIX, "item", "10.0.0.1:8888").await;
    for (address, weight, env) in [
        ("198.51.100.2:8888", 30, ""),
        ("198.51.100.3:8888", 10, "gray"),
    ] {
        let value = serde_json::json!({ "network": "tcp", "address": address, "weight": weight, "tags": { "env": env } });
        etcd.put(&format!("{PREFIX}/item/{address}"), &value.to_string())
            .await;
    }
    etcd.register(PREFIX, "item", "127.0.0.1:8890").await;
    let folder = tempfile::tempdir().unwrap();
    let registry = format!(
        "[[registry]]\nname = 'main'\nkind = 'etcd'\nendpoints = ['{}']\n",
        etcd.url()
    );
    std::fs::write(folder.path().join("t.toml"), registry + RULES).unwrap();
    (etcd, folder)
}

fn dials(of: &Value) -> Vec<(&str, f64)> {
    let all = of["endpoints"].as_array().unwrap().iter();
    all.map(|it| (it["dials"].as_str().unwrap(), it["share"].as_f64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_lane_gets_the_baseline_by_weight_after_rewriting() {
    let (_etcd, folder) = scene().await;
    let answer = run(&folder, &["resolve", "item", "-c", "t.toml", "--json"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let json = answer.json();
    assert_eq!(
        dials(&json),
        [("198.51.100.2:8888", 0.75), ("203.0.113.7:8888", 0.25)]
    );
    assert_eq!(json["endpoints"][1]["address"], "10.0.0.1:8888");
    let rule = json["endpoints"][1]["rewritten_by"].as_str().unwrap();
    assert!(rule.starts_with("rewrite \"office\", "), "{rule}");
    assert_eq!(json["others"][0]["dials"], "198.51.100.3:8888");
    let left = &json["not_dialled"][0];
    assert_eq!(
        (&left["address"], &left["code"]),
        (&"127.0.0.1:8890".into(), &"R02".into())
    );
    let text = run(&folder, &["resolve", "item", "-c", "t.toml"]).await.out;
    let parts = [
        "75 %  198.51.100.2:8888",
        "25 %  203.0.113.7:8888",
        "avoided while other addresses",
    ];
    assert!(parts.iter().all(|it| text.contains(it)), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_says_of_itself_decides_over_its_lane() {
    let (_etcd, folder) = scene().await;
    let with = async |said: &str| -> Answer {
        run(
            &folder,
            &["resolve", "item", "-c", "t.toml", "--json", "--with", said],
        )
        .await
    };
    let gray = with("env=gray").await;
    assert_eq!(gray.json()["lane"], "env=gray", "{gray:?}");
    assert_eq!(dials(&gray.json()), [("198.51.100.3:8888", 1.0)]);
    let nobodys = with("env=bob").await;
    assert_eq!(
        (nobodys.code, dials(&nobodys.json()).len()),
        (0, 2),
        "{nobodys:?}"
    );
    let bound = with("RPC_PERSIST_LANE=only").await;
    assert_eq!(
        (bound.code, dials(&bound.json()).len()),
        (1, 0),
        "{bound:?}"
    );
    let why = bound.json()["why"].as_str().unwrap().to_owned();
    assert!(
        why.contains("lane env=only of item has no live instance"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_is_nothing_and_a_registry_that_is_not_there_is_no_look() {
    let (etcd, folder) = scene().await;
    let answer = run(&folder, &["resolve", "itme", "-c", "t.toml", "--json"]).await;
    assert_eq!(
        (answer.code, &answer.json()["findings"][0]["code"]),
        (1, &"R13".into())
    );
    drop(etcd);
    let url = format!("http://{}", free());
    let answer = run(&folder, &["resolve", "item", "--etcd", &url]).await;
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.err.contains("E01"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loopback_address_that_is_used_for_want_of_others_is_marked() {
    let etcd = Etcd::start().await;
    etcd.register(PREFIX, "item", "127.0.0.1:8890").await;
    let folder = tempfile::tempdir().unwrap();
    let url = etcd.url();
    let text = run(&folder, &["resolve", "item", "--etcd", &url]).await;
    assert_eq!(text.code, 0, "{text:?}");
    let said = text.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let marked = "finds itself; used because nothing else is registered";
    assert!(said.contains(marked), "{text:?}");
    let json = run(&folder, &["resolve", "item", "--etcd", &url, "--json"]).await;
    assert_eq!(json.json()["endpoints"][0]["code"], "R02", "{json:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_looked_up_where_each_listener_would_and_nowhere_else() {
    let (near, far) = (Etcd::start().await, Etcd::start().await);
    near.register(PREFIX, "item", "198.51.100.1:1").await;
    far.register(PREFIX, "item", "198.51.100.2:1").await;
    let folder = tempfile::tempdir().unwrap();
    let registry = |name: &str, url: String| {
        format!("[[registry]]\nname = '{name}'\nkind = 'etcd'\nendpoints = ['{url}']\n")
    };
    let listener = |name: &str, registry: &str| {
        let listen = free();
        format!("[[listener]]\nname = '{name}'\nlisten = '{listen}'\nregistry = '{registry}'\n")
    };
    let registries = registry("near", near.url()) + &registry("far", far.url());
    let config = format!(
        "{registries}{}{}",
        listener("b", "far"),
        listener("a", "near")
    );
    std::fs::write(folder.path().join("two.toml"), &config).unwrap();
    let answer = run(&folder, &["resolve", "item", "-c", "two.toml", "--json"]).await;
    let json = answer.json();
    assert_eq!(dials(&json)[0].0, "198.51.100.2:1", "{json:#}");
    assert_eq!(json["listeners"][0], "b");
    assert_eq!(dials(&json["also"][0])[0].0, "198.51.100.1:1", "{json:#}");
    std::fs::write(
        folder.path().join("one.toml"),
        registries + &listener("b", "far"),
    )
    .unwrap();
    drop(near);
    let answer = run(&folder, &["resolve", "item", "-c", "one.toml"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("198.51.100.2:1"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_service_is_told_so_with_remedies_and_no_word_of_lanes() {
    let (_etcd, folder) = scene().await;
    let args = ["resolve", "itme", "-c", "t.toml", "--with", "bogus=1"];
    let answer = run(&folder, &args).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.out.contains("Ask for item"), "{answer:?}");
    assert!(!answer.out.contains("lane"), "{answer:?}");
    assert!(
        answer.out.contains("bogus: no rule of itme looks at it"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolve_speaks_chinese_and_quotes_what_it_does_not_say_itself() {
    let (_etcd, folder) = scene().await;
    let answer = run(
        &folder,
        &["resolve", "item", "-c", "t.toml", "--lang", "zh"],
    )
    .await;
    assert!(answer.out.contains("R02：回环地址"), "{answer:?}");
    assert!(answer.out.contains("（原文：avoided"), "{answer:?}");
}
