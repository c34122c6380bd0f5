//! The storm in small: instances that refuse, hang, fail, slow down and crash under a steady load, through the real
//! binary, at the built-in policies; black holes alone are tried again sooner. Counts and states are asserted, never
//! speed; the long form is `./dev storm`.

use std::net::SocketAddr;
use std::time::Duration;

use scripted::header::key;
use scripted::load::{Done, End, Log};
use scripted::{Fault, Framing, Header, Instance, Load, Plan};

use crate::process::{PATIENCE, Tidegate, free, listener, service};

const USUAL: Duration = Duration::from_millis(1);
const HANG_UP: Duration = Duration::from_millis(500);
/// Calls per second: few enough for a busy machine.
const RATE: u32 = 200;
/// Calls before anything goes wrong: the method is known, and its usual latency.
const WARM: u64 = 100;

/// Instances, the proxy before them, and calls on their way.
struct Storm {
    listen: SocketAddr,
    instances: Vec<Instance>,
    proxy: Tidegate,
    load: Load,
}

impl Storm {
    /// Starts it all; `first` is what the first instance has from the beginning.
    async fn start(count: usize, first: Fault, calls: impl FnOnce(Plan) -> Plan) -> Self {
        Self::start_with("", count, first, calls).await
    }

    /// The same with a policy.
    async fn start_with(
        policy: &str,
        count: usize,
        first: Fault,
        calls: impl FnOnce(Plan) -> Plan,
    ) -> Self {
        let mut instances = Vec::new();
        for nth in 0..count {
            let fault = if nth == 0 { first } else { Fault::None };
            instances.push(Instance::start(free(), USUAL, fault).await.unwrap());
        }
        let listen = free();
        let proxy = Tidegate::start(&config(listen, &instances, policy));
        let load = Load::start(calls(Plan::new(listen, RATE)));
        let storm = Self {
            listen,
            instances,
            proxy,
            load,
        };
        storm.more(WARM).await;
        storm
    }

    /// Another policy, by HUP.
    async fn reload(&self, policy: &str) {
        let reloads = || {
            let labels = [("result", "ok")];
            self.proxy.count("tidegate_config_reloads_total", &labels)
        };
        let before = tokio::task::block_in_place(reloads);
        self.proxy
            .rewrite(&config(self.listen, &self.instances, policy));
        self.proxy.signal("HUP");
        eventually("the reload", || reloads() == before + 1).await;
    }

    /// Waits until so many more calls were sent.
    async fn more(&self, calls: u64) {
        let until = self.load.sent() + calls;
        eventually("more calls", || self.load.sent() >= until).await;
    }

    async fn set_all(&self, fault: Fault) {
        for instance in &self.instances {
            instance.set(fault).await;
        }
    }

    /// Calls that have arrived at any instance.
    fn received(&self) -> u64 {
        self.instances.iter().map(Instance::calls).sum()
    }

    /// Whether an instance is in this state.
    fn is(&self, nth: usize, state: &str) -> bool {
        let endpoint = self.instances[nth].address().to_string();
        let labels = [("endpoint", endpoint.as_str()), ("state", state)];
        self.proxy.count("tidegate_endpoint_state", &labels) == 1
    }

    /// Waits until an instance is ejected; the time of that, in the log's terms.
    async fn ejected(&self, nth: usize) -> Duration {
        eventually("it is ejected", || self.is(nth, "ejected")).await;
        self.load.elapsed()
    }

    fn ejections(&self) -> u64 {
        self.proxy.count("tidegate_ejections_total", &[])
    }

    fn breaker(&self, method: &str, state: &str) -> bool {
        let labels = [("method", method), ("state", state)];
        self.proxy.count("tidegate_breaker_state", &labels) == 1
    }

    async fn end(self) -> (Log, Vec<Instance>) {
        let log = self.load.end(PATIENCE).await;
        (log, self.instances)
    }
}

fn config(listen: SocketAddr, instances: &[Instance], policy: &str) -> String {
    let endpoints: Vec<_> = instances.iter().map(Instance::address).collect();
    listener("storm", listen, "storm") + &service("storm", &endpoints, policy)
}

/// As the harness's own, without holding up the load on this runtime.
async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !tokio::task::block_in_place(&mut done) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
}

#[track_caller]
fn none_failed(log: &Log) {
    assert!(log.calls.len() as u64 >= WARM);
    assert_eq!(log.failed(), 0, "{:?}", log.texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_refuses_connections_costs_no_call() {
    let storm = Storm::start(3, Fault::Down, |plan| plan).await;
    eventually("it is down", || storm.is(0, "down")).await;
    storm.more(400).await;
    none_failed(&storm.end().await.0);
}

/// At most ten calls fail before it is out, and one more each time it is tried again.
async fn a_black_hole(calls: impl Fn(Plan) -> Plan) {
    // Where the machine stopped meanwhile, the others looked slow too, and it got more calls for good reason.
    for _ in 0..4 {
        let (failed, slowest, said) = hung(&calls).await;
        if failed <= 10 {
            return;
        }
        let why = format!("{failed} failed until it was out, others took {slowest:?}: {said:?}");
        assert!(slowest > Duration::from_millis(50), "{why}");
        eprintln!("storm: {why}");
    }
    panic!("too many failed, again and again");
}

/// How many calls fail before it is out, how long the slowest of the others took till then, and what was said.
async fn hung(calls: impl Fn(Plan) -> Plan) -> (u64, Duration, Vec<String>) {
    let soon = "[service.ejection]\nbase_ejection_time = \"1s\"";
    let storm = Storm::start_with(soon, 3, Fault::None, calls).await;
    storm.instances[0].set(Fault::Hang).await;
    let out = storm.ejected(0).await;
    let received = storm.instances[0].calls();
    // Long enough for a re-try or two.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = storm.load.end(Duration::from_secs(4)).await;
    // The first ejection is none of a re-try, but the last re-try may not have ended in one yet.
    let retries = storm.proxy.count("tidegate_ejections_total", &[]);
    let after = storm.instances[0].calls() - received;
    assert!(after <= retries, "{after} calls in {retries} re-tries");
    let well = log.calls.iter().filter(|c| c.sent < out && !c.failed());
    let slowest = well.map(|c| c.took).max().unwrap_or_default();
    (log.failed_between(Duration::ZERO, out), slowest, log.texts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_ejected_though_callers_wait_for_ever() {
    a_black_hole(|plan| plan).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_ejected_though_callers_hang_up_first() {
    a_black_hole(|plan| Plan {
        hang_up: Some(HANG_UP),
        ..plan
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_ejected_though_callers_state_their_deadline() {
    a_black_hole(|plan| Plan {
        framing: Framing::TtHeaderFramed,
        header: Header::default().int(key::RPC_TIMEOUT, "500"),
        hang_up: Some(HANG_UP),
        ..plan
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_fails_half_its_calls_is_ejected_after_few() {
    let storm = Storm::start(3, Fault::None, |plan| plan).await;
    storm.instances[0].set(Fault::Fail(0.5)).await;
    let out = storm.ejected(0).await;
    assert!(!storm.is(1, "ejected") && !storm.is(2, "ejected"));
    let (log, instances) = storm.end().await;
    // The median is 14, the 95th percentile 21.
    let until = log.failed_between(Duration::ZERO, out);
    assert!(until <= 60, "{until} failed until it was out");
    let others = instances[1].counts().failed + instances[2].counts().failed;
    assert_eq!(others, 0, "nobody else failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twentieth_of_failures_everywhere_ejects_nobody() {
    let storm = Storm::start(3, Fault::None, |plan| plan).await;
    storm.set_all(Fault::Fail(0.05)).await;
    storm.more(1000).await;
    assert_eq!(storm.ejections(), 0);
    let (log, instances) = storm.end().await;
    let failed: u64 = instances.iter().map(|i| i.counts().failed).sum();
    assert_eq!(
        log.failed(),
        failed,
        "each reached its caller: {:?}",
        log.texts
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_instance_gets_next_to_no_call_and_is_not_ejected() {
    let storm = Storm::start(3, Fault::None, |plan| plan).await;
    storm.instances[0]
        .set(Fault::Slow(Duration::from_millis(1500)))
        .await;
    storm.more(3 * u64::from(RATE)).await;
    let (slow, all) = (storm.instances[0].calls(), storm.received());
    storm.more(1000).await;
    let (slow, all) = (storm.instances[0].calls() - slow, storm.received() - all);
    assert!(slow * 50 < all, "{slow} of {all}");
    assert_eq!(storm.ejections(), 0);
    none_failed(&storm.end().await.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_costs_the_calls_in_flight_and_the_instance_is_back_by_itself() {
    let storm = Storm::start(3, Fault::None, |plan| plan).await;
    for _ in 0..2 {
        storm.instances[0].set(Fault::Down).await;
        eventually("it is down", || storm.is(0, "down")).await;
        storm.more(100).await;
        let before = storm.instances[0].calls();
        storm.instances[0].set(Fault::None).await;
        eventually("it gets calls", || storm.instances[0].calls() > before + 10).await;
    }
    let (log, instances) = storm.end().await;
    let (failed, cut) = (log.failed(), instances[0].counts().cut);
    // A call that was on its way when the connection closed is not known to the instance.
    assert!(
        failed <= cut + 2,
        "{failed}, {cut} in flight: {:?}",
        log.texts
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_fails_everywhere_opens_its_breaker_and_no_other_notices() {
    let storm = Storm::start(3, Fault::None, |plan| Plan {
        methods: &["Echo", "Echo", "Bad"],
        ..plan
    })
    .await;
    storm.set_all(Fault::FailMethod("Bad")).await;
    eventually("its breaker opens", || storm.breaker("Bad", "open")).await;
    storm.more(300).await;
    assert_eq!(storm.ejections(), 0, "it is no endpoint's fault");
    assert!(storm.breaker("Echo", "closed"));
    let (log, _) = storm.end().await;
    let others: Vec<&Done> = log
        .calls
        .iter()
        .filter(|call| call.method != "Bad" && call.failed())
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_fails_gets_probes_only_and_its_load_back_when_it_recovers() {
    let storm = Storm::start(3, Fault::None, |plan| plan).await;
    storm.set_all(Fault::Fail(1.0)).await;
    eventually("the breaker opens", || storm.breaker("Echo", "open")).await;
    let (sent, received) = (storm.load.sent(), storm.received());
    storm.more(600).await;
    let (sent, received) = (storm.load.sent() - sent, storm.received() - received);
    assert!(received * 20 <= sent, "{received} of {sent} reached them");
    // That is no endpoint's fault. But of the few calls before the breaker opens one may get nearly all, by chance.
    assert!(storm.ejections() <= 1, "{} ejections", storm.ejections());
    storm.set_all(Fault::None).await;
    eventually("it closes", || storm.breaker("Echo", "closed")).await;
    let closed = storm.load.elapsed();
    storm.more(200).await;
    let (log, instances) = storm.end().await;
    assert_eq!(
        log.failed_between(closed, Duration::MAX),
        0,
        "{:?}",
        log.texts
    );
    let upstream: u64 = instances.iter().map(Instance::calls).sum();
    let spare = 10 * (log.calls.len() as u64 / u64::from(RATE) + 1);
    assert!(
        upstream <= log.calls.len() as u64 * 6 / 5 + spare,
        "{upstream}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_instance_that_hung_has_its_calls_back() {
    let storm = Storm::start(1, Fault::None, |plan| Plan {
        hang_up: Some(HANG_UP),
        ..plan
    })
    .await;
    storm.instances[0].set(Fault::Hang).await;
    storm.more(3 * u64::from(RATE)).await;
    storm.instances[0].set(Fault::None).await;
    let recovered = storm.load.elapsed();
    let answered = || {
        storm
            .proxy
            .count("tidegate_calls_total", &[("outcome", "ok")])
    };
    let before = answered();
    eventually("it is called again", || answered() > before + 200).await;
    let full = storm.load.elapsed();
    storm.more(200).await;
    let (log, _) = storm.end().await;
    assert_eq!(
        log.failed_between(full, Duration::MAX),
        0,
        "{:?}",
        log.texts
    );
    let hung_up = log.calls.iter().filter(|call| call.end == End::HungUp);
    assert!(hung_up.filter(|call| call.sent < recovered).count() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_the_storm_keeps_the_states_whose_policy_did_not_change() {
    let policy = |breaker: &str, ejection: &str| {
        format!(
            "[service.breaker]\ncooling = \"60s\"\n{breaker}\n[service.ejection]\nbase_ejection_time = \"60s\"\n{ejection}"
        )
    };
    let storm = Storm::start_with(&policy("", ""), 3, Fault::None, |plan| Plan {
        methods: &["Echo", "Echo", "Bad"],
        ..plan
    })
    .await;
    storm.instances[0].set(Fault::Fail(1.0)).await;
    storm.ejected(0).await;
    for instance in &storm.instances[1..] {
        instance.set(Fault::FailMethod("Bad")).await;
    }
    eventually("its breaker opens", || storm.breaker("Bad", "open")).await;
    let opened = || {
        let labels = [("method", "Bad"), ("to", "open")];
        storm
            .proxy
            .count("tidegate_breaker_transitions_total", &labels)
    };
    assert_eq!(opened(), 1);

    storm.reload(&policy("", "max_ejection_percent = 40")).await;
    storm.more(100).await;
    assert!(
        storm.breaker("Bad", "open") && opened() == 1,
        "it was not touched"
    );
    assert!(storm.is(0, "ejected"), "one of three is within the new cap");

    storm
        .reload(&policy("min_samples = 30", "max_ejection_percent = 40"))
        .await;
    eventually("the breaker began anew, and opened again", || opened() == 2).await;
    assert!(storm.is(0, "ejected"), "its policy did not change");

    storm
        .reload(&policy("min_samples = 30", "max_ejection_percent = 30"))
        .await;
    eventually("one of three is too many now", || !storm.is(0, "ejected")).await;
    let (log, _) = storm.end().await;
    let cut = log.calls.iter().filter(|call| call.end == End::Closed);
    assert_eq!(cut.count(), 0, "no reload cuts a call");
}
