//! `kill -HUP` and `tidegate reload` under load: all or nothing, and no call lost.

use scripted::{Answer, Client, Framing};
use std::net::SocketAddr;

use crate::load::{Load, Plan, instance};
use crate::process::{Tidegate, eventually, free, listener, service};

const SUCCESSFUL: &str = "tidegate_config_last_reload_successful";

fn reloads(proxy: &Tidegate, result: &str) -> u64 {
    proxy.count("tidegate_config_reloads_total", &[("result", result)])
}

/// Sends HUP, and waits until the reload was taken, or refused.
fn hang_up(proxy: &Tidegate, result: &str) {
    let before = reloads(proxy, result);
    proxy.signal("HUP");
    eventually(&format!("the reload: {result}"), || {
        reloads(proxy, result) == before + 1
    });
    let taken = f64::from(result == "ok");
    assert_eq!(proxy.metric(SUCCESSFUL, &[]), Some(taken));
}

async fn echo(to: SocketAddr) -> Answer {
    let mut client = Client::connect(to, Framing::Framed).await.unwrap();
    client.call("Echo", "hi").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_changes_what_the_file_changes_and_loses_no_call() {
    let instance = instance().start().await.unwrap();
    let endpoints = [instance.address()];
    let (kept, old, new) = (free(), free(), free());
    let item = |policy: &str| service("item", &endpoints, policy);
    let first = listener("kept", kept, "item")
        + &listener("old", old, "item")
        + &item("read_deadline = \"5s\"");
    let proxy = Tidegate::start(&first);

    let steady = Plan::new("2ms");
    let load = Load::start(6, kept, &steady);
    let callers = Load::start(
        2,
        kept,
        &Plan {
            fresh: true,
            ..steady.clone()
        },
    );
    let told = Plan {
        framing: Framing::TtHeaderFramed,
        ..steady.clone()
    };
    let leaving = Load::start(6, old, &told);
    for _ in 0..5 {
        load.more(50);
        hang_up(&proxy, "ok");
    }
    proxy.logged(&["INFO", "reloaded: nothing changed"]);

    // A changed policy, a new listener, a removed one: at once.
    leaving.more(50);
    let second = listener("kept", kept, "item")
        + &listener("new", new, "item")
        + &item("read_deadline = \"2s\"");
    proxy.rewrite(&second);
    hang_up(&proxy, "ok");
    let line = proxy.logged(&["INFO", "reloaded: listener"]);
    for part in [
        "listener new added on",
        "listener old removed, it drains",
        "service item changed",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let mut client = Client::connect(kept, Framing::Framed).await.unwrap();
    let Answer::Exception(6, said) = client.call("Echo", "5000ms").await.unwrap() else {
        panic!("the new policy does not hold")
    };
    assert!(said.contains("read_deadline 2s"), "{said}");
    assert_eq!(echo(new).await, Answer::Text("hi".into()));
    let gone = leaving.end().await;
    eventually("the removed listener is closed", || {
        std::net::TcpStream::connect(old).is_err()
    });
    eprintln!("reload: {} calls on the removed listener", gone.all.len());
    gone.all_echoed();

    // A broken file: everything stays as it is, and the log says where it is broken.
    load.more(50);
    proxy.rewrite(&second.replace("read_deadline", "read_deadlin"));
    hang_up(&proxy, "failed");
    let log = proxy.log();
    let refused = log.split_once("reload refused:").expect("a line for it").1;
    assert!(
        refused.contains("tidegate.toml:") && refused.contains("did you mean `read_deadline`"),
        "{log}"
    );
    assert_eq!(echo(new).await, Answer::Text("hi".into()));
    assert!(
        proxy
            .get("/config")
            .unwrap()
            .1
            .contains("read_deadline = \"2s\"")
    );

    load.more(50);
    proxy.rewrite(&second);
    hang_up(&proxy, "ok");
    for calls in [load.end().await, callers.end().await] {
        eprintln!("reload: {} calls on the kept listener", calls.all.len());
        calls.all_echoed();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reload_command_says_what_changed_or_why_not() {
    let instance = instance().start().await.unwrap();
    let (one, two) = (free(), free());
    let base = listener("one", one, "item") + &service("item", &[instance.address()], "");
    let proxy = Tidegate::start(&base);
    let admin = proxy.admin.to_string();
    let reload = || proxy.command(&["reload", "--admin", &admin]);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    proxy.rewrite(&(base.clone() + &listener("two", two, "item")));
    let done = reload();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done.stderr));
    assert!(
        said(&done.stdout).contains("listener two added on"),
        "{}",
        said(&done.stdout)
    );
    assert_eq!(echo(two).await, Answer::Text("hi".into()));

    // What needs a restart, what is broken, and an address that somebody else has: each refused as a whole.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let refused = [
        (
            format!("[runtime]\nworkers = 2\n{base}"),
            "runtime.workers changed, which needs a restart",
        ),
        (
            format!("[metrics]\nlisten = \"{}\"\n{base}", free()),
            "metrics.listen changed, which needs a restart",
        ),
        (format!("{base}nonsense = 1\n"), "nonsense"),
        (
            base.clone() + &listener("three", taken, "item"),
            "cannot listen on",
        ),
    ];
    for (config, why) in refused {
        proxy.rewrite(&config);
        let done = reload();
        assert_eq!(done.status.code(), Some(1), "{why}");
        assert!(said(&done.stderr).contains(why), "{}", said(&done.stderr));
        proxy.logged(&["ERROR", "reload refused"]);
        assert_eq!(proxy.metric(SUCCESSFUL, &[]), Some(0.0));
        assert_eq!(echo(two).await, Answer::Text("hi".into()), "all or nothing");
    }
    proxy.rewrite(&base);
    assert_eq!(reload().status.code(), Some(0));
    assert_eq!(proxy.metric(SUCCESSFUL, &[]), Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_file_is_opened_again_when_told() {
    let instance = instance().start().await.unwrap();
    let log = tempfile::tempdir().unwrap();
    let (file, aside) = (log.path().join("tide.log"), log.path().join("aside.log"));
    let config = format!(
        "[log]\nfile = \"{}\"\n{}{}",
        file.display(),
        listener("one", free(), "item"),
        service("item", &[instance.address()], "")
    );
    let proxy = Tidegate::start(&config);
    eventually("it logs", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("listening"))
    });
    std::fs::rename(&file, &aside).unwrap();
    proxy.signal("USR1");
    eventually("the file is there again", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("log files opened again"))
    });
    assert!(
        !std::fs::read_to_string(&aside)
            .unwrap()
            .contains("opened again")
    );
}
