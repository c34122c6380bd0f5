//! Unix sockets on both sides: callers that come over one, instances that listen on one.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use scripted::{Act, Answer, Framing, Server, body};
use tidegate::app::App;
use tidegate::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::support::free;
use crate::support::proxy::{Caller, Proxy, Setup, eventually, metric, ms, soon};

/// An instance on a unix socket: a scripted server behind it. Ends, and leaves its file, when it is aborted.
fn instance_at(path: &Path, server: SocketAddr) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut there) = TcpStream::connect(server).await {
                    let _ = copy_bidirectional(&mut here, &mut there).await;
                }
            });
        }
    })
}

/// A TCP address whose connections go on to a unix socket: the scripted clients speak TCP.
async fn way_to(path: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let path = path.clone();
            tokio::spawn(async move {
                if let Ok(mut there) = UnixStream::connect(path).await {
                    let _ = copy_bidirectional(&mut here, &mut there).await;
                }
            });
        }
    });
    at
}

struct Bench {
    dir: tempfile::TempDir,
    server: Server,
}

impl Bench {
    async fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            server: Server::start(Act::Echo).await.unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The address of a socket of this name, as a config writes it.
    fn addr(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }

    /// One service at these endpoints; its listener is on TCP, a second one on the unix socket `in`.
    fn setup(&self, name: &'static str, endpoints: &[String], lines: &str) -> Setup {
        let list: Vec<String> = endpoints.iter().map(|it| format!("{it:?}")).collect();
        Setup::new(name, &[]).more(&format!(
            "[[service]]\nname = \"{name}\"\nendpoints = [{}]\n{lines}\n{}",
            list.join(", "),
            self.listener(name, "")
        ))
    }

    fn listener(&self, service: &str, lines: &str) -> String {
        let at = self.addr("in");
        format!(
            "[[listener]]\nname = \"{service}-unix\"\nlisten = {at:?}\nservice = \"{service}\"\n{lines}"
        )
    }

    fn start(&self, setup: &Setup) -> Result<Proxy, String> {
        App::start(setup.config())
            .map(|app| Proxy {
                app,
                addr: free(),
                name: "none",
            })
            .map_err(|error| error.to_string())
    }
}

/// All kinds of frames; calls small, over a piece, and over what is held, each answered with its own text.
async fn calls_of_every_kind_and_size(at: SocketAddr) {
    for framing in Framing::ALL {
        let mut caller = Caller::connect(at, framing).await;
        for len in [1, 100_000, 3 << 20] {
            caller.echo(&"u".repeat(len)).await;
        }
    }
}

#[tokio::test]
async fn a_caller_over_a_unix_socket_reaches_an_instance_over_tcp() {
    let bench = Bench::new().await;
    let endpoints = [bench.server.address().to_string()];
    let proxy = bench.setup("unix-in", &endpoints, "").start();
    calls_of_every_kind_and_size(way_to(bench.path("in")).await).await;
    proxy.counted("ok", Framing::ALL.len() as u64 * 3).await;
    let opened = [("listener", "unix-in-unix")];
    assert_eq!(
        metric("tidegate_client_connections_total", &opened),
        Framing::ALL.len() as u64
    );
}

#[tokio::test]
async fn a_caller_over_tcp_reaches_an_instance_on_a_unix_socket() {
    let bench = Bench::new().await;
    let _instance = instance_at(&bench.path("out"), bench.server.address());
    let proxy = bench.setup("unix-out", &[bench.addr("out")], "").start();
    calls_of_every_kind_and_size(proxy.addr).await;
    proxy.counted("ok", Framing::ALL.len() as u64 * 3).await;

    // It is shown by its path wherever an endpoint is.
    let name = bench.addr("out");
    assert!(proxy.of("tidegate_tries_total", "endpoint", &name) > 0);
    let services = proxy.app.services().to_string();
    assert!(
        services.contains(&format!("\"dial\":\"{name}\"")) && services.contains("unix_socket"),
        "{services}"
    );
    let why = proxy.app.why(Some("unix-out"), Some(&name)).unwrap();
    assert!(why.contains("up"), "{why}");
}

#[tokio::test]
async fn both_sides_may_be_unix_sockets_and_connections_are_reused() {
    let bench = Bench::new().await;
    let _instance = instance_at(&bench.path("out"), bench.server.address());
    let checks = "[service.health_check]\nkind = \"call\"\nmethod = \"Ping\"\ninterval = \"50ms\"";
    let proxy = bench
        .setup("unix-both", &[bench.addr("out")], checks)
        .start();
    let at = way_to(bench.path("in")).await;
    calls_of_every_kind_and_size(at).await;
    let connects = [("service", "unix-both"), ("result", "ok")];
    assert_eq!(metric("tidegate_connects_total", &connects), 1);
    eventually("checked", || {
        proxy.of("tidegate_health_checks_total", "result", "pass") > 2
    })
    .await;
}

#[tokio::test]
async fn bytes_are_relayed_over_unix_sockets_and_a_half_close_is_kept() {
    let bench = Bench::new().await;
    let echo = UnixListener::bind(bench.path("out")).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(&all).await.unwrap();
    });
    let _proxy = bench.setup("unix-relay", &[bench.addr("out")], "").start();
    let mut stream = UnixStream::connect(bench.path("in")).await.unwrap();
    let said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more";
    soon(stream.write_all(said)).await.unwrap();
    soon(stream.shutdown()).await.unwrap();
    let mut heard = Vec::new();
    soon(stream.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, said);
}

#[tokio::test]
async fn a_socket_s_file_has_its_mode_and_goes_with_its_listener() {
    let bench = Bench::new().await;
    let endpoints = [bench.server.address().to_string()];
    let with = bench.setup("unix-file", &endpoints, "");
    let proxy = with.start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = bench.path("in");
    assert_eq!(mode(&path), 0o660);
    let mut caller = Caller::connect(way_to(path.clone()).await, Framing::Framed).await;
    caller.echo("before").await;

    // A reload that keeps the listener keeps its socket, and who is connected.
    let kept = with.clone().more("max_in_flight = 7").config();
    proxy.app.reload(Ok(kept)).await.unwrap();
    caller.echo("after").await;

    // One that removes it answers what is in flight, and the file is gone.
    let call = caller.0.next("Echo", body::text(1, "in flight"));
    soon(caller.0.send(&call)).await.unwrap();
    caller.next().await.unwrap().unwrap();
    let text = with.text();
    let (without, _) = text
        .split_once("[[listener]]\nname = \"unix-file-unix\"")
        .unwrap();
    let without = Config::from_str("t", without).unwrap();
    proxy.app.reload(Ok(without)).await.unwrap();
    eventually("the file is gone", || !path.exists()).await;

    // And back, with another mode; it goes at the end, too.
    let again = bench
        .setup("unix-file", &endpoints, "")
        .more("socket_mode = \"0600\"");
    proxy.app.reload(Ok(again.config())).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    proxy.app.drain().await;
    eventually("the file is gone", || !path.exists()).await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let bench = Bench::new().await;
    let endpoints = [bench.server.address().to_string()];
    let path = bench.path("in");

    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "it is stale");
    let setup = bench.setup("unix-stale", &endpoints, "");
    let proxy = setup.start();
    calls_of_every_kind_and_size(way_to(path.clone()).await).await;

    // Another one of the same address: it is in use, and the first goes on.
    let other = bench.setup("unix-live", &endpoints, "");
    let refused = bench.start(&other).err().unwrap();
    assert!(
        refused.contains("another process listens there") && refused.contains(&bench.addr("in")),
        "{refused}"
    );
    let mut caller = Caller::connect(way_to(path.clone()).await, Framing::Framed).await;
    caller.echo("still here").await;
    drop(caller);
    proxy.app.drain().await;
    eventually("the file is gone", || !path.exists()).await;

    std::fs::write(&path, "mine").unwrap();
    let refused = bench.start(&other).err().unwrap();
    assert!(refused.contains("which is no socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    let text = other.text().replace("/in\"", "/nowhere/in\"");
    let nowhere = Config::from_str("t", &text).unwrap();
    let refused = App::start(nowhere).err().unwrap().to_string();
    let dir = bench.path("nowhere").display().to_string();
    assert!(
        refused.contains(&format!("there is no directory {dir}")),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_instance_s_socket_is_said() {
    let bench = Bench::new().await;
    drop(UnixListener::bind(bench.path("left")).unwrap());
    for (name, socket, outcome, expected) in [
        (
            "unix-gone",
            "gone",
            "unreachable",
            "there is no such socket on this host",
        ),
        (
            "unix-left",
            "left",
            "connect_refused",
            "nobody listens on it",
        ),
    ] {
        let bench_in = Bench::new().await;
        let proxy = bench_in.setup(name, &[bench.addr(socket)], "").start();
        let said = proxy.caller(Framing::Framed).await.fails("x").await;
        assert!(said.contains(&bench.addr(socket)), "{said}");
        let why = proxy
            .app
            .why(Some(name), Some(&bench.addr(socket)))
            .unwrap();
        assert!(why.contains(expected), "{why}");
        assert!(proxy.tries(outcome) > 0, "{outcome}");
    }
}

#[tokio::test]
async fn a_listener_whose_queue_is_full_is_a_connect_timeout() {
    let bench = Bench::new().await;
    // Nobody accepts, and the queue holds one (Linux: and one more).
    let full = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    full.bind(&socket2::SockAddr::unix(bench.path("full")).unwrap())
        .unwrap();
    full.listen(0).unwrap();
    let _first = UnixStream::connect(bench.path("full")).await.unwrap();
    let proxy = bench
        .setup(
            "unix-full",
            &[bench.addr("full")],
            "connect_timeout = \"50ms\"",
        )
        .start();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(said.contains("timed out (P02)"), "{said}");
    assert!(proxy.tries("connect_timeout") > 0);
}

#[tokio::test]
async fn a_registered_socket_is_used_from_when_it_is_there_and_beats_nobody_until_then() {
    let bench = Bench::new().await;
    let tcp = bench.server.address();
    let behind = Server::start(Act::Echo).await.unwrap();
    let file = bench.path("instances.toml");
    // More sockets of other hosts than one call would dial.
    let mut text = format!("[[instance]]\nservice = \"unix-reg\"\naddress = \"{tcp}\"\n");
    for name in ["a", "b", "c", "d", "here"] {
        let path = bench.path(name);
        text += &format!("[[instance]]\nservice = \"unix-reg\"\naddress = {path:?}\n");
    }
    std::fs::write(&file, text).unwrap();
    let proxy = Setup::new("unix-reg", &[])
        .more(&format!(
            "[[registry]]\nname = \"f\"\nkind = \"file\"\npath = {file:?}\n[[service]]\nname = \"unix-reg\"\n\
             registry = \"f\"\nbalance = \"weighted_round_robin\""
        ))
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..20 {
        caller.echo("x").await;
    }
    assert_eq!(
        metric(
            "tidegate_connects_total",
            &[("service", "unix-reg"), ("result", "unreachable")]
        ),
        0
    );
    // They are looked for meanwhile.
    eventually("five are not there", || {
        proxy.of("tidegate_findings", "code", "R19") == 5
    })
    .await;

    let here = bench.addr("here");
    let instance = instance_at(&bench.path("here"), behind.address());
    let used = || proxy.of("tidegate_tries_total", "endpoint", &here) > 0;
    for _ in 0..2_000 {
        caller.echo("x").await;
        if used() {
            break;
        }
        tokio::time::sleep(ms(10)).await;
    }
    assert!(used(), "it is there, and never used");

    // It stops: no call fails, and it is back when it is.
    instance.abort();
    std::fs::remove_file(bench.path("here")).unwrap();
    for _ in 0..50 {
        caller.echo("x").await;
    }
    let before = proxy.of("tidegate_tries_total", "endpoint", &here);
    let _instance = instance_at(&bench.path("here"), behind.address());
    for _ in 0..2_000 {
        caller.echo("x").await;
        if proxy.of("tidegate_tries_total", "endpoint", &here) > before + 1 {
            return;
        }
        tokio::time::sleep(ms(10)).await;
    }
    panic!("it is back, and never used");
}

#[tokio::test]
async fn our_own_socket_is_never_dialled() {
    let bench = Bench::new().await;
    let proxy = bench.setup("unix-loop", &[bench.addr("in")], "").start();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(
        said.contains("R16") && said.contains("own_listener"),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_abstract_name_is_dialled() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr as Name, UnixListener as Bound};

    let bench = Bench::new().await;
    let name = format!("tidegate-test-{}", std::process::id());
    let bound = Bound::bind_addr(&Name::from_abstract_name(&name).unwrap()).unwrap();
    bound.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(bound).unwrap();
    let server = bench.server.address();
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(server).await.unwrap();
        let _ = copy_bidirectional(&mut here, &mut there).await;
    });
    let proxy = bench
        .setup("unix-name", &[format!("unix:@{name}")], "")
        .start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    assert_eq!(
        caller.call("Echo", "x").await.unwrap(),
        Answer::Text("x".into())
    );
}
