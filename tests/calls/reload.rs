//! Another config for a running proxy, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use scripted::{Act, Call, Framing, Options, Server};
use tidegate::config::Config;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::free;
use crate::support::proxy::{Caller, Proxy, Setup, eventually, metric, ms, soon};

/// Callers that call until told to stop; each call must succeed.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(proxy: &Proxy, n: usize) -> Self {
        let (stop, calls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let callers = (0..n)
            .map(|n| {
                let (addr, stop, calls) = (proxy.addr, stop.clone(), calls.clone());
                tokio::spawn(async move {
                    let mut caller = Caller::connect(addr, Framing::ALL[n % 4]).await;
                    while !stop.load(Relaxed) {
                        caller.echo("load").await;
                        calls.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        Self {
            stop,
            calls,
            callers,
        }
    }

    /// So many more calls have succeeded.
    async fn goes_on(&self, calls: u64) {
        let now = self.calls.load(Relaxed);
        eventually("calls go on", || self.calls.load(Relaxed) >= now + calls).await;
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        for caller in self.callers {
            soon(caller).await.unwrap();
        }
        self.calls.load(Relaxed)
    }
}

async fn reload(proxy: &Proxy, setup: &Setup) -> String {
    proxy.app.reload(Ok(setup.config())).await.unwrap()
}

#[tokio::test]
async fn under_load_policies_change_listeners_come_and_go_and_no_call_is_lost() {
    let server = Options::script(|call: &Call| match call.message.method.as_str() {
        "Slow" => Act::Delay(ms(150)),
        _ => Act::Delay(ms(1)),
    })
    .start()
    .await
    .unwrap();
    let setup = Setup::new("reload", &[server.address()]);
    let proxy = setup.start();
    let load = Load::start(&proxy, 8);
    load.goes_on(50).await;

    // A policy: it holds for a connection that is open, too.
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.call("Slow", "x").await.unwrap();
    let strict = setup
        .clone()
        .policy("[service.method.Slow]\nread_deadline = \"30ms\"");
    let said = reload(&proxy, &strict).await;
    assert!(said.contains("service reload"), "{said}");
    let cut = caller.call("Slow", "x").await.unwrap();
    assert!(matches!(cut, scripted::Answer::Exception(6, _)), "{cut:?}");
    load.goes_on(50).await;

    // A listener more, and then less: its connections drain, the address is free again.
    let second = free();
    let listener =
        format!("[[listener]]\nname = \"second\"\nlisten = \"{second}\"\nservice = \"reload\"");
    reload(&proxy, &setup.clone().more(&listener)).await;
    let mut on_second = Caller::connect(second, Framing::Framed).await;
    on_second.echo("x").await;
    on_second.send("Slow", "in flight").await;
    reload(&proxy, &setup).await;
    assert!(
        on_second.next().await.unwrap().is_some(),
        "what was in flight is answered"
    );
    on_second.ends().await;
    assert!(TcpStream::connect(second).await.is_err());
    load.goes_on(50).await;

    // Its own, and three that were slow or on the second listener.
    let calls = load.stop().await + 3;
    proxy.counted("ok", calls).await;
    proxy.counted("read_deadline", 1).await;
}

#[tokio::test]
async fn endpoints_change_under_load_and_those_removed_get_no_further_call() {
    let (a, b) = (
        Server::start(Act::Delay(ms(1))).await.unwrap(),
        Server::start(Act::Delay(ms(1))).await.unwrap(),
    );
    let text = Setup::new("reload-set", &[a.address()]);
    let proxy = text.start();
    let load = Load::start(&proxy, 8);
    load.goes_on(50).await;
    let moved = text
        .text()
        .replace(&a.address().to_string(), &b.address().to_string());
    let moved = Config::from_str("moved.toml", &moved).unwrap();
    proxy.app.reload(Ok(moved)).await.unwrap();
    load.goes_on(20).await;
    let (before, connections) = (a.calls(), b.seen().connections);
    load.goes_on(100).await;
    assert_eq!(a.calls(), before, "no further call");
    assert!(b.calls() >= 100 && connections > 0);
    eventually("its pool is closed", || a.seen().open == 0).await;
    let calls = load.stop().await;
    proxy.counted("ok", calls).await;
    assert_eq!(proxy.ended(), calls);
}

#[tokio::test]
async fn a_reload_that_is_refused_changes_nothing() {
    let server = Server::start(Act::Echo).await.unwrap();
    let setup = Setup::new("reload-bad", &[server.address()]);
    let proxy = setup.start();
    let load = Load::start(&proxy, 4);
    let refused = || metric("tidegate_config_reloads_total", &[("result", "failed")]);
    let before = refused();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener =
        |at| format!("[[listener]]\nname = \"more\"\nlisten = \"{at}\"\nservice = \"reload-bad\"");
    let wrong: Result<Config, String> = Err("tidegate.toml:3:1: unknown key".into());
    let busy = setup
        .clone()
        .more(&listener(taken.local_addr().unwrap()))
        .config();
    let restart = setup
        .clone()
        .runtime("workers = 2")
        .more(&listener(free()))
        .config();
    for (new, says) in [
        (wrong, "unknown key"),
        (Ok(busy), "nothing was reloaded"),
        (Ok(restart), "needs a restart"),
    ] {
        let error = proxy.app.reload(new).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(proxy.app.listeners().len(), 1);
        assert_eq!(*proxy.app.config(), setup.config());
    }
    load.goes_on(50).await;
    let calls = load.stop().await;
    proxy.counted("ok", calls).await;
    // Other tests of this process may have some refused as well.
    assert!(refused() - before >= 3);
}

/// Transparent listeners are Linux's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_transparent_listener_lists_changes_with_its_config() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("services.toml");
    let entry =
        |service| format!("[[instance]]\nservice = \"{service}\"\naddress = \"10.0.0.1:1\"\n");
    std::fs::write(
        &path,
        entry("listed.a") + &entry("listed.b") + &entry("other"),
    )
    .unwrap();
    let path = path.display();
    let registry = format!("[[registry]]\nname = \"main\"\nkind = \"file\"\npath = \"{path}\"");
    let plain = Setup::new("listed", &[]).unnamed().more(&registry);
    let proxy = plain.start();
    let with = |lines: &str| plain.clone().listener(lines);
    let shown = || {
        let all = proxy.app.services();
        let names = all["services"].as_array().unwrap().iter();
        let names: Vec<_> = names
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        (all["registries"][0]["listings"].clone(), names.join(" "))
    };
    assert_eq!(shown(), (serde_json::json!([]), String::new()));

    let some = with("transparent = true\nservices = [\"listed.*\"]");
    reload(&proxy, &some).await;
    eventually("both are followed", || shown().1 == "listed.a listed.b").await;
    let listing = serde_json::json!([{ "services": "listed.*", "found": 2, "problem": null }]);
    assert_eq!(shown().0, listing);

    reload(&proxy, &with("transparent = true")).await;
    eventually("all are followed", || {
        shown().1 == "listed.a listed.b other"
    })
    .await;
    reload(&proxy, &plain).await;
    assert_eq!(shown().0, serde_json::json!([]));
}
