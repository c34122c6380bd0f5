//! What is wrong with an endpoint, found while it is called: in the caller's answer, in `/services`, and in
//! `tidegate_findings`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use scripted::{Act, Call, Framing, Options, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::support::free;
use crate::support::proxy::{Proxy, Setup, eventually, ms, soon};

/// How many addresses show this finding, as the metric says.
fn shown(proxy: &Proxy, code: &str) -> u64 {
    proxy.of("tidegate_findings", "code", code)
}

/// The endpoint's findings in `/services`.
fn codes(proxy: &Proxy, at: SocketAddr) -> Vec<String> {
    let endpoint = proxy.endpoint(at);
    let findings = endpoint["findings"].as_array().unwrap().iter();
    let code = |it: &Value| {
        assert!(!it["said"].as_str().unwrap().is_empty(), "{it}");
        it["code"].as_str().unwrap().to_owned()
    };
    findings.map(code).collect()
}

/// A service whose instances stand in a file.
fn in_a_file(name: &'static str, at: SocketAddr) -> (tempfile::TempDir, Proxy) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.toml");
    let entry = format!("[[instance]]\nservice = \"{name}\"\naddress = \"{at}\"\n");
    std::fs::write(&path, entry).unwrap();
    let registry = format!(
        "[[registry]]\nname = \"f\"\nkind = \"file\"\npath = '{}'\n",
        path.display()
    );
    let proxy = Setup::new(name, &[]).more(&registry).start();
    (folder, proxy)
}

#[tokio::test]
async fn a_refused_address_is_told_with_what_its_registration_is_until_it_is_there() {
    let at = free();
    let (_folder, proxy) = in_a_file("find-file", at);
    let mut caller = proxy.caller(Framing::Framed).await;
    let said = caller.fails("x").await;
    assert_eq!(
        said,
        format!(
            "tidegate: cannot connect to find-file: 1 of 1 endpoints down, last {at} refused (P01), it is registered as a \
             loopback address (R02); see tidegate doctor find-file; called Echo"
        )
    );
    assert_eq!(codes(&proxy, at), ["R02", "P01"]);
    eventually("counted", || {
        (shown(&proxy, "P01"), shown(&proxy, "R02")) == (1, 1)
    })
    .await;
    let why = proxy.app.why(Some("find-file"), None).unwrap();
    assert!(why.contains("it refuses connections: "), "{why}");
    let _server = Options::always(Act::Echo).listen(at).start().await.unwrap();
    caller.echo("x").await;
    // The registry is on this host, and so may its services be.
    eventually("nothing is held against it", || {
        codes(&proxy, at).is_empty()
    })
    .await;
    assert_eq!(proxy.endpoint(at)["why"], "");
    let why = proxy.app.why(Some("find-file"), None).unwrap();
    assert!(!why.contains("R02"), "{why}");
    eventually("both are over", || {
        (shown(&proxy, "P01"), shown(&proxy, "R02")) == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn what_stands_in_the_config_is_meant_and_only_refused() {
    let at = free();
    let proxy = Setup::new("find-static", &[at]).start();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert_eq!(
        said,
        format!(
            "tidegate: cannot connect to find-static: 1 of 1 endpoints down, last {at} refused (P01); see tidegate doctor \
             find-static; called Echo"
        )
    );
    assert_eq!(codes(&proxy, at), ["P01"]);
}

#[tokio::test]
async fn an_http_server_is_called_one() {
    let http = Act::Garbage(Bytes::from_static(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ));
    let server = Server::start(http).await.unwrap();
    let proxy = Setup::new("find-http", &[server.address()]).start();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    let at = server.address();
    let start = format!(
        "tidegate: {at} (find-http) sent no proper reply: an HTTP server answers there (P05): HTTP/1.1 400 Bad Request, "
    );
    assert!(said.starts_with(&start), "{said}");
    assert!(
        said.ends_with("; see tidegate doctor find-http; called Echo"),
        "{said}"
    );
    assert_eq!(codes(&proxy, at), ["P05"]);
    eventually("counted", || shown(&proxy, "P05") == 1).await;
}

#[tokio::test]
async fn a_silent_server_is_told_from_a_slow_call() {
    let script = |call: &Call| match call.message.method.as_str() {
        "Slow" => Act::Silence,
        _ => Act::Echo,
    };
    let slow = Options::script(script).start().await.unwrap();
    let silent = Server::start(Act::Silence).await.unwrap();
    let policy = "read_deadline = \"900ms\"";
    let proxy = Setup::new("find-silent", &[silent.address()])
        .policy(policy)
        .start();
    let alone = proxy.caller(Framing::Framed).await.fails("x").await;
    let end = "phase first_byte: it has answered nothing yet; called Echo";
    assert!(alone.ends_with(end), "{alone}");
    assert!(codes(&proxy, silent.address()).is_empty());
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    let end = "phase first_byte: it has answered nothing yet (P08); see tidegate doctor find-silent --call; called Echo";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(codes(&proxy, silent.address()), ["P08"]);
    eventually("counted", || shown(&proxy, "P08") == 1).await;

    let proxy = Setup::new("find-slow", &[slow.address()])
        .policy(policy)
        .start();
    let (mut one, mut other) = (
        proxy.caller(Framing::Framed).await,
        proxy.caller(Framing::TtHeader).await,
    );
    one.echo("x").await;
    for code in ["", "", " (P13)"] {
        let call = one.send("Slow", "x").await;
        sleep(ms(40)).await;
        other.echo("x").await;
        let answer = one.next().await.unwrap().unwrap();
        assert_eq!(answer.seqid, call.seqid);
        let scripted::Answer::Exception(6, said) = scripted::Answer::of(&answer).unwrap() else {
            panic!("{answer:?}")
        };
        let end = format!(
            "phase first_byte: it answers other calls, this one is slow{code}; called Slow"
        );
        assert!(said.ends_with(&end), "{said}");
    }
    assert_eq!(codes(&proxy, slow.address()), ["P13"]);
    eventually("counted", || shown(&proxy, "P13") == 1).await;
}

#[tokio::test]
async fn a_server_that_never_answered_is_not_called_slow_however_soon_its_callers_leave() {
    let silent = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("find-never", &[silent.address()])
        .policy("deadline = \"400ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    // What the first callers left behind runs out after some seconds, and says that it was overdue.
    for call in 0..50 {
        let said = caller.fails("x").await;
        assert!(!said.contains("P13"), "call {call}: {said}");
        if said.contains("it has answered nothing yet (P08)") {
            let again = caller.fails("x").await;
            assert!(again.contains("(P08)"), "{again}");
            assert_eq!(codes(&proxy, silent.address()), ["P08"]);
            return;
        }
    }
    panic!("it was never called silent");
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_found_and_costs_no_call() {
    let server = Options::always(Act::Echo)
        .close_idle_after(ms(1_200))
        .start()
        .await
        .unwrap();
    let proxy = Setup::new("find-idle", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..3 {
        caller.echo("x").await;
        eventually("closed", || server.seen().open == 0).await;
        eventually("found", || proxy.pooled(server.address()) == 0).await;
    }
    eventually("a habit", || shown(&proxy, "P09") == 1).await;
    let found = proxy.endpoint(server.address())["findings"][0].clone();
    let said = found["said"].as_str().unwrap();
    assert!(
        said.starts_with("it closes connections that are idle for 1."),
        "{said}"
    );
    proxy.counted("ok", 3).await;
}

#[tokio::test]
async fn restarts_are_no_closing_of_idle_connections() {
    let at = free();
    let proxy = Setup::new("find-restart", &[at]).start();
    let mut callers = Vec::new();
    for _ in 0..3 {
        callers.push(proxy.caller(Framing::Framed).await);
    }
    for round in 0..3u64 {
        let server = soon(async {
            loop {
                match Options::always(Act::Delay(ms(30))).listen(at).start().await {
                    Ok(server) => return server,
                    Err(_) => sleep(ms(5)).await,
                }
            }
        })
        .await;
        // Pooled one after the other.
        for caller in &mut callers {
            caller.send("Echo", "x").await;
        }
        for caller in &mut callers {
            caller.next().await.unwrap().unwrap();
        }
        sleep(ms(1_050 + 700 * round)).await;
        drop(server);
        eventually("found", || proxy.pooled(at) == 0).await;
    }
    sleep(ms(600)).await;
    assert_eq!(shown(&proxy, "P09"), 0);
    assert_eq!(codes(&proxy, at), Vec::<String>::new());
}

/// Answers the first call of each connection and, at the next, closes it unread.
async fn closes_at_the_second_call() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buf = vec![0; 4096];
                let n = stream.read(&mut buf).await.unwrap_or(0);
                let Ok((call, _)) = scripted::Message::decode(&buf[..n]) else {
                    return;
                };
                let body = scripted::body::echo(&call.body).unwrap();
                let reply = call.answer(scripted::wire::kind::REPLY, body).encode();
                stream.write_all(&reply).await.unwrap();
                let _ = stream.peek(&mut [0]).await;
            });
        }
    });
    at
}

#[tokio::test]
async fn a_connection_that_dies_under_a_call_says_how_long_it_had_been_idle() {
    let at = closes_at_the_second_call().await;
    let proxy = Setup::new("find-stale", &[at]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.echo("first").await;
    let at_once = caller.fails("second").await;
    assert!(!at_once.contains("P09"), "{at_once}");
    caller.echo("third").await;
    sleep(Duration::from_millis(1_100)).await;
    let said = caller.fails("fourth").await;
    let part = "it closed a connection that had been idle for 1.";
    assert!(said.contains(part), "{said}");
    let part = "(P09: it closes connections that are idle, or was restarted)";
    assert!(said.contains(part), "{said}");
    assert_eq!(shown(&proxy, "P09"), 0);
}

#[tokio::test]
async fn of_many_endpoints_why_names_the_unwell_first_and_counts_the_rest() {
    let all: Vec<_> = (0..60).map(|_| scripted::free()).collect();
    let proxy = Setup::new("why-many", &all).start();
    let dead = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(dead.contains("(P01)"), "{dead}");
    let why = proxy.app.why(Some("why-many"), None).unwrap();
    let lines: Vec<&str> = why
        .lines()
        .filter(|it| it.contains("  endpoint "))
        .collect();
    assert_eq!(lines.len(), 50, "{why}");
    assert!(lines[0].contains(": down for "), "{}", lines[0]);
    assert!(why.contains("\n  and 10 endpoints more\n"), "{why}");
}

#[tokio::test]
async fn calls_without_a_service_are_no_service_that_there_is() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("calls-none", &[server.address()]).start();
    let wanted = tidegate::recorder::Wanted {
        service: Some("zzzzzzzzzzzz".to_owned()),
        kind: None,
        limit: 1,
    };
    let said = proxy.app.calls(&wanted).err().unwrap();
    assert!(
        said.contains("calls-none") && !said.contains(", none"),
        "{said}"
    );
}
