//! Preference: which instances calls go to first.

use std::time::Duration;

use scripted::instance::{Fault, Instance};
use scripted::load::{Load, Plan};
use scripted::{Act, Framing, Gate, Server};

use super::lanes::proxy;
use crate::support::free;
use crate::support::proxy::{PATIENCE, eventually};

async fn instance() -> Instance {
    let started = Instance::start(free(), Duration::ZERO, Fault::None).await;
    started.unwrap()
}

#[tokio::test]
async fn the_own_instance_is_started_and_stopped_under_load_and_no_call_is_lost() {
    let (mine, shared, other) = (instance().await, instance().await, instance().await);
    let all = [
        (shared.address(), ""),
        (mine.address(), "env = \"me\""),
        (other.address(), "env = \"them\""),
    ];
    let policy = "idempotent = true\nprefer = [\"env=me\"]\n";
    let proxy = proxy("own", &all, policy);
    let load = Load::start(Plan::new(proxy.addr, 300));
    let goes_to = async |instance: &Instance| {
        let before = instance.calls();
        eventually("calls go there", || instance.calls() > before + 30).await;
    };
    for _ in 0..3 {
        goes_to(&mine).await;
        // On a slow machine a try may be overdue now and then, and the next calls go elsewhere for good reason.
        let elsewhere = || shared.calls() + other.calls();
        let mut before = elsewhere();
        loop {
            goes_to(&mine).await;
            if std::mem::replace(&mut before, elsewhere()) == elsewhere() {
                break;
            }
        }
        let why = proxy.app.why(Some("own"), None).unwrap();
        assert!(why.contains("  preferred: env=me, 1 of 1 live\n"), "{why}");
        let named = format!("  endpoint {} [preferred]: up", mine.address());
        assert!(why.contains(&named), "{why}");
        assert_eq!(proxy.endpoint(mine.address())["preferred"], true);
        assert_eq!(proxy.endpoint(shared.address())["preferred"], false);

        mine.set(Fault::Down).await;
        goes_to(&shared).await;
        goes_to(&other).await;
        mine.set(Fault::None).await;
    }
    goes_to(&mine).await;
    let log = load.end(PATIENCE).await;
    assert_eq!(log.failed(), 0, "{:?}", log.texts);
}

#[tokio::test]
async fn a_preferred_instance_that_hangs_is_left_for_the_others() {
    let (mine, shared) = (instance().await, instance().await);
    let all = [(shared.address(), ""), (mine.address(), "env = \"me\"")];
    let policy = "prefer = [\"env=me\"]\nidempotent = true\nread_deadline = \"200ms\"\n";
    let proxy = proxy("own-hangs", &all, policy);
    mine.set(Fault::Hang).await;
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..10 {
        caller.echo("x").await;
    }
    assert_eq!(shared.calls(), 10, "each tried there after the first");
}

#[tokio::test]
async fn a_full_preferred_instance_overflows_to_the_others() {
    let gate = Gate::closed();
    let mine = Server::start(Act::Gate(gate.clone())).await.unwrap();
    let shared = instance().await;
    let all = [(shared.address(), ""), (mine.address(), "env = \"me\"")];
    let policy = "prefer = [\"env=me\"]\nmax_endpoint_calls = 2\n";
    let proxy = proxy("own-full", &all, policy);
    let mut callers = Vec::new();
    for _ in 0..4 {
        let mut caller = proxy.caller(Framing::Framed).await;
        callers.push(tokio::spawn(async move { caller.echo("x").await }));
    }
    let called = || mine.calls() + shared.calls() == 4;
    eventually("all four have arrived", called).await;
    gate.open();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((mine.calls(), shared.calls()), (2, 2));
}
