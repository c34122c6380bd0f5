//! The circuit breaker, call by call: one method's failures are refused early, and no other method notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use scripted::{Act, Answer, Framing, Options, Server};
use tidegate::admin::{BreakerOrder, Wanted};
use tidegate::app::App;
use tidegate::breaker::Forced;
use tidegate::config::{BreakerPolicy, Config, Preset};
use tokio::time::sleep;

use crate::support::proxy::{Caller, Proxy, Setup, eventually, metric, ms};

/// Fails `Get` while the switch is on; every other method is echoed.
async fn instance(broken: &Arc<AtomicBool>) -> Server {
    let broken = broken.clone();
    let script = move |call: &scripted::Call| match call.message.method.as_str() {
        "Get" if broken.load(Relaxed) => Act::Close,
        _ => Act::Echo,
    };
    Options::script(script).start().await.unwrap()
}

/// Four calls decide, however slow the machine is, and it cools for a second.
fn quick() -> BreakerPolicy {
    BreakerPolicy {
        window: Duration::from_secs(60),
        min_samples: 4,
        consecutive: 0,
        ..BreakerPolicy::default()
    }
}

fn with(setup: &Setup, breaker: &BreakerPolicy) -> Config {
    let mut config = setup.config();
    for service in &mut config.services {
        service.policy.breaker = breaker.clone();
    }
    config
}

/// A proxy whose breakers have this policy, with a slot for `Get` and `Echo`.
async fn start(name: &'static str, at: &[SocketAddr], policy: &str, of: &BreakerPolicy) -> Proxy {
    let setup = Setup::new(name, at).policy(policy);
    let config = with(&setup, of);
    let addr = config.listeners[0].listen.tcp().unwrap();
    let app = App::start(config).unwrap_or_else(|e| panic!("{e}"));
    let proxy = Proxy { app, addr, name };
    let mut caller = proxy.caller(Framing::Framed).await;
    for method in ["Get", "Echo", "Get"] {
        // The first reply gives the method its slot, and with it a breaker: the second is counted.
        let answer = caller.call(method, "warm").await.unwrap();
        assert_eq!(answer, Answer::Text("warm".into()));
    }
    proxy
}

/// The text of the exception that a call of `Get` ends in.
async fn fails(caller: &mut Caller) -> String {
    match caller.call("Get", "x").await.unwrap() {
        Answer::Exception(6, said) => said,
        other => panic!("answered: {other:?}"),
    }
}

/// Calls `Get` until its breaker is open: so many calls.
async fn open(proxy: &Proxy) -> u64 {
    for calls in 0..50 {
        let mut caller = proxy.caller(Framing::Framed).await;
        if fails(&mut caller).await.contains("breaker open") {
            return calls;
        }
    }
    panic!("it never opens")
}

fn in_state(proxy: &Proxy, method: &str, state: &str) -> bool {
    let labels = [
        ("service", proxy.name),
        ("method", method),
        ("state", state),
    ];
    metric("tidegate_breaker_state", &labels) == 1
}

#[tokio::test]
async fn a_failing_method_opens_its_breaker_and_no_other_method_notices() {
    let broken = Arc::new(AtomicBool::new(false));
    let server = instance(&broken).await;
    let slow = BreakerPolicy {
        cooling: Duration::from_secs(30),
        ..quick()
    };
    let proxy = start("brk-open", &[server.address()], "", &slow).await;
    broken.store(true, Relaxed);
    assert_eq!(open(&proxy).await, 3, "and the one that was good");
    let (seen, opened) = (server.calls(), "breaker open for brk-open.Get: ");
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        let said = fails(&mut caller).await;
        let (start, rest) = said.split_once(opened).unwrap();
        assert_eq!(start, "tidegate: ");
        let numbers = "75 % of 4 calls failed in 60s, next probe in ";
        assert!(
            rest.starts_with(numbers) && rest.ends_with('s'),
            "{framing:?}: {said}"
        );
        caller.echo("the same connection, another method").await;
    }
    assert_eq!(server.calls(), seen + 4, "no refused call reached it");
    proxy.counted("breaker_open", 5).await;
    assert_eq!(proxy.tries("breaker_open"), 0);
    assert!(in_state(&proxy, "Get", "open") && in_state(&proxy, "Echo", "closed"));
}

#[tokio::test]
async fn it_closes_after_recovery_and_its_state_shows_what_it_went_through() {
    let broken = Arc::new(AtomicBool::new(false));
    let server = instance(&broken).await;
    let proxy = start("brk-close", &[server.address()], "", &quick()).await;
    broken.store(true, Relaxed);
    open(&proxy).await;
    broken.store(false, Relaxed);
    eventually("half-open, though nobody calls", || {
        in_state(&proxy, "Get", "half_open")
    })
    .await;
    let mut caller = proxy.caller(Framing::Framed).await;
    let mut answered = 0;
    while !in_state(&proxy, "Get", "closed") {
        if caller.call("Get", "x").await.unwrap() == Answer::Text("x".into()) {
            answered += 1;
        }
        sleep(ms(10)).await;
    }
    assert_eq!(answered, 2, "probes");
    let to = |state| proxy.of("tidegate_breaker_transitions_total", "to", state);
    assert_eq!(["open", "half_open", "closed"].map(to), [1, 1, 1]);
}

#[tokio::test]
async fn a_probe_is_never_sent_twice_though_the_method_is_idempotent() {
    let broken = Arc::new(AtomicBool::new(false));
    let (a, b) = (instance(&broken).await, instance(&broken).await);
    let at = [a.address(), b.address()];
    let proxy = start("brk-probe", &at, "idempotent = true", &quick()).await;
    broken.store(true, Relaxed);
    let before = a.calls() + b.calls();
    let calls = open(&proxy).await;
    assert!(a.calls() + b.calls() > before + calls, "it is tried again");
    eventually("half-open", || in_state(&proxy, "Get", "half_open")).await;
    let before = a.calls() + b.calls();
    let said = fails(&mut proxy.caller(Framing::Framed).await).await;
    assert!(said.contains("closed the connection"), "{said}");
    assert_eq!(a.calls() + b.calls(), before + 1);
    assert!(in_state(&proxy, "Get", "open"));
    let said = fails(&mut proxy.caller(Framing::Framed).await).await;
    assert!(
        said.contains("calls failed in 60s, a probe failed since, next probe in"),
        "{said}"
    );
}

#[tokio::test]
async fn a_probe_whose_connection_fails_is_dialled_elsewhere() {
    let broken = Arc::new(AtomicBool::new(false));
    let (a, b) = (instance(&broken).await, instance(&broken).await);
    let at = [a.address(), b.address()];
    let in_turn = "balance = \"weighted_round_robin\"";
    let proxy = start("brk-dial", &at, in_turn, &quick()).await;
    broken.store(true, Relaxed);
    open(&proxy).await;
    drop(a);
    broken.store(false, Relaxed);
    eventually("half-open", || in_state(&proxy, "Get", "half_open")).await;
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..2 {
        let answer = caller.call("Get", "probe").await.unwrap();
        assert_eq!(answer, Answer::Text("probe".into()));
        sleep(ms(250)).await;
    }
    eventually("closed", || in_state(&proxy, "Get", "closed")).await;
}

#[tokio::test]
async fn a_reload_keeps_its_state_unless_its_policy_changed() {
    let broken = Arc::new(AtomicBool::new(false));
    let server = instance(&broken).await;
    let slow = BreakerPolicy {
        cooling: Duration::from_secs(600),
        ..quick()
    };
    let setup = Setup::new("brk-reload", &[server.address()]);
    let config = with(&setup, &slow);
    let (addr, name) = (config.listeners[0].listen.tcp().unwrap(), "brk-reload");
    let app = App::start(config).unwrap_or_else(|e| panic!("{e}"));
    let proxy = Proxy { app, addr, name };
    proxy
        .caller(Framing::Framed)
        .await
        .call("Get", "warm")
        .await
        .unwrap();
    broken.store(true, Relaxed);
    open(&proxy).await;
    broken.store(false, Relaxed);
    // Another key of the service.
    let other = with(&setup.clone().policy("max_idle = 7"), &slow);
    proxy.app.reload(Ok(other)).await.unwrap();
    let mut caller = proxy.caller(Framing::Framed).await;
    let said = fails(&mut caller).await;
    // Ten minutes, a tenth more or less.
    assert!(
        said.contains("failed in 60s, next probe in ") && said.ends_with('m'),
        "{said}"
    );
    // The breaker's own, in force for the open connection, too.
    let kitex = with(&setup, &Preset::Kitex.policy());
    proxy.app.reload(Ok(kitex)).await.unwrap();
    let answer = caller.call("Get", "x").await.unwrap();
    assert_eq!(answer, Answer::Text("x".into()));
    assert!(in_state(&proxy, "Get", "closed"));
}

#[tokio::test]
async fn a_person_forces_a_method_or_a_whole_service() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = start("brk-force", &[server.address()], "", &quick()).await;
    let order = |method: Option<&str>, wanted| {
        let (service, method) = ("brk-force".into(), method.map(Into::into));
        let order = BreakerOrder {
            service,
            method,
            wanted,
        };
        proxy.app.breaker(&order)
    };
    let forced = Wanted::Forced(Forced::Open, Duration::from_secs(540));
    assert_eq!(
        order(Some("Get"), forced).unwrap(),
        "forced the breaker of brk-force.Get open for 9m"
    );
    let mut caller = proxy.caller(Framing::TtHeader).await;
    assert_eq!(
        fails(&mut caller).await,
        "tidegate: breaker open for brk-force.Get: forced open for another 9m"
    );
    caller.echo("another method").await;
    assert!(in_state(&proxy, "Get", "forced_open"));
    assert_eq!(
        order(Some("Get"), Wanted::Reset).unwrap(),
        "reset the breaker of brk-force.Get"
    );
    assert_eq!(
        caller.call("Get", "x").await.unwrap(),
        Answer::Text("x".into())
    );
    assert_eq!(
        order(None, forced).unwrap(),
        "forced all breakers of brk-force (2 methods have one, the others likewise) open for 9m"
    );
    caller.fails("every method").await;
    fails(&mut caller).await;
    let seen = server.calls();
    match caller.call("Unseen", "x").await.unwrap() {
        Answer::Exception(6, said) => assert_eq!(
            said,
            "tidegate: breaker open for brk-force.Unseen: forced open for another 9m"
        ),
        other => panic!("answered: {other:?}"),
    }
    assert_eq!(server.calls(), seen, "nothing reached it");
    let why = proxy.app.why(Some("brk-force"), None).unwrap();
    let others = "breaker of other methods: forced open for another 9m, by request";
    assert!(why.contains(others), "{why}");
    assert_eq!(
        order(None, Wanted::Reset).unwrap(),
        "reset all breakers of brk-force (2 methods have one, the others likewise)"
    );
    caller.call("Unseen", "x").await.unwrap();
    let wrong = order(Some("Gte"), forced).unwrap_err();
    let near = "no method Gte of brk-force has a breaker: did you mean Get? (a method has one from its first reply on";
    assert!(wrong.starts_with(near), "{wrong}");
    let wrong = order(Some("Unlike"), forced).unwrap_err();
    assert!(wrong.contains(": there is Echo, Get, Unseen ("), "{wrong}");
}

#[tokio::test]
async fn what_is_forced_holds_for_a_service_of_which_no_method_was_answered_yet() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("brk-hung", &[server.address()]).start();
    let order = BreakerOrder {
        service: "brk-hung".into(),
        method: None,
        wanted: Wanted::Forced(Forced::Open, Duration::from_secs(540)),
    };
    assert_eq!(
        proxy.app.breaker(&order).unwrap(),
        "forced all breakers of brk-hung (no method has one yet, the others likewise) open for 9m"
    );
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(said.ends_with("Echo: forced open for another 9m"), "{said}");
    proxy.counted("breaker_open", 1).await;
}
