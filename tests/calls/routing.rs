//! Which service a call goes to.

use std::io::Write;

use scripted::header::key::TO_SERVICE;
use scripted::{Act, Answer, Framing, Header, Message, Server, body};
use tempfile::TempDir;

use crate::support::proxy::{Setup, eventually, metric};

fn to(service: &str) -> Header {
    Header::default().int(TO_SERVICE, service)
}

/// A `file` registry with these services, as a table of the config.
fn registry(entries: &[(&str, &Server)]) -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("services.toml");
    let mut file = std::fs::File::create(&path).unwrap();
    for (service, server) in entries {
        let at = server.address();
        writeln!(
            file,
            "[[instance]]\nservice = \"{service}\"\naddress = \"{at}\""
        )
        .unwrap();
    }
    let table = format!(
        "[[registry]]\nname = \"main\"\nkind = \"file\"\npath = \"{}\"",
        path.display()
    );
    (dir, table)
}

/// An exception's type and text.
fn exception(answer: Answer) -> (i32, String) {
    match answer {
        Answer::Exception(of, said) => (of, said),
        other => panic!("answered: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_names_no_service_is_told_which_option_names_it() {
    let (_dir, table) = registry(&[]);
    let proxy = Setup::new("no-name", &[]).unnamed().more(&table).start();
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        for _ in 0..2 {
            let (of, said) = exception(caller.call("Echo", "x").await.unwrap());
            assert_eq!(of, 20, "{framing:?}");
            let hint = "client.WithMetaHandler(transmeta.ClientTTHeaderHandler)";
            assert!(
                said.contains(hint) && said.ends_with("; called Echo"),
                "{said}"
            );
        }
    }
    eventually("counted", || proxy.unrouted("unknown_service") == 8).await;
}

#[tokio::test]
async fn one_port_serves_all_services_of_a_registry() {
    let (a, b) = (
        Server::start(Act::Echo).await.unwrap(),
        Server::start(Act::Echo).await.unwrap(),
    );
    let (_dir, table) = registry(&[("one-port.a", &a), ("one-port.b", &b)]);
    let proxy = Setup::new("one-port", &[]).unnamed().more(&table).start();
    for framing in [Framing::TtHeader, Framing::TtHeaderFramed] {
        // On one connection, in turn.
        let mut caller = proxy.caller(framing).await;
        for _ in 0..5 {
            caller.0 = caller.0.with_header(to("one-port.a"));
            caller.echo("for a").await;
            caller.0 = caller.0.with_header(to("one-port.b"));
            caller.echo("for b").await;
        }
    }
    assert_eq!((a.calls(), b.calls()), (10, 10));
    let of = |server: &Server, text: &str| {
        server
            .seen()
            .messages
            .iter()
            .all(|m| m.body == body::text(1, text))
    };
    assert!(of(&a, "for a") && of(&b, "for b"));
    let counted = || {
        metric(
            "tidegate_calls_total",
            &[("service", "one-port.a"), ("outcome", "ok")],
        )
    };
    eventually("counted", || counted() == 10).await;
}

#[tokio::test]
async fn an_unknown_service_is_named_and_the_connection_stays() {
    let server = Server::start(Act::Echo).await.unwrap();
    let (_dir, table) = registry(&[("known", &server)]);
    let proxy = Setup::new("unknown", &[]).unnamed().more(&table).start();
    let mut caller = proxy
        .caller_with(Framing::TtHeaderFramed, to("never-registered"))
        .await;
    let (of, said) = exception(caller.call("Echo", "x").await.unwrap());
    assert_eq!(of, 20);
    assert!(said.starts_with("tidegate: unknown service"), "{said}");
    for bad in ["a/b", "with\ncontrol", &"x".repeat(300)] {
        caller.0 = caller.0.with_header(to(bad));
        let (of, _) = exception(caller.call("Echo", "x").await.unwrap());
        assert_eq!(of, 20);
    }
    caller.0 = caller.0.with_header(to("known"));
    caller.echo("x").await;
}

#[tokio::test]
async fn a_service_that_fits_no_pattern_of_the_listener_is_refused_with_the_patterns() {
    let server = Server::start(Act::Echo).await.unwrap();
    let (_dir, table) = registry(&[
        ("bounded.a", &server),
        ("bounded-b", &server),
        ("other", &server),
    ]);
    let proxy = Setup::new("bounded", &[])
        .unnamed()
        .listener("services = [\"bounded.*\", \"bounded-b\"]")
        .more(&table)
        .start();
    let mut caller = proxy.caller_with(Framing::TtHeader, to("bounded.a")).await;
    caller.echo("x").await;
    caller.0 = caller.0.with_header(to("other"));
    let (of, said) = exception(caller.call("Echo", "x").await.unwrap());
    assert_eq!(of, 20);
    assert!(said.contains("\"bounded.*\", \"bounded-b\""), "{said}");
    caller.0 = caller.0.with_header(to("bounded-b"));
    caller.echo("x").await;
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn a_large_call_to_an_unknown_service_is_answered_and_its_connection_ends() {
    let (_dir, table) = registry(&[]);
    let proxy = Setup::new("unknown-large", &[])
        .unnamed()
        .more(&table)
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let call = Message::call(
        Framing::Framed,
        "Echo",
        9,
        body::text(1, &"l".repeat(3 << 20)),
    );
    // The rest of it is never read as if it were a call.
    let _ = caller.0.send_bytes(&call.encode()[..1_200_000]).await;
    let answer = caller.next().await.unwrap().unwrap();
    assert_eq!(
        (answer.seqid, exception(Answer::of(&answer).unwrap()).0),
        (9, 20)
    );
    caller.ends().await;
    assert_eq!(proxy.unrouted("bad_frame"), 0);
}

#[tokio::test]
async fn a_listeners_own_service_wins_over_what_a_call_names() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("fixed", &[server.address()]).start();
    let mut caller = proxy.caller_with(Framing::TtHeader, to("elsewhere")).await;
    caller.echo("x").await;
    proxy.counted("ok", 1).await;
}

#[tokio::test]
async fn methods_get_series_of_their_own_once_the_service_answered_them() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("methods", &[server.address()]).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..3 {
        caller.call("Get", "x").await.unwrap();
        caller.call("Put", "x").await.unwrap();
    }
    let of = |method: &str| {
        metric(
            "tidegate_calls_total",
            &[("service", "methods"), ("method", method)],
        )
    };
    eventually("counted", || of("Get") + of("Put") + of("other") == 6).await;
    assert_eq!(
        (of("Get"), of("Put"), of("other")),
        (2, 2, 2),
        "the first call of each comes before it is known"
    );
}
