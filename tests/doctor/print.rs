//! What people are shown.

use std::process::{Command, Stdio};

use scripted::{Act, Server, free};

use crate::ask::{PREFIX, run, run_command};
use crate::etcd::Etcd;

async fn etcd_with(address: &str) -> Etcd {
    let etcd = Etcd::start().await;
    etcd.register_for(PREFIX, "item", address, 60).await;
    etcd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_names_cause_evidence_and_remedy_and_says_that_nothing_is_changed() {
    let down = free().to_string();
    let etcd = etcd_with(&down).await;
    let folder = tempfile::tempdir().unwrap();
    let answer = run(&folder, &["doctor", "item", "--etcd", &etcd.url()]).await;
    assert_eq!(answer.code, 1);
    let text = answer.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Nothing is changed, no call is sent.",
        "item (etcd): 1 registered, 0 reachable",
        &format!("{down} loopback lease "),
        "P01 the host refuses the connection",
        "(refused after ",
        "R02 a loopback address",
        "server.WithServiceAddr(",
        "1 registration of 1 service: 0 reachable, 1 wrong; more: tidegate explain R02",
    ] {
        assert!(text.contains(part), "no {part:?} in {}", answer.out);
    }
    assert!(!answer.out.contains('\x1b'), "{}", answer.out);
    let prose = answer.out.lines().filter(|it| !it.starts_with("        "));
    for line in prose {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_chinese_where_it_is_asked_to_or_the_locale_says_so() {
    let etcd = etcd_with(&free().to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let asked = run(&folder, &["doctor", "--etcd", &etcd.url(), "--lang", "zh"]).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["doctor", "--etcd", &etcd.url()]);
    let output =
        tokio::task::spawn_blocking(move || command.env("LC_ALL", "zh_CN.UTF-8").output().unwrap());
    let by_locale = String::from_utf8(output.await.unwrap().stdout).unwrap();
    for text in [asked.out, by_locale] {
        assert!(text.contains("不修改任何东西"), "{text}");
        assert!(
            text.contains("后被拒绝") && text.contains("P01 主机拒绝连接"),
            "{text}"
        );
        assert!(
            text.contains("1 个服务，1 个注册：0 个可达，1 个有问题"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_of_a_registry_never_reach_the_terminal() {
    let etcd = Etcd::start().await;
    let hostile = "\u{1b}]0;x\u{7}\u{202e}";
    let value = serde_json::json!({ "network": "tcp", "address": hostile, "weight": 10 });
    let key = format!("{PREFIX}/item\u{202e}evil/{hostile}");
    etcd.put(&key, &value.to_string()).await;
    etcd.put(&format!("{PREFIX}/item\u{202e}evil/{hostile}2"), "x")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let answer = run(
        &folder,
        &["doctor", "--etcd", &etcd.url(), "--color", "never"],
    )
    .await;
    assert_eq!(answer.code, 1, "{answer:?}");
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!answer.out.contains(bad), "{:?}", answer.out);
    assert!(answer.out.contains("\\u{1b}"), "{}", answer.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_helps_with_an_entry_that_cannot_be_read_is_printed() {
    let etcd = Etcd::start().await;
    let key = format!("{PREFIX}/item/10.0.0.1:1");
    etcd.put(&key, "x").await;
    let folder = tempfile::tempdir().unwrap();
    let answer = run(&folder, &["doctor", "--etcd", &etcd.url()]).await;
    let delete = format!("etcdctl --endpoints='{}' del '{key}'", etcd.url());
    assert!(
        answer.out.contains("  R09") && answer.out.contains(&delete),
        "{answer:?}"
    );
    let args = ["doctor", "--json", "--etcd", &etcd.url()];
    let report = run(&folder, &args).await.json();
    let helps = &report["services"][0]["skipped"][0]["remedies"];
    assert_eq!(helps[0]["code"], "R09", "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_etcd_is_said_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[[registry]]\nname = 'file'\nkind = 'file'\npath = 'items.toml'\n";
    std::fs::write(folder.path().join("tidegate.toml"), config).unwrap();
    let missing = run(&folder, &["doctor"]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(
        missing.out.contains("cannot be read") && !missing.out.contains("E01"),
        "{missing:?}"
    );

    let items = "[[instance]]\nservice = 'item'\naddress = '0.0.0.0:8888'\n";
    std::fs::write(folder.path().join("items.toml"), items).unwrap();
    let wrong = run(&folder, &["doctor"]).await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.out.contains("Correct the entry at "), "{wrong:?}");
    assert!(!wrong.out.contains("etcd"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_are_there_when_asked_for() {
    let server = Server::start(Act::Echo).await.unwrap();
    let etcd = etcd_with(&server.address().to_string()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["doctor", "--etcd", &etcd.url(), "--color", "always"]);
    let answer = run_command(command).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("\x1b[32m✓\x1b[0m"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_is_no_failure() {
    let etcd = etcd_with(&free().to_string()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["doctor", "--etcd", &etcd.url(), "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_wrong_ones_the_findings_are_counted_and_each_set_is_shown() {
    let etcd = Etcd::start().await;
    for host in 1..=60 {
        let address = format!("0.0.0.0:{host}");
        etcd.register_for(PREFIX, "item", &address, 60).await;
    }
    let long = format!("x{}:", "y".repeat(5000));
    for (key, address) in [("a", "169.254.169.254:80"), ("b", &long)] {
        let value = serde_json::json!({ "network": "tcp", "address": address, "weight": 10 });
        etcd.put(&format!("{PREFIX}/item/{key}"), &value.to_string())
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let answer = run(&folder, &["doctor", "item", "--etcd", &etcd.url()]).await;
    for part in [
        "60 × R01, ",
        "R14 a cloud's metadata",
        "R07 an address",
        "yyy…",
    ] {
        assert!(answer.out.contains(part), "{part}: {answer:?}");
    }
    assert!(!answer.out.contains(&"y".repeat(200)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_helps_with_two_registrations_of_a_service_is_said_once() {
    let etcd = etcd_with("0.0.0.0:8888").await;
    let value = r#"{"network":"tcp","address":"0.0.0.0:8889","weight":10}"#;
    let key = format!("{PREFIX}/item/10.0.0.1:8889");
    etcd.put(&key, value).await;
    let folder = tempfile::tempdir().unwrap();
    for (lang, says) in [("en", "R01: as above, "), ("zh", "R01：同上")] {
        let args = ["doctor", "item", "--etcd", &etcd.url(), "--lang", lang];
        let said = run(&folder, &args).await.out;
        let count = |part| said.matches(part).count();
        assert_eq!(count("export KITEX_IP_TO_REGISTRY"), 1, "{said}");
        assert_eq!(count(says), 1, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_beyond_a_connect_is_told_of_the_healthy_too() {
    let server = Server::start(Act::Echo).await.unwrap();
    let etcd = etcd_with(&server.address().to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let args = ["doctor", "--etcd", &etcd.url(), "--call", "--idle=20ms"];
    let answer = run(&folder, &args).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let text = answer.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "up to three while it gives no answer",
        "held idle for 20ms",
        "answers calls stayed open for 20ms",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_all_clear_for_named_services_says_that_none_was_called() {
    let server = Server::start(Act::Echo).await.unwrap();
    let etcd = etcd_with(&server.address().to_string()).await;
    let (folder, url) = (tempfile::tempdir().unwrap(), etcd.url());
    let (en, zh) = (
        "none was called: a hung server is found by --call",
        "没有发送调用：卡住的服务端要用 --call 才能发现",
    );
    for (more, said) in [
        (&["item"][..], Some(en)),
        (&["item", "--lang", "zh"], Some(zh)),
        (&["item", "--call"], None),
        (&[], None),
    ] {
        let args = [&["doctor", "--etcd", &url], more].concat();
        let answer = run(&folder, &args).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let last = answer.out.trim_end().lines().last();
        let told = last.filter(|it| [en, zh].contains(it));
        assert_eq!(told, said, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_port_here_does_not_make_this_host_the_instances() {
    let etcd = Etcd::start_everywhere().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let redis = b"-ERR unknown command\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, redis).await;
        }
    });
    etcd.register_for(PREFIX, "item", &address, 60).await;
    let folder = tempfile::tempdir().unwrap();
    let answer = run(&folder, &["doctor", "--etcd", &etcd.url(), "--json"]).await;
    let pasted = answer.out.matches("ParseIP").count();
    let unfilled = answer.out.matches("ParseIP(\\\"HOST_IP").count();
    assert_eq!(pasted, unfilled, "{answer:?}");
}
