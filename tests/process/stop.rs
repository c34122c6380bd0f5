//! `kill -TERM` under load, twice, and `tidegate drain`: every call that was accepted is answered.

use std::net::SocketAddr;
use std::time::Instant;

use scripted::{Answer, Client, Framing, Server};

use crate::load::{Calls, Load, Plan, instance};
use crate::process::{Tidegate, eventually, free, listener, service};

/// `drain_delay`, short.
const DELAY: &str = "[runtime]\ndrain_delay = \"600ms\"\ndrain_timeout = \"10s\"\n";
/// One in which a busy machine finds time to look at what is stopping.
const LONG_DELAY: &str = "[runtime]\ndrain_delay = \"3s\"\ndrain_timeout = \"10s\"\n";

fn config(runtime: &str, listen: SocketAddr, instance: &Server) -> String {
    format!(
        "{runtime}{}{}",
        listener("item", listen, "item"),
        service("item", &[instance.address()], "")
    )
}

/// What no caller may see: an exception, or a call that an instance got and that was not answered.
fn check(calls: &[Calls], instance: &Server) {
    let echoed: usize = calls.iter().map(Calls::echoed).sum();
    let cut: usize = calls.iter().map(|calls| calls.cut().len()).sum();
    eprintln!("stop: {echoed} calls answered, {cut} sent to a closing connection");
    for calls in calls {
        assert!(calls.exceptions().is_empty(), "{:?}", calls.exceptions());
    }
    assert_eq!(
        instance.calls(),
        echoed as u64,
        "each call that arrived was answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_answers_every_call_that_was_accepted() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let mut proxy = Tidegate::start(&config(LONG_DELAY, listen, &instance));
    let plan = Plan::new("30ms");
    let told = Plan {
        framing: Framing::TtHeaderFramed,
        ..plan.clone()
    };
    let loads = [
        Load::start(8, listen, &plan),
        Load::start(8, listen, &told),
        Load::start(
            4,
            listen,
            &Plan {
                fresh: true,
                ..plan.clone()
            },
        ),
    ];
    let silent = Client::connect(listen, Framing::Framed).await.unwrap();
    loads[0].more(100);
    assert_eq!(proxy.get("/readyz").unwrap().0, 200);
    proxy.signal("TERM");
    eventually("/readyz says so", || {
        proxy
            .get("/readyz")
            .is_some_and(|(status, _)| status == 503)
    });
    assert_eq!(proxy.metric("tidegate_draining", &[]), Some(1.0));
    assert_eq!(proxy.get("/healthz").unwrap().0, 200);
    loads[2].more(10); // new connections are taken as long as calls come
    assert_eq!(proxy.ends(), 0);
    proxy.logged(&["INFO", "stopped: every call was answered"]);
    let mut calls = Vec::new();
    for load in loads {
        calls.push(load.end().await);
    }
    check(&calls, &instance);
    // One that has just come back may meet a listener that closes.
    let mut cut = calls[1].cut();
    cut.retain(|done| !done.is_first);
    assert!(cut.is_empty(), "who is told leaves in time: {cut:?}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_call_in_flight_is_waited_for() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let mut proxy = Tidegate::start(&config(
        "[runtime]\ndrain_delay = \"0s\"\n",
        listen,
        &instance,
    ));
    let mut client = Client::connect(listen, Framing::Framed).await.unwrap();
    let call = tokio::spawn(async move {
        (
            client.call("Echo", "1500ms").await,
            client.receive_or_end().await,
        )
    });
    eventually("it is in flight", || instance.calls() == 1);
    proxy.signal("INT");
    let (answer, end) = call.await.unwrap();
    assert_eq!(answer.unwrap(), Answer::Text("1500ms".into()));
    assert!(matches!(end, Ok(None)), "then a FIN, no reset: {end:?}");
    assert_eq!(proxy.ends(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let mut proxy = Tidegate::start(&config(
        "[runtime]\ndrain_delay = \"0s\"\n",
        listen,
        &instance,
    ));
    let mut client = Client::connect(listen, Framing::Framed).await.unwrap();
    let call = tokio::spawn(async move { client.call("Echo", "2900ms").await });
    eventually("it is in flight", || instance.calls() == 1);
    proxy.signal("TERM");
    proxy.logged(&["stopping: no new connections"]);
    assert!(proxy.exited().is_none());
    let begun = Instant::now();
    proxy.signal("TERM");
    let code = proxy.ends();
    eprintln!(
        "stop: a second signal took {:?}, exit code {code}",
        begun.elapsed()
    );
    proxy.logged(&["WARN", "told to stop a second time"]);
    assert!(call.await.unwrap().is_err(), "it was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_in_flight_after_drain_timeout_is_cut_and_logged() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let runtime = "[runtime]\ndrain_delay = \"0s\"\ndrain_timeout = \"200ms\"\n";
    let mut proxy = Tidegate::start(&config(runtime, listen, &instance));
    let mut client = Client::connect(listen, Framing::Framed).await.unwrap();
    let call = tokio::spawn(async move { client.call("Echo", "2900ms").await });
    eventually("it is in flight", || instance.calls() == 1);
    proxy.signal("TERM");
    assert_eq!(proxy.ends(), 0);
    proxy.logged(&["WARN", "connections cut after drain_timeout: 1"]);
    assert!(call.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_command_stops_it() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let mut proxy = Tidegate::start(&config(LONG_DELAY, listen, &instance));
    let config = proxy.config().display().to_string();
    let load = Load::start(4, listen, &Plan::new("10ms"));
    load.more(20);
    let done = proxy.command(&["drain", "-c", &config]);
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("stopping within 3s and 10s"));
    let again = proxy.command(&["drain", "-c", &config]);
    assert_eq!(again.status.code(), Some(1), "it is stopping already");
    assert_eq!(proxy.ends(), 0);
    check(&[load.end().await], &instance);
    let nobody = proxy.command(&["drain", "-c", &config]);
    assert_eq!(nobody.status.code(), Some(3), "nobody is there any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_sockets_file_is_gone_when_the_process_has_ended() {
    let instance = instance().start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("item.sock");
    let socket = format!(
        "[[listener]]\nname = \"local\"\nlisten = \"unix:{}\"\nservice = \"item\"\n",
        path.display()
    );
    // What ends together may end in any order: several times.
    for _ in 0..8 {
        let mut proxy = Tidegate::start(&(config(DELAY, free(), &instance) + &socket));
        assert!(path.exists());
        proxy.signal("TERM");
        assert_eq!(proxy.ends(), 0);
        assert!(!path.exists(), "left behind");
    }
}
