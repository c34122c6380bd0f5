//! Registered addresses that cannot be dialled from here, and rules that say what is dialled instead.

use std::net::SocketAddr;
use std::path::PathBuf;

use scripted::{Act, Answer, Framing, Server};
use serde_json::Value;
use tempfile::TempDir;
use tidegate::config::Config;

use crate::support::free;
use crate::support::proxy::{Caller, Proxy, Setup, eventually, metric};

/// A service whose instances stand in a file.
struct Bench {
    folder: TempDir,
    name: &'static str,
    setup: Setup,
}

impl Bench {
    fn new(name: &'static str) -> Self {
        let setup = Setup::new(name, &[]);
        Self {
            folder: tempfile::tempdir().unwrap(),
            name,
            setup,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("instances.toml")
    }

    /// Registers these addresses, and no other.
    fn register(&self, addresses: &[&str]) {
        let entry = |it: &&str| {
            let name = self.name;
            format!(
                "[[instance]]\nservice = \"{name}\"\naddress = \"{it}\"\ntags = {{ env = \"dev\" }}\n"
            )
        };
        let text: String = addresses.iter().map(entry).collect();
        std::fs::write(self.file(), text).unwrap();
    }

    /// The config with these rules.
    fn with(&self, rules: &str) -> Setup {
        let path = self.file().display().to_string();
        let registry = format!("[[registry]]\nname = \"f\"\nkind = \"file\"\npath = '{path}'\n");
        self.setup.clone().more(&format!("{registry}{rules}"))
    }
}

/// What `/services` says of the endpoint that is registered so.
fn registered(proxy: &Proxy, address: &str) -> Value {
    let services = proxy.app.services();
    let mut all = services["services"].as_array().unwrap().iter();
    let service = all.find(|it| it["name"] == proxy.name).unwrap();
    let mut endpoints = service["endpoints"].as_array().unwrap().iter();
    let found = endpoints.find(|it| it["registered"] == address);
    found.cloned().unwrap_or(Value::Null)
}

async fn reload(proxy: &Proxy, setup: &Setup) {
    proxy.app.reload(Ok(setup.config())).await.unwrap();
}

fn why(proxy: &Proxy) -> String {
    proxy.app.why(Some(proxy.name), None).unwrap()
}

/// How many addresses the rule takes, as `/services` and the metrics say, which must agree.
fn taken(proxy: &Proxy, rule: &str) -> u64 {
    let n = metric("tidegate_rewrite_addresses", &[("rule", rule)]);
    let services = proxy.app.services();
    let mut rules = services["rewrites"].as_array().unwrap().iter();
    let named = format!("\"{rule}\"");
    let found = rules.find(|it| it["rule"].as_str().unwrap().contains(&named));
    assert_eq!(found.unwrap()["addresses"], n);
    n
}

#[tokio::test]
async fn an_address_that_nobody_reaches_is_dialled_where_the_rule_says() {
    let server = Server::start(Act::Echo).await.unwrap();
    let port = server.address().port();
    let bench = Bench::new("rewrite");
    let (unreachable, wildcard) = (format!("10.255.255.1:{port}"), format!("0.0.0.0:{port}"));
    bench.register(&[&unreachable]);
    let rules = "[[rewrite]]\nname = \"rw-net\"\ncidr = \"10.255.0.0/16\"\ntag = { env = \"dev\" }\nhost = \"127.0.0.1\"\n\
                 [[rewrite]]\nname = \"rw-any\"\ncidr = \"0.0.0.0\"\nhost = \"127.0.0.1\"\n";
    let proxy = bench.with(rules).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.echo("through the rule").await;
    let shown = registered(&proxy, &unreachable);
    assert_eq!(
        (&shown["class"], &shown["dial"]),
        (&"private".into(), &server.address().to_string().into())
    );
    assert_eq!(
        (&shown["rewritten"]["class"], &shown["state"]),
        (&"loopback".into(), &"up".into())
    );
    assert_eq!(shown["findings"], serde_json::json!([]), "{shown}");
    let said = why(&proxy);
    let line = format!("endpoint {unreachable} → 127.0.0.1:{port} (rewrite \"rw-net\", test.toml:");
    assert!(said.contains(&line), "{said}");
    assert_eq!((taken(&proxy, "rw-net"), taken(&proxy, "rw-any")), (1, 0));

    // What names no host at all is rescued as well, while the proxy runs.
    bench.register(&[&wildcard]);
    eventually("the other one is read", || {
        !registered(&proxy, &wildcard).is_null()
    })
    .await;
    caller.echo("still").await;
    assert_eq!(registered(&proxy, &wildcard)["class"], "unspecified");
    assert_eq!((taken(&proxy, "rw-net"), taken(&proxy, "rw-any")), (0, 1));
    proxy.counted("ok", 2).await;
    assert_eq!(proxy.ended(), 2);

    // Nothing of it stays in the metrics.
    reload(&proxy, &bench.with("")).await;
    eventually("no rule is left", || {
        metric("tidegate_rewrite_addresses", &[("rule", "rw-any")]) == 0
    })
    .await;
}

#[tokio::test]
async fn a_reload_with_another_rule_moves_the_calls_and_the_unchanged_keep_their_state() {
    let (one, other) = (
        Server::start(Act::Echo).await.unwrap(),
        Server::start(Act::Echo).await.unwrap(),
    );
    let bench = Bench::new("rewrite-moves");
    bench.register(&["10.255.255.1:1"]);
    let to = |server: &Server| {
        let port = server.address().port();
        let conditions = "service = \"rewrite-*\"\ncidr = \"10.255.255.1\"";
        bench.with(&format!(
            "[[rewrite]]\n{conditions}\nhost = \"localhost\"\nport = {port}\n"
        ))
    };
    let proxy = to(&one).start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    caller.echo("one").await;
    assert!(one.calls() > 0 && other.calls() == 0);
    // The same rule a line further down: the connection to the instance stays.
    let connections = one.seen().connections;
    reload(&proxy, &to(&one).more("[log]\nlevel = \"info\"\n")).await;
    caller.echo("one").await;
    assert_eq!(one.seen().connections, connections);

    let said = proxy.app.reload(Ok(to(&other).config())).await.unwrap();
    assert!(said.contains("rewrites changed"), "{said}");
    eventually("it is dialled elsewhere", || {
        registered(&proxy, "10.255.255.1:1")["dial"] == other.address().to_string()
    })
    .await;
    let before = one.calls();
    for _ in 0..20 {
        caller.echo("other").await;
    }
    assert_eq!((one.calls(), other.calls()), (before, 20));
    eventually("its pool is closed", || one.seen().open == 0).await;
    proxy.counted("ok", 22).await;
    assert_eq!(proxy.ended(), 22);
}

#[tokio::test]
async fn a_service_that_only_calls_name_is_rewritten_too_and_moved_by_a_reload() {
    let server = Server::start(Act::Echo).await.unwrap();
    let bench = Bench::new("rewrite-named");
    bench.register(&["10.255.255.1:1"]);
    let to = |port: u16| {
        let rule = format!(
            "[[rewrite]]\nservice = \"rewrite-named\"\nhost = \"127.0.0.1\"\nport = {port}\n"
        );
        let mut setup = bench.with(&rule);
        setup.listener = "registry = \"f\"\n".into();
        setup.unnamed()
    };
    let nobody = free().port();
    let proxy = to(nobody).start();
    let header = scripted::Header::default().int(6, "rewrite-named");
    let mut caller = proxy.caller_with(Framing::TtHeaderFramed, header).await;
    assert!(matches!(
        caller.call("Echo", "x").await.unwrap(),
        Answer::Exception(6, _)
    ));
    reload(&proxy, &to(server.address().port())).await;
    eventually("it is dialled elsewhere", || {
        registered(&proxy, "10.255.255.1:1")["dial"] == server.address().to_string()
    })
    .await;
    caller.echo("x").await;
}

#[tokio::test]
async fn a_rule_that_leads_to_our_own_listener_is_refused_by_name() {
    let bench = Bench::new("rewrite-loop");
    bench.register(&["10.255.255.1:1"]);
    let probe = bench.with("").config();
    let own: SocketAddr = probe.listeners[0].listen.tcp().unwrap();
    let rule = format!(
        "[[rewrite]]\nname = \"loop\"\nservice = \"*\"\nhost = \"127.0.0.1\"\nport = {}\n",
        own.port()
    );
    let proxy = bench.with(&rule).start();
    let mut caller: Caller = proxy.caller(Framing::Framed).await;
    let said = caller.fails("x").await;
    assert!(said.contains("R16 own_listener"), "{said}");
    assert!(said.contains("rewrite \"loop\", test.toml:"), "{said}");
    let shown = registered(&proxy, "10.255.255.1:1");
    assert_eq!(shown["rewritten"]["class"], "own_listener");
    assert_eq!(shown["findings"][0]["code"], "R16");
    let said = why(&proxy);
    assert!(said.contains("not used: a listener of tidegate"), "{said}");
    proxy.counted("no_endpoints", 1).await;
}

#[tokio::test]
async fn a_rule_into_a_forbidden_address_is_refused_at_load_and_a_running_proxy_stays_as_it_is() {
    let server = Server::start(Act::Echo).await.unwrap();
    let bench = Bench::new("rewrite-forbidden");
    bench.register(&[&format!("10.255.255.1:{}", server.address().port())]);
    let rule = |host: &str| format!("[[rewrite]]\nservice = \"*\"\nhost = \"{host}\"\n");
    let proxy = bench.with(&rule("127.0.0.1")).start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.echo("x").await;
    let wrong = bench.with(&rule("169.254.169.254")).text();
    let line = 1 + wrong.lines().position(|it| it.contains("169.254")).unwrap();
    let error = Config::from_str("test.toml", &wrong)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("test.toml:{line}:8: ")),
        "{error}"
    );
    assert!(proxy.app.reload(Err(error)).await.is_err());
    caller.echo("x").await;
    proxy.counted("ok", 2).await;
}

#[tokio::test]
async fn endpoints_of_the_config_are_rewritten_like_registered_ones() {
    let server = Server::start(Act::Echo).await.unwrap();
    let elsewhere: SocketAddr = "10.255.255.1:1".parse().unwrap();
    let port = server.address().port();
    let rule =
        format!("[[rewrite]]\naddress = \"{elsewhere}\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    let proxy = Setup::new("rewrite-static", &[elsewhere])
        .more(&rule)
        .start();
    proxy.still_serves().await;
    let shown = registered(&proxy, "10.255.255.1:1");
    assert_eq!(shown["rewritten"]["to"], server.address().to_string());
}
