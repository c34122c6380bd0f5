//! An instance that is killed under load, and started again.

use std::time::{Duration, Instant};

use crate::instance::Instance;
use crate::load::{Calls, Load, Plan};
use crate::process::{Tidegate, eventually, free, listener, service};

/// Few enough that those in flight on one of three instances are a part.
const CALLERS: usize = 24;

struct Killed {
    calls: Calls,
    /// When its last connection was closed.
    dead: Instant,
    back: Duration,
    stale: u64,
}

/// Three instances under load; one is killed, and started again a while later.
async fn kill_one(policy: &str) -> Killed {
    let mut instances = [free(), free(), free()].map(Instance::start);
    let addresses = instances.each_ref().map(|instance| instance.address);
    let listen = free();
    let policy = format!("read_deadline = \"2s\"\n{policy}");
    let proxy = Tidegate::start(
        &(listener("item", listen, "item") + &service("item", &addresses, &policy)),
    );
    let victim = addresses[0].to_string();
    let served = || {
        let labels = [("endpoint", &*victim), ("outcome", "ok")];
        proxy.count("tidegate_tries_total", &labels)
    };

    let load = Load::start(CALLERS, listen, &Plan::new("15ms"));
    load.more(500);
    assert!(served() > 50, "it has its share");
    instances[0].kill();
    let dead = Instant::now();
    load.more(500);
    let labels = [("endpoint", &*victim), ("state", "down")];
    eventually("it is down", || {
        proxy.metric("tidegate_endpoint_state", &labels) == Some(1.0)
    });
    assert!(
        proxy.services().contains("Connection refused"),
        "/services says why"
    );

    let before = served();
    instances[0] = Instance::start(addresses[0]);
    let back = eventually("it gets calls again", || served() > before);
    load.more(200);
    let stale = proxy.count("tidegate_stale_connections_total", &[("found", "in_use")]);
    let calls = load.end().await;
    Killed {
        calls,
        dead,
        back,
        stale,
    }
}

impl Killed {
    /// What holds under any policy.
    fn check(&self, name: &str) {
        let failed = self.calls.exceptions();
        let late = failed
            .iter()
            .filter(|(done, _)| done.began > self.dead)
            .count();
        eprintln!(
            "killed, {name}: {} calls, {} failed ({late} of them sent after its end), longest {:?}, stale in use {}, back after {:?}",
            self.calls.all.len(),
            failed.len(),
            self.calls.longest(),
            self.stale,
            self.back,
        );
        assert!(
            self.calls.cut().is_empty(),
            "no caller's connection is cut: {:?}",
            self.calls.cut()
        );
        assert_eq!(self.calls.echoed() + failed.len(), self.calls.all.len());
        assert!(failed.len() <= CALLERS, "only what was in flight fails");
        for (_, said) in failed {
            assert!(
                said.contains("closed the connection without an answer"),
                "{said}"
            );
        }
        assert!(
            self.calls.longest() < Duration::from_secs(4),
            "nobody waits beyond the read deadline"
        );
        assert!(self.back < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_fails_the_calls_in_flight_on_it_each_with_an_answer() {
    kill_one("").await.check("default");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_resending_not_one_call_fails_that_was_sent_after_its_end() {
    let killed = kill_one("resend_unacknowledged = true").await;
    killed.check("resend_unacknowledged");
    let mut failed = killed.calls.exceptions().into_iter();
    let late = failed.find(|(done, _)| done.began > killed.dead);
    assert!(late.is_none(), "{late:?}");
}
