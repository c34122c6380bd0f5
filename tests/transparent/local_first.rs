//! `prefer = ["this_host"]`: the instance on this host while it runs, the shared one otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use scripted::{Framing, Server};

use crate::host::{Family, Host, dial, echo, eventually, instance, sh};
use crate::netns::inside;

const CALLERS: usize = 8;

/// Callers that call without a pause until they are told to stop; each call must be answered.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: tokio::task::JoinSet<()>,
}

impl Load {
    async fn start(to: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let mut client = dial(to, Framing::Framed).await;
            let (stop, answered): (_, Arc<AtomicU64>) = (stop.clone(), Arc::clone(&answered));
            callers.spawn(async move {
                while !stop.load(Relaxed) {
                    assert_eq!(client.call("Echo", "hi").await.unwrap(), echo());
                    answered.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        Self {
            stop,
            answered,
            callers,
        }
    }

    /// Waits until 500 more calls were answered, all of them by `server`.
    async fn all_go_to(&self, server: &Server, what: &str) {
        for _ in 0..100 {
            let (calls, answered) = (server.calls(), self.answered.load(Relaxed));
            eventually(what, || self.answered.load(Relaxed) >= answered + 500).await;
            let done = self.answered.load(Relaxed) - answered;
            // What is in flight at either end may count on one side only.
            if server.calls() - calls + 2 * CALLERS as u64 >= done {
                return;
            }
        }
        panic!("never: {what}");
    }

    async fn end(mut self) -> u64 {
        self.stop.store(true, Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        self.answered.load(Relaxed)
    }
}

#[test]
fn my_own_instance_is_called_while_it_runs_and_no_call_is_lost_when_it_comes_and_goes() {
    inside(
        "local_first::my_own_instance_is_called_while_it_runs_and_no_call_is_lost_when_it_comes_and_goes",
        || async {
            // The kernel takes this network for its own, but no interface has its addresses: they are another host's.
            sh("ip route add local 10.10.0.0/24 dev lo");
            let elsewhere = SocketAddr::from(([10, 10, 0, 5], 8888));
            let here = Family::V4.instance(1);
            let shared = instance(elsewhere).await;
            let to = SocketAddr::from(([127, 0, 0, 1], 18890));
            let more = format!(
                "[[listener]]\nname = \"item\"\nlisten = \"{to}\"\nservice = \"item\"\n\
                 [[service]]\nname = \"item\"\nprefer = [\"this_host\"]\n"
            );
            let (one, both) = ([("item", elsewhere)], [("item", elsewhere), ("item", here)]);
            let host = Host::start(&one, &more).await;
            let load = Load::start(to).await;
            load.all_go_to(&shared, "the shared one is called").await;
            for _ in 0..2 {
                let own = instance(here).await;
                host.register(&both);
                load.all_go_to(&own, "my own is called").await;
                // As a server stops: it leaves the registry, serves on for a while, and ends.
                host.register(&one);
                load.all_go_to(&shared, "the shared one is called again")
                    .await;
                drop(own);
                let gone = || std::net::TcpListener::bind(here).is_ok();
                eventually("it is gone", gone).await;
            }
            assert!(load.end().await >= 2_500);
        },
    );
}
