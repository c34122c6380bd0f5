//! A real etcd, told by `etcdctl`, that comes, changes, dies and comes back under a running tidegate.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use scripted::{Answer, Client, Framing, Server};

use crate::etcd::{Etcd, value};
use crate::load::{Load, Plan, instance};
use crate::process::{Tidegate, eventually, free, listener};

/// What Kitex's registry-etcd writes to by default.
const PREFIX: &str = "kitex/registry-etcd";

fn etcdctl(etcd: &Etcd, args: &[&str]) {
    let mut command = Command::new("etcdctl");
    command
        .env("ETCDCTL_API", "3")
        .arg("--endpoints")
        .arg(etcd.url());
    let out = command.args(args).output().expect("etcdctl is needed");
    assert!(
        out.status.success(),
        "etcdctl {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn put(etcd: &Etcd, service: &str, address: SocketAddr) {
    let address = address.to_string();
    etcdctl(
        etcd,
        &[
            "put",
            &format!("{PREFIX}/{service}/{address}"),
            &value(&address),
        ],
    );
}

fn delete(etcd: &Etcd, service: &str, address: SocketAddr) {
    etcdctl(etcd, &["del", &format!("{PREFIX}/{service}/{address}")]);
}

/// A config whose services `item` and `item-v2` are found in etcd, at these two addresses.
fn config(etcd: &Etcd, item: SocketAddr, v2: SocketAddr) -> String {
    format!(
        "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"{}\"]\n{}{}",
        etcd.url(),
        listener("item", item, "item"),
        listener("v2", v2, "item-v2"),
    )
}

async fn call(to: SocketAddr, text: &str) -> Answer {
    let mut client = Client::connect(to, Framing::Framed).await.unwrap();
    client.call("Echo", text).await.unwrap()
}

/// Calls until it is answered by an instance; how long that took.
async fn served(to: SocketAddr) -> Duration {
    let begun = Instant::now();
    while call(to, "hi").await != Answer::Text("hi".into()) {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is not served"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

async fn start_instance() -> Server {
    instance().start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_etcdctl_puts_is_served_and_what_it_deletes_gets_no_further_call() {
    let etcd = Etcd::start().await;
    let (first, second, other) = (
        start_instance().await,
        start_instance().await,
        start_instance().await,
    );
    let (item, v2) = (free(), free());
    let proxy = Tidegate::start(&config(&etcd, item, v2));
    put(&etcd, "item-v2", other.address());
    served(v2).await;
    let Answer::Exception(6, said) = call(item, "hi").await else {
        panic!("nothing is registered")
    };
    assert!(
        said.contains("nothing is registered (R13); see tidegate doctor item;"),
        "{said}"
    );

    put(&etcd, "item", first.address());
    let took = served(item).await;
    eprintln!("etcd: served {took:?} after etcdctl's end");
    put(&etcd, "item", second.address());
    eventually("both are known", || {
        proxy.count(
            "tidegate_endpoints",
            &[("service", "item"), ("state", "up")],
        ) == 2
    });

    // Some calls in flight on the first when it is removed: they end as if nothing had happened.
    let load = Load::start(8, item, &Plan::new("300ms"));
    load.more(16);
    eventually("calls are in flight on it", || {
        proxy.count(
            "tidegate_tries_total",
            &[("endpoint", &first.address().to_string())],
        ) > 2
    });
    delete(&etcd, "item", first.address());
    eventually("it is gone", || {
        proxy.count(
            "tidegate_endpoints",
            &[("service", "item"), ("state", "up")],
        ) == 1
    });
    load.more(16); // what was on its way has arrived
    let at_removal = first.calls();
    load.more(24);
    load.end().await.all_echoed();
    assert_eq!(first.calls(), at_removal, "no further call");

    assert_eq!(other.seen().methods["Echo"], other.calls());
    let ended = proxy.count(
        "tidegate_calls_total",
        &[("service", "item-v2"), ("outcome", "ok")],
    );
    assert_eq!(other.calls(), ended, "item-v2 gets no call of item");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_etcd_is_dead_calls_go_on_and_the_metrics_say_how_stale_the_set_is() {
    let mut etcd = Etcd::start().await;
    let (first, second) = (start_instance().await, start_instance().await);
    put(&etcd, "item", first.address());
    let item = free();
    let proxy = Tidegate::start(&config(&etcd, item, free()));
    served(item).await;
    let up = || proxy.metric("tidegate_registry_up", &[("registry", "main")]);
    let synced = || {
        proxy.metric(
            "tidegate_registry_last_sync_timestamp_seconds",
            &[("registry", "main")],
        )
    };
    assert_eq!(up(), Some(1.0));

    let load = Load::start(4, item, &Plan::new("5ms"));
    etcd.kill();
    eventually("etcd is seen to be away", || up() == Some(0.0));
    let stale = synced().unwrap();
    assert!(stale > 1e9, "a time of this century: {stale}");
    load.more(200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(synced(), Some(stale), "nothing was read meanwhile");
    assert_eq!(
        proxy.get("/readyz").unwrap().0,
        200,
        "the loss of etcd takes nobody out"
    );
    proxy.logged(&["WARN", "main"]);

    etcd.restart().await;
    put(&etcd, "item", second.address());
    let seen = second.calls();
    let took = eventually("the change flows", || second.calls() > seen);
    eprintln!("etcd: a change flows {took:?} after its return");
    delete(&etcd, "item", first.address());
    eventually("one is left", || {
        proxy.count(
            "tidegate_endpoints",
            &[("service", "item"), ("state", "up")],
        ) == 1
    });
    eventually("etcd is seen to be back", || up() == Some(1.0));
    assert!(synced().unwrap() > stale);
    load.more(50);
    load.end().await.all_echoed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_etcd_away_from_the_start_it_runs_and_tells_callers_why_until_etcd_comes() {
    let mut etcd = Etcd::idle(None);
    let instance = start_instance().await;
    let item = free();
    let proxy = Tidegate::start(&config(&etcd, item, free()));
    eventually("the first try was made", || {
        proxy.get("/readyz").unwrap().0 == 200
    });
    let begun = Instant::now();
    let Answer::Exception(6, said) = call(item, "hi").await else {
        panic!("nobody could know an instance")
    };
    let took = begun.elapsed();
    assert!(
        said.contains("item") && said.contains("registry could not be read"),
        "{said}"
    );
    assert!(
        said.contains(&etcd.url()),
        "it names the registry that cannot be reached: {said}"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    proxy.logged(&[
        "nothing new from etcd for now, nothing is known yet: ",
        "(E01)",
    ]);

    etcd.restart().await;
    proxy.logged(&["WARN", "nothing is registered: ", "code=R13"]);
    put(&etcd, "item", instance.address());
    let took = served(item).await;
    eprintln!("etcd: served {took:?} after it came");
}
