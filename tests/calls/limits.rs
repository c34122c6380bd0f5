//! Limits: what is over them is answered, what waits is served in turn.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use scripted::{Act, Answer, Call, Framing, Gate, Options, Server};
use tidegate::app::App;
use tokio::time::{Instant, sleep};

use crate::support::proxy::{Caller, Proxy, Raw, Setup, eventually, ms, soon};

/// `Slow` waits at the gate.
pub(crate) fn slow(gate: &Gate) -> impl Fn(&Call) -> Act + Send + Sync + 'static {
    let gate = gate.clone();
    move |call| match call.message.method.as_str() {
        "Slow" => Act::Gate(gate.clone()),
        _ => Act::Echo,
    }
}

async fn callers(proxy: &Proxy, n: usize) -> Vec<Caller> {
    join_all((0..n).map(|_| proxy.caller(Framing::Framed))).await
}

#[tokio::test]
async fn a_call_over_max_calls_is_answered_at_once_and_says_so() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("max-calls", &[server.address()])
        .policy("max_calls = 3")
        .start();
    let mut busy = callers(&proxy, 3).await;
    for caller in &mut busy {
        caller.send("Slow", "x").await;
    }
    eventually("in flight", || server.calls() == 3).await;
    let mut more = proxy.caller(Framing::TtHeader).await;
    let said = more.fails("x").await;
    assert!(
        said.starts_with("tidegate: overloaded: max-calls, limit max_calls 3"),
        "{said}"
    );
    gate.open();
    for caller in &mut busy {
        assert!(caller.next().await.unwrap().is_some());
    }
    more.echo("there is room again").await;
    proxy.counted("overloaded", 1).await;
    assert_eq!(proxy.of("tidegate_refused_total", "limit", "calls"), 1);
    proxy.counted("ok", 4).await;
}

#[tokio::test]
async fn an_endpoint_is_sent_no_more_than_max_endpoint_calls_at_once_and_all_wait_their_turn() {
    let running = Arc::new(Mutex::new((0, 0)));
    let count = running.clone();
    let script = move |_: &Call| {
        let mut running = count.lock().unwrap();
        running.0 += 1;
        running.1 = running.1.max(running.0);
        let count = count.clone();
        tokio::spawn(async move {
            // Well before the reply, which frees the place.
            sleep(ms(2)).await;
            count.lock().unwrap().0 -= 1;
        });
        Act::Delay(ms(40))
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("places", &[server.address()])
        .policy("max_endpoint_calls = 2")
        .start();
    let mut all = callers(&proxy, 30).await;
    let calls = all.iter_mut().map(|caller| async {
        for _ in 0..4 {
            caller.echo("x").await;
        }
    });
    soon(join_all(calls)).await;
    assert_eq!(running.lock().unwrap().1, 2, "as many as there are places");
    assert_eq!(server.seen().connections, 2);
    proxy.counted("ok", 120).await;
}

#[tokio::test]
async fn a_call_that_waits_is_not_overtaken_by_one_that_came_later() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("turns", &[server.address()])
        .policy("max_endpoint_calls = 1")
        .start();
    let mut first = proxy.caller(Framing::Framed).await;
    first.send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    // One after another, all while the first is still running.
    let mut waiting = Vec::new();
    for n in 0..8u64 {
        let mut caller = proxy.caller(Framing::Framed).await;
        waiting.push(tokio::spawn(async move {
            caller.echo(&format!("turn {n}")).await;
        }));
        proxy.waiting(n + 1).await;
    }
    // A busy caller that comes back for more, again and again, gets no place before them.
    let mut greedy = proxy.caller(Framing::Framed).await;
    let greed = tokio::spawn(async move {
        for _ in 0..40 {
            greedy.echo("more").await;
        }
    });
    proxy.waiting(9).await;
    gate.open();
    for call in waiting {
        soon(call).await.unwrap();
    }
    soon(greed).await.unwrap();
    // In the order in which the instance saw them: callers hear of their answers in any.
    let texts = server.seen().messages;
    assert_eq!(texts.len(), 49);
    let turn = |n| scripted::body::text(1, &format!("turn {n}"));
    let turns: Vec<_> = texts
        .iter()
        .filter_map(|m| (0..8).find(|n| m.body == turn(*n)))
        .collect();
    assert_eq!(turns, [0, 1, 2, 3, 4, 5, 6, 7]);
    let first_greedy = texts
        .iter()
        .position(|m| m.body == scripted::body::text(1, "more"))
        .unwrap();
    assert!(
        first_greedy >= 9,
        "the greedy one was served as number {first_greedy}"
    );
}

#[tokio::test]
async fn the_queue_is_bounded_by_max_waiting() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("queue", &[server.address()])
        .policy("max_endpoint_calls = 1\nmax_waiting = 3")
        .start();
    let mut all = callers(&proxy, 4).await;
    all[0].send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    for caller in &mut all[1..] {
        caller.send("Echo", "x").await;
    }
    proxy.waiting(3).await;
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(
        said.starts_with("tidegate: overloaded: queue, limit max_waiting 3"),
        "{said}"
    );
    gate.open();
    for caller in &mut all {
        let answer = caller.next().await.unwrap().unwrap();
        assert_eq!(Answer::of(&answer).unwrap(), Answer::Text("x".into()));
    }
    assert_eq!(proxy.of("tidegate_refused_total", "limit", "waiting"), 1);
    proxy.counted("ok", 4).await;
}

#[tokio::test]
async fn a_call_that_waits_is_answered_at_its_deadline_and_never_sent() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("late-queue", &[server.address()])
        .policy("max_endpoint_calls = 1\n[service.method.Echo]\ndeadline = \"80ms\"")
        .start();
    let mut first = proxy.caller(Framing::Framed).await;
    first.send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    let expected = "tidegate: no answer from late-queue within deadline 80ms: every endpoint's places are taken, \
                    try 1 of 1, phase queue; called Echo";
    assert_eq!(said, expected);
    gate.open();
    assert!(first.next().await.unwrap().is_some());
    proxy.counted("deadline", 1).await;
    proxy.still_serves().await;
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn callers_that_leave_the_queue_leave_it_to_the_others() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("left-queue", &[server.address()])
        .policy("max_endpoint_calls = 1")
        .start();
    let mut first = proxy.caller(Framing::Framed).await;
    first.send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    let mut impatient = callers(&proxy, 10).await;
    for caller in &mut impatient {
        caller.send("Echo", "x").await;
    }
    let mut patient = proxy.caller(Framing::Framed).await;
    patient.send("Echo", "patient").await;
    proxy.waiting(11).await;
    drop(impatient);
    proxy.counted("client_gone", 10).await;
    gate.open();
    let answer = patient.next().await.unwrap().unwrap();
    assert_eq!(Answer::of(&answer).unwrap(), Answer::Text("patient".into()));
    assert_eq!(server.calls(), 2);
}

fn connections(proxy: &Proxy) -> serde_json::Value {
    proxy.app.services()["listeners"][0]["connections"].clone()
}

#[tokio::test]
async fn a_connection_over_max_connections_is_told_so_by_its_first_call_and_closed() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("max-conns", &[server.address()])
        .listener("max_connections = 5")
        .start();
    let mut all = callers(&proxy, 5).await;
    for caller in &mut all {
        caller.echo("x").await;
    }
    for framing in Framing::ALL {
        let mut sixth = proxy.caller(framing).await;
        assert_eq!(
            sixth.fails("x").await,
            "tidegate: overloaded: listener max-conns, limit max_connections 5: 5 connections are open; \
             called Echo"
        );
        sixth.ends().await;
    }
    assert_eq!(
        proxy.of("tidegate_refused_total", "limit", "connections"),
        4
    );
    eventually("counted", || proxy.closed("max_connections") == 4).await;
    assert_eq!(proxy.unrouted("overloaded"), 4);
    assert_eq!(server.calls(), 5);
    all.pop();
    eventually("there is room", || connections(&proxy) == 4).await;
    proxy.still_serves().await;
    for caller in &mut all {
        caller.echo("the others did not notice").await;
    }
}

#[tokio::test]
async fn a_source_over_its_connections_is_told_so_and_another_source_is_not_touched() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("per-source", &[server.address()])
        .listener("max_connections_per_source = 3")
        .start();
    let mut all = callers(&proxy, 3).await;
    for caller in &mut all {
        caller.echo("x").await;
    }
    let said = proxy.caller(Framing::TtHeader).await.fails("x").await;
    assert_eq!(
        said,
        "tidegate: overloaded: listener per-source, limit max_connections_per_source 3: 3 connections from 127.0.0.1 \
         are open; called Echo"
    );
    eventually("counted", || {
        proxy.closed("max_connections_per_source") == 1
    })
    .await;
    let refused = |limit| proxy.of("tidegate_refused_total", "limit", limit);
    assert_eq!(
        (refused("connections_per_source"), refused("connections")),
        (1, 0)
    );
    let mut other = from([127, 0, 0, 2], &proxy).await;
    other
        .write(b"\0\0\0\x18\x80\x01\0\x01\0\0\0\x04Echo\0\0\0\x07\x0b\0\x01\0\0\0\0\0")
        .await;
    assert_eq!(other.read(8).await[4..], *b"\x80\x01\0\x02");
    all.pop();
    eventually("there is room", || connections(&proxy) == 3).await;
    proxy.still_serves().await;
}

/// A connection from this address of the loopback net.
async fn from(source: [u8; 4], proxy: &Proxy) -> Raw {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    Raw(soon(socket.connect(proxy.addr)).await.unwrap())
}

#[tokio::test]
async fn an_ipv4_source_counts_as_itself_on_a_listener_of_both_families() {
    let server = Server::start(Act::Echo).await.unwrap();
    let setup =
        Setup::new("mapped", &[server.address()]).listener("max_connections_per_source = 1");
    let mut config = setup.config();
    let addr = config.listeners[0].listen.tcp().unwrap();
    config.listeners[0].listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port())).into();
    let proxy = Proxy {
        app: App::start(config).unwrap(),
        addr,
        name: "mapped",
    };
    let mut first = proxy.caller(Framing::Framed).await;
    first.echo("x").await;
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(said.contains("1 connections from 127.0.0.1 are"), "{said}");
}

#[tokio::test]
async fn connections_over_a_limit_that_make_no_call_are_closed_in_time() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("silent-over", &[server.address()])
        .listener("max_connections = 1\ndetect_timeout = \"200ms\"")
        .start();
    let mut first = proxy.caller(Framing::Framed).await;
    first.echo("x").await;
    let mut more = callers(&proxy, 100).await;
    for caller in &mut more {
        caller.ends().await;
    }
    // What is no call is closed without an answer.
    let mut other = proxy.raw().await;
    other.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(other.read_to_end().await, b"");
    eventually("counted", || proxy.closed("max_connections") == 101).await;
    assert_eq!(proxy.unrouted("overloaded"), 0);
    first.echo("the first one did not notice").await;
}

#[tokio::test]
async fn a_reload_sets_and_lifts_the_limits_of_connections() {
    let server = Server::start(Act::Echo).await.unwrap();
    let setup = Setup::new("set-limits", &[server.address()]);
    let proxy = setup.start();
    let mut all = callers(&proxy, 3).await;
    for caller in &mut all {
        caller.echo("x").await;
    }
    let limited = setup.clone().listener("max_connections_per_source = 3");
    proxy.app.reload(Ok(limited.config())).await.unwrap();
    let said = proxy.caller(Framing::Framed).await.fails("x").await;
    assert!(said.contains("max_connections_per_source 3"), "{said}");
    for caller in &mut all {
        caller.echo("those who were there stay").await;
    }
    proxy.app.reload(Ok(setup.config())).await.unwrap();
    proxy.still_serves().await;
}

#[tokio::test]
async fn when_the_only_endpoint_goes_those_who_wait_for_it_are_answered() {
    let gate = Gate::closed();
    let server = Options::script(slow(&gate)).start().await.unwrap();
    let proxy = Setup::new("gone-queue", &[server.address()])
        .policy("max_endpoint_calls = 1")
        .start();
    let mut all = callers(&proxy, 5).await;
    all[0].send("Slow", "x").await;
    eventually("in flight", || server.calls() == 1).await;
    for caller in &mut all[1..] {
        caller.send("Echo", "x").await;
    }
    proxy.waiting(4).await;
    drop(server);
    for caller in &mut all {
        let answer = caller.next().await.unwrap().unwrap();
        assert!(
            matches!(Answer::of(&answer).unwrap(), Answer::Exception(6, _)),
            "{answer:?}"
        );
    }
    eventually("each has an outcome", || proxy.ended() == 5).await;
}

/// How many of so many calls are answered with their own text; what the others are told must begin so.
async fn passed(caller: &mut Caller, method: &str, calls: usize, refusal: &str) -> u64 {
    let mut passed = 0;
    for _ in 0..calls {
        match caller.call(method, "x").await.unwrap() {
            Answer::Text(_) => passed += 1,
            Answer::Exception(6, said) => assert!(said.starts_with(refusal), "{said}"),
            other => panic!("answered: {other:?}"),
        }
    }
    passed
}

#[tokio::test]
async fn calls_over_rate_limit_are_answered_and_never_sent() {
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("rate", &[server.address()])
        .policy("max_calls = 1\nrate_limit = 1\nrate_burst = 5")
        .start();
    let began = Instant::now();
    let mut sum = 0;
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        let refusal = "tidegate: rate limited: rate, limit rate_limit 1: calls a second of all methods, the next one \
                       passes in ";
        for method in ["Echo", "Other", "Third"] {
            sum += passed(&mut caller, method, 10, refusal).await;
        }
    }
    let most = 5 + began.elapsed().as_secs() + 1;
    assert!((5..=most).contains(&sum), "{sum} passed");
    assert_eq!(server.calls() as u64, sum);
    proxy.counted("rate_limited", 120 - sum).await;
    assert_eq!(
        proxy.of("tidegate_refused_total", "limit", "rate"),
        120 - sum
    );
    // None of them kept the one place of `max_calls`.
    assert_eq!(proxy.outcome("overloaded"), 0);
}

#[tokio::test]
async fn a_methods_rate_limit_is_its_own_and_a_reload_that_leaves_it_leaves_its_tokens() {
    let server = Server::start(Act::Echo).await.unwrap();
    let setup = Setup::new("method-rate", &[server.address()])
        .policy("[service.method.Get]\nidempotent = true");
    let limited = setup.clone().policy("rate_limit = 1\nrate_burst = 3");
    let proxy = limited.start();
    let (began, refusal) = (
        Instant::now(),
        "tidegate: rate limited: method-rate, limit rate_limit 1: calls a second of Get",
    );
    let mut caller = proxy.caller(Framing::Framed).await;
    let mut sum = passed(&mut caller, "Get", 20, refusal).await;
    let same = limited.policy("tries = 2");
    proxy.app.reload(Ok(same.config())).await.unwrap();
    sum += passed(&mut caller, "Get", 20, refusal).await;
    let most = 3 + began.elapsed().as_secs() + 1;
    assert!((3..=most).contains(&sum), "{sum} passed");
    assert_eq!(passed(&mut caller, "Set", 20, "").await, 20);
    proxy.app.reload(Ok(setup.config())).await.unwrap();
    assert_eq!(passed(&mut caller, "Get", 20, "").await, 20);
}
