//! Lanes on one shared etcd: each developer's own instances, and the baseline that nobody dirties. Two services call
//! each other through the proxy, so that a mark has to travel.
#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "../../support/etcd.rs"]
mod etcd;
#[path = "../../support/process.rs"]
mod process;

use std::net::SocketAddr;

use etcd::Etcd;
use peers::thrift::{Client, Framing, Server};
use process::{Tidegate, free, listener};
use scripted::{Answer, Header};

const PREFIX: &str = "kitex/registry-etcd";
/// TTHeader's int key for the environment that the caller states.
const ENV: u16 = 10;
const MARK: &str = "RPC_PERSIST_LANE";

/// An instance that says who it is, registered with its lane's tag.
struct Instance<'a> {
    etcd: &'a Etcd,
    key: String,
    server: Server,
}

impl<'a> Instance<'a> {
    async fn start(
        etcd: &'a Etcd,
        service: &str,
        lane: Option<&str>,
        next: Option<Client>,
    ) -> Instance<'a> {
        let name = lane.map_or_else(|| service.to_owned(), |lane| format!("{service}@{lane}"));
        let server = Server::start_named(&name, next).unwrap();
        let address = server.address();
        let tags = lane.map_or_else(
            || "null".to_owned(),
            |lane| format!("{{\"env\":\"{lane}\"}}"),
        );
        let key = format!("{PREFIX}/{service}/{address}");
        let value = format!(
            "{{\"network\":\"tcp\",\"address\":\"{address}\",\"weight\":10,\"tags\":{tags}}}"
        );
        etcd.put(&key, &value).await;
        Instance { etcd, key, server }
    }

    /// It deregisters, then stops, as a Kitex server does.
    async fn stop(self) {
        self.etcd.delete(&self.key).await;
        drop(self.server);
    }
}

/// Both services, each with a port of its own, and lanes by the caller's env or by a mark that travels.
fn config(etcd: &Etcd, front: SocketAddr, back: SocketAddr) -> String {
    let lanes = |service: &str| {
        format!(
            "[[service]]\nname = \"{service}\"\n\
             [[service.lane]]\nwhen = {{ env = \"*\" }}\nuse = {{ env = \"{{env}}\" }}\n\
             [[service.lane]]\nwhen = {{ {MARK} = \"*\" }}\nuse = {{ env = \"{{{MARK}}}\" }}\n"
        )
    };
    let registry = format!(
        "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"{}\"]\n",
        etcd.url()
    );
    registry
        + &listener("front", front, "front")
        + &listener("back", back, "back")
        + &lanes("front")
        + &lanes("back")
}

/// Calls until the answer is this: what etcd was told takes a moment to arrive.
async fn answers(what: &str, mut call: impl AsyncFnMut() -> String) {
    let mut last = String::new();
    for _ in 0..1_000 {
        last = call().await;
        if last == what {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never answered {what:?}, but {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_travels_reaches_the_lane_in_every_service_of_the_chain() {
    let etcd = Etcd::start().await;
    let (front, back) = (free(), free());
    let to_back = || Client::new("back", back, Framing::TtHeader, None);
    let _baseline = (
        Instance::start(&etcd, "front", None, Some(to_back())).await,
        Instance::start(&etcd, "back", None, None).await,
    );
    let _front_alice = Instance::start(&etcd, "front", Some("alice"), Some(to_back())).await;
    let back_alice = Instance::start(&etcd, "back", Some("alice"), None).await;
    let _back_carol = Instance::start(&etcd, "back", Some("carol"), None).await;
    let _proxy = Tidegate::start(&config(&etcd, front, back));
    let client = Client::new("front", front, Framing::TtHeader, None);
    let marked = async |lane: &str| client.echo_marked("LANE", lane).await.unwrap();

    for _ in 0..20 {
        assert_eq!(client.echo("who?").await.unwrap(), "front > back");
        assert_eq!(marked("alice").await, "front@alice > back@alice");
        // Carol works on one of the two only, Bob on none.
        assert_eq!(marked("carol").await, "front > back@carol");
        assert_eq!(marked("bob").await, "front > back");
    }
    back_alice.stop().await;
    answers("front@alice > back", async || marked("alice").await).await;
    let _back_alice = Instance::start(&etcd, "back", Some("alice"), None).await;
    answers("front@alice > back@alice", async || marked("alice").await).await;
    for _ in 0..20 {
        assert_eq!(client.echo("who?").await.unwrap(), "front > back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_an_env_reach_its_instance_and_the_baseline_while_it_is_away() {
    let etcd = Etcd::start().await;
    let (front, back) = (free(), free());
    let _baseline = Instance::start(&etcd, "back", None, None).await;
    let alice = Instance::start(&etcd, "back", Some("alice"), None).await;
    let _bob = Instance::start(&etcd, "back", Some("bob"), None).await;
    let _proxy = Tidegate::start(&config(&etcd, front, back));
    let call = async |env: Option<&str>| {
        let header = env.map_or_else(Header::default, |env| Header::default().int(ENV, env));
        let client = scripted::Client::connect(back, scripted::Framing::TtHeader).await;
        match client
            .unwrap()
            .with_header(header)
            .call("Echo", "who?")
            .await
            .unwrap()
        {
            Answer::Text(text) => text,
            other => format!("{other:?}"),
        }
    };
    for _ in 0..20 {
        assert_eq!(call(None).await, "back");
        assert_eq!(call(Some("alice")).await, "back@alice");
        assert_eq!(call(Some("bob")).await, "back@bob");
        assert_eq!(call(Some("carol")).await, "back");
    }
    alice.stop().await;
    answers("back", async || call(Some("alice")).await).await;
    assert_eq!(call(Some("bob")).await, "back@bob");
    let _alice = Instance::start(&etcd, "back", Some("alice"), None).await;
    answers("back@alice", async || call(Some("alice")).await).await;
}
