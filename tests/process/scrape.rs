//! A real Prometheus that scrapes a running tidegate, and promtool's opinion of what it gets.

use std::io::Write;
use std::process::{Command, Stdio};

use scripted::header::key;
use scripted::{Act, Answer, Client, Framing, Header, Options};

use crate::process::{Tidegate, eventually, free, http, listener, service};
use crate::prometheus::Prometheus;

/// Calls that end in many ways, so that most series exist.
async fn calls_of_all_kinds(listen: std::net::SocketAddr, many: std::net::SocketAddr) {
    let mut client = Client::connect(listen, Framing::TtHeaderFramed)
        .await
        .unwrap();
    for text in [
        "echo",
        "business",
        "exception",
        "close",
        "silence",
        "reset",
        "garbage",
    ] {
        // How each ends is the business of other tests.
        let _ = client.call("Echo", text).await.unwrap();
    }
    client.oneway("Notify", "psst").await.unwrap();
    let named = Header::default().int(key::TO_SERVICE, "dead");
    let mut client = Client::connect(many, Framing::TtHeader)
        .await
        .unwrap()
        .with_header(named);
    assert!(matches!(
        client.call("Odd \"name\"\\\n", "x").await.unwrap(),
        Answer::Exception(6, _)
    ));
    let mut nameless = Client::connect(many, Framing::Framed).await.unwrap();
    assert!(matches!(
        nameless.call("Echo", "x").await.unwrap(),
        Answer::Exception(..)
    ));
    let mut other = Client::connect(listen, Framing::Framed).await.unwrap();
    other
        .send_bytes(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    other.finish().await.unwrap();
    let _ = other.receive_or_end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_it_and_promtool_finds_nothing() {
    let acts = |nth: u64| match nth {
        1 => Act::Declared(7, "no".into()),
        2 => Act::Exception(6, "unwell".into()),
        3 => Act::Close,
        4 => Act::Silence,
        5 => Act::Reset,
        6 => Act::Garbage("no frame at all".into()),
        _ => Act::Echo,
    };
    let instance = Options::script(move |call| acts(call.nth))
        .start()
        .await
        .unwrap();
    let (item, many, remote) = (free(), free(), free());
    let config = format!(
        "[metrics]\nlisten = \"{remote}\"\n[[listener]]\nname = \"many\"\nlisten = \"{many}\"\n{}{}{}",
        listener("item", item, "item"),
        service("item", &[instance.address()], "read_deadline = \"200ms\""),
        service("dead", &[free()], ""),
    );
    let proxy = Tidegate::start(&config);
    calls_of_all_kinds(item, many).await;

    let (status, text) = http(remote, "GET", "/metrics").unwrap();
    assert_eq!(status, 200);
    for outcome in [
        "ok",
        "business_error",
        "exception",
        "stale_connection",
        "reset",
        "read_deadline",
        "bad_reply",
    ] {
        let labels = [("service", "item"), ("outcome", outcome)];
        assert!(
            crate::process::sum(&text, "tidegate_calls_total", &labels) >= Some(1.0),
            "{outcome}: {text}"
        );
    }
    let complaints = promtool(&text);
    assert!(complaints.is_empty(), "{complaints}");

    let prometheus = Prometheus::start(remote, "200ms");
    eventually("Prometheus has scraped it", || {
        prometheus.query("up").contains("\"1\"]")
    });
    let answer = prometheus.query("tidegate_calls_total{outcome=\"business_error\"}");
    assert!(
        answer.contains("\"service\":\"item\"") && answer.contains(",\"1\"]"),
        "{answer}"
    );
    let answer = prometheus.query("histogram_quantile(0.5,tidegate_added_duration_seconds_bucket)");
    assert!(answer.contains("\"listener\":\"item\""), "{answer}");
    assert_eq!(proxy.get("/healthz").unwrap().0, 200);
    assert_eq!(
        http(remote, "POST", "/reload").unwrap().0,
        404,
        "the remote address can change nothing"
    );
}

/// What `promtool check metrics` complains of.
fn promtool(text: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .expect("promtool is needed: apt-get install prometheus");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(out.status.success(), "{said}");
    said
}
