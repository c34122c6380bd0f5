//! Active health checks: instances are asked how they are, calls or no calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use scripted::{Act, Call, Framing, OnAccept, Options, Server};

use crate::support::proxy::{Proxy, Setup, eventually, metric, ms};

const CHECKS: &str = "[service.health_check]\nkind = \"call\"\nmethod = \"Ping\"";

/// Quick checks, with these lines more.
fn quick(more: &str) -> String {
    format!("{CHECKS}\ninterval = \"40ms\"\ntimeout = \"100ms\"\n{more}")
}

/// Takes connections and reads nothing.
async fn hung() -> Server {
    let hung = Options::always(Act::Silence).on_accept(OnAccept::Ignore);
    hung.start().await.unwrap()
}

/// Does `act` when it is called `Ping`, and echoes all else.
async fn pinged(act: impl Fn() -> Act + Send + Sync + 'static) -> Server {
    let script = move |call: &Call| match call.message.method.as_str() {
        "Ping" => act(),
        _ => Act::Echo,
    };
    Options::script(script).start().await.unwrap()
}

/// Closes without an answer when it is called `Ping`, until it is told to be well.
async fn ill() -> (Server, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let act = move || match is_well.load(Relaxed) {
        true => Act::Echo,
        false => Act::Close,
    };
    (pinged(act).await, well)
}

/// Waits until the instance is in this state.
async fn stands(proxy: &Proxy, server: &Server, state: &'static str) {
    let at = server.address().to_string();
    let labels = [("service", proxy.name), ("endpoint", &at), ("state", state)];
    eventually(state, || metric("tidegate_endpoint_state", &labels) == 1).await;
}

fn checks(proxy: &Proxy, result: &str) -> u64 {
    proxy.of("tidegate_health_checks_total", "result", result)
}

#[tokio::test]
async fn a_hung_instance_is_found_without_a_call_and_none_of_the_checks_counts_as_one() {
    let (hung, well) = (hung().await, Server::start(Act::Echo).await.unwrap());
    let proxy = Setup::new("check-hung", &[hung.address(), well.address()])
        .policy(&quick(""))
        .start();
    stands(&proxy, &hung, "down").await;
    let why = proxy.endpoint(hung.address())["state_why"].to_string();
    assert!(why.contains("health check failed"), "{why}");
    assert!(why.contains("no answer within 100ms"), "{why}");
    assert_eq!(proxy.endpoint(well.address())["state"], "up");
    assert!(checks(&proxy, "fail") >= 3);
    eventually("passes", || checks(&proxy, "pass") > 0).await;
    assert_eq!(proxy.ended(), 0);
    let tries = |server: &Server| {
        proxy.of(
            "tidegate_tries_total",
            "endpoint",
            &server.address().to_string(),
        )
    };
    assert_eq!((tries(&hung), tries(&well)), (0, 0));
    assert_eq!(proxy.of("tidegate_connects_total", "result", "ok"), 0);
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..20 {
        caller.echo("x").await;
    }
    proxy.counted("ok", 20).await;
}

#[tokio::test]
async fn an_instance_that_does_not_know_the_method_passes() {
    let server = pinged(|| Act::Exception(1, "unknown method Ping".into())).await;
    let proxy = Setup::new("check-unknown", &[server.address()])
        .policy(&format!(
            "{CHECKS}\ninterval = \"40ms\"\ntimeout = \"10s\"\nunhealthy_threshold = 1"
        ))
        .start();
    eventually("checked", || checks(&proxy, "pass") >= 5).await;
    assert_eq!(checks(&proxy, "fail"), 0);
    assert_eq!(proxy.endpoint(server.address())["state"], "up");
}

#[tokio::test]
async fn an_instance_that_speaks_again_is_back_after_so_many_passes() {
    let (server, well) = ill().await;
    let proxy = Setup::new("check-back", &[server.address()])
        .policy(&quick("healthy_threshold = 3"))
        .start();
    stands(&proxy, &server, "down").await;
    let failed = checks(&proxy, "fail");
    eventually("no connect brings it back", || {
        checks(&proxy, "fail") > failed + 10
    })
    .await;
    stands(&proxy, &server, "down").await;
    well.store(true, Relaxed);
    stands(&proxy, &server, "up").await;
    assert!(checks(&proxy, "pass") >= 3);
    proxy.still_serves().await;
}

#[tokio::test]
async fn where_all_fail_their_checks_a_call_is_tried_anyway() {
    let server = pinged(|| Act::Close).await;
    let proxy = Setup::new("check-wrong", &[server.address()])
        .policy(&quick(""))
        .start();
    stands(&proxy, &server, "down").await;
    proxy.still_serves().await;
    assert_eq!(proxy.endpoint(server.address())["state"], "down");
}

#[tokio::test]
async fn where_all_fail_their_checks_no_call_is_refused_and_connections_are_reused() {
    const CALLERS: usize = 16;
    let ill = || async {
        let script = |call: &Call| match call.message.method.as_str() {
            "Ping" => Act::Silence,
            _ => Act::Delay(ms(5)),
        };
        Options::script(script).start().await.unwrap()
    };
    let (a, b) = (ill().await, ill().await);
    let proxy = Setup::new("check-wrong-many", &[a.address(), b.address()])
        .policy(&quick(""))
        .start();
    stands(&proxy, &a, "down").await;
    stands(&proxy, &b, "down").await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(proxy.caller(Framing::Framed).await);
    }
    let calls = callers.iter_mut().map(|caller| async move {
        for _ in 0..40 {
            caller.echo("x").await;
        }
    });
    futures_util::future::join_all(calls).await;
    proxy.counted("ok", 40 * CALLERS as u64).await;
    let dials = proxy.of("tidegate_connects_total", "result", "ok");
    assert!(dials <= 2 * CALLERS as u64, "{dials} dials");
    let why = proxy.endpoint(a.address())["state_why"].to_string();
    let expected = "called all the same: every endpoint fails its checks";
    assert!(why.contains(expected), "{why}");
}

#[tokio::test]
async fn a_pass_ends_an_ejection_before_its_time() {
    let fails = Options::script(|call| match call.message.method.as_str() {
        "Ping" => Act::Echo,
        _ => Act::Close,
    });
    let fails = fails.start().await.unwrap();
    let well = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("check-uneject", &[fails.address(), well.address()])
        .policy("balance = \"weighted_round_robin\"\n[service.ejection]\nbase_ejection_time = \"1h\"\nmax_ejection_time = \"1h\"")
        .policy(&quick(""))
        .start();
    let ejected = || proxy.of("tidegate_ejections_total", "enforced", "yes");
    let mut calls = 0;
    while ejected() == 0 && calls < 1_000 {
        calls += 1;
        drop(proxy.caller(Framing::Framed).await.call("Echo", "x").await);
    }
    assert_eq!(ejected(), 1);
    stands(&proxy, &fails, "probation").await;
}

#[tokio::test]
async fn a_required_check_keeps_calls_away_until_the_first_pass() {
    let (server, well) = ill().await;
    let proxy = Setup::new("check-required", &[server.address()])
        .policy("connect_timeout = \"10s\"")
        .policy(&quick("required = true"))
        .start();
    eventually("a check failed", || checks(&proxy, "fail") > 0).await;
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    let expected = format!(
        "tidegate: no usable endpoint for check-required: 1 of 1 endpoints down, last {} health check failed",
        server.address()
    );
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(server.seen().methods.get("Echo"), None);
    proxy.counted("no_endpoints", 1).await;
    well.store(true, Relaxed);
    stands(&proxy, &server, "up").await;
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_call_waits_for_the_first_check_where_that_is_required() {
    let server = pinged(|| Act::Delay(ms(80))).await;
    let (interval, timeout) = ("interval = \"1h\"", "timeout = \"10s\"");
    let proxy = Setup::new("check-first", &[server.address()])
        .policy("connect_timeout = \"10s\"")
        .policy(&format!("{CHECKS}\n{interval}\n{timeout}\nrequired = true"))
        .start();
    proxy.caller(Framing::TtHeader).await.echo("x").await;
    proxy.counted("ok", 1).await;
    assert_eq!(checks(&proxy, "pass"), 1);
}

#[tokio::test]
async fn instances_known_before_a_reload_that_requires_checks_keep_their_state() {
    let server = pinged(|| Act::Silence).await;
    let setup = Setup::new("check-known", &[server.address()]);
    let proxy = setup.start();
    proxy.still_serves().await;
    let required = format!("{CHECKS}\ninterval = \"1h\"\nrequired = true");
    let required = setup.clone().policy(&required);
    proxy.app.reload(Ok(required.config())).await.unwrap();
    assert_eq!(proxy.endpoint(server.address())["state"], "up");
    proxy.still_serves().await;
}

#[tokio::test]
async fn a_reload_that_ends_the_checks_brings_back_what_they_took_down() {
    let server = pinged(|| Act::Silence).await;
    let setup = Setup::new("check-off", &[server.address()]);
    let proxy = setup.clone().policy(&quick("")).start();
    stands(&proxy, &server, "down").await;
    proxy.app.reload(Ok(setup.config())).await.unwrap();
    stands(&proxy, &server, "up").await;
    let (passed, failed) = (checks(&proxy, "pass"), checks(&proxy, "fail"));
    tokio::time::sleep(ms(200)).await;
    assert_eq!(
        (checks(&proxy, "pass"), checks(&proxy, "fail")),
        (passed, failed)
    );
    // And a check that is quicker from a reload on.
    let slow = setup
        .clone()
        .policy(&format!("{CHECKS}\ninterval = \"1h\""));
    proxy.app.reload(Ok(slow.config())).await.unwrap();
    proxy
        .app
        .reload(Ok(setup.policy(&quick("")).config()))
        .await
        .unwrap();
    stands(&proxy, &server, "down").await;
}
