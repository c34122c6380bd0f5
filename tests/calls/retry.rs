//! Calls that are sent again because their policy says so: after which outcomes, how often, after which pauses, and
//! within which budget.

use std::net::SocketAddr;

use futures_util::future::join_all;
use scripted::{Act, Answer, Framing, Header, Options, Server};
use tokio::time::Instant;

use crate::support::proxy::{Caller, Proxy, Setup, eventually, ms, soon};

const RETRIED: &str = "RPC_PERSIST_RetryReq";
/// So that the bad one of two endpoints is met by every second call.
const IN_TURN: &str =
    "balance = \"weighted_round_robin\"\nejection.enabled = false\nbreaker.enabled = false";

/// An instance that does `act`, one that echoes, and their addresses.
async fn pair(act: Act) -> (Server, Server, [SocketAddr; 2]) {
    let bad = Server::start(act).await.unwrap();
    let good = Server::start(Act::Echo).await.unwrap();
    let at = [bad.address(), good.address()];
    (bad, good, at)
}

/// A read deadline that ends the calls which `act` leaves open, and no call that merely meets a busy machine.
pub(crate) fn deadline(act: &Act) -> &'static str {
    match act {
        Act::Silence | Act::HalfSilence => "read_deadline = \"800ms\"",
        _ => "read_deadline = \"10s\"",
    }
}

fn marked(server: &Server) -> u64 {
    let all = server.seen().messages;
    let marked = all
        .iter()
        .filter(|m| m.header.get_string(RETRIED).is_some());
    marked.count() as u64
}

#[tokio::test]
async fn a_call_is_sent_again_elsewhere_after_each_outcome_that_the_policy_names() {
    for (name, label, act) in [
        ("on-exception", "exception", Act::Exception(6, "no".into())),
        (
            "on-declared",
            "business_error",
            Act::Declared(3, "no".into()),
        ),
        ("on-closed", "closed_early", Act::Close),
        ("on-reset", "reset", Act::Reset),
        ("on-late", "read_deadline", Act::Silence),
        ("on-half-late", "read_deadline", Act::HalfSilence),
        ("on-cut", "reply_cut", Act::Half),
        ("on-bad", "bad_reply", Act::WrongSeqid),
    ] {
        let deadline = deadline(&act);
        let (bad, good, at) = pair(act).await;
        let proxy = Setup::new(name, &at)
            .policy(IN_TURN)
            .policy(&format!("{deadline}\nidle_timeout = \"1ms\""))
            .policy(&format!("retry_on = [\"{label}\"]"))
            .start();
        let callers = Framing::ALL.map(async |framing| {
            let mut caller = proxy.caller(framing).await;
            for _ in 0..4 {
                caller.echo("x").await;
            }
        });
        join_all(callers).await;
        proxy.counted("ok", 16).await;
        assert!(bad.calls() > 0, "{name}");
        assert_eq!(good.calls(), 16, "{name}: each ended there");
        let with_header = |m: &&scripted::Message| m.framing.has_header();
        let to_mark = bad.seen().messages.iter().filter(with_header).count() as u64;
        assert_eq!((marked(&bad), marked(&good)), (0, to_mark), "{name}");
        let cause = proxy.of("tidegate_retries_total", "cause", label);
        assert_eq!(cause, bad.calls(), "{name}: each is counted");
        assert_eq!(proxy.tries(label), bad.calls(), "{name}");
    }
}

#[tokio::test]
async fn a_call_is_not_sent_again_after_an_outcome_that_the_policy_does_not_name() {
    let (bad, good, at) = pair(Act::Exception(6, "no".into())).await;
    let proxy = Setup::new("unnamed", &at)
        .policy(IN_TURN)
        .policy("retry_on = [\"business_error\", \"reset\"]\nidempotent = true")
        .start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    for _ in 0..10 {
        caller.call("Echo", "x").await.unwrap();
    }
    assert_eq!((bad.calls(), good.calls()), (5, 5));
    proxy.counted("exception", 5).await;
}

#[tokio::test]
async fn what_a_method_names_holds_for_it_alone() {
    let (bad, good, at) = pair(Act::Exception(6, "no".into())).await;
    let proxy = Setup::new("retry-by-method", &at)
        .policy(IN_TURN)
        .policy("[service.method.Get]\nretry_on = [\"exception\"]")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    for _ in 0..10 {
        let answer = caller.call("Get", "x").await.unwrap();
        assert_eq!(answer, Answer::Text("x".into()));
    }
    let before = bad.calls();
    assert_eq!(good.calls(), 10);
    for _ in 0..10 {
        caller.call("Set", "x").await.unwrap();
    }
    assert_eq!(bad.calls() + good.calls(), before + 20);
    proxy.counted("exception", bad.calls() - before).await;
}

#[tokio::test]
async fn when_every_try_ends_badly_the_caller_gets_the_last_result() {
    let no = Server::start(Act::Exception(6, "the handler's own words".into()));
    let (no, closes) = (no.await.unwrap(), Server::start(Act::Close).await.unwrap());
    let proxy = Setup::new("last", &[no.address(), closes.address()])
        .policy(IN_TURN)
        .policy("retry_on = [\"exception\", \"closed_early\"]\ntries = 2")
        .start();
    let mut caller = proxy.caller(Framing::TtHeaderFramed).await;
    for _ in 0..20 {
        let said = caller.fails("x").await;
        let last = said == "the handler's own words" || said.contains("try 2 of 2");
        assert!(last, "{said}");
    }
    assert_eq!((no.calls(), closes.calls()), (20, 20));
    assert_eq!(proxy.of("tidegate_retries_total", "result", "failed"), 20);
}

#[tokio::test]
async fn a_large_reply_is_not_asked_for_again_once_it_streams() {
    let text = "n".repeat(3 << 20);
    let (bad, good, at) = pair(Act::Exception(6, text.clone())).await;
    let proxy = Setup::new("large-no", &at)
        .policy(IN_TURN)
        .policy("retry_on = [\"exception\"]")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let mut told = 0;
    for _ in 0..4 {
        match caller.call("Echo", "x").await.unwrap() {
            Answer::Exception(6, said) if said == text => told += 1,
            Answer::Text(said) => assert_eq!(said, "x"),
            other => panic!("answered: {other:?}"),
        }
    }
    assert_eq!((told, bad.calls(), good.calls()), (2, 2, 2));
}

#[tokio::test]
async fn neither_a_oneway_call_nor_a_retry_is_sent_again_for_what_the_policy_names() {
    let (bad, good, at) = pair(Act::Close).await;
    let proxy = Setup::new("named-once", &at)
        .policy(IN_TURN)
        .policy("retry_on = [\"closed_early\", \"stale_connection\", \"exception\"]")
        .start();
    let header = Header::default().string(RETRIED, "1");
    let mut caller = proxy.caller_with(Framing::TtHeader, header).await;
    for _ in 0..10 {
        caller.call("Echo", "x").await.unwrap();
    }
    for _ in 0..10 {
        let mut caller = proxy.caller(Framing::Framed).await;
        caller.0.oneway("Notify", "x").await.unwrap();
    }
    eventually("all ended", || proxy.ended() == 20).await;
    tokio::time::sleep(ms(100)).await;
    assert_eq!(bad.calls() + good.calls(), 20);
}

#[tokio::test]
async fn a_lone_endpoint_is_asked_again_after_a_pause_and_a_pause_that_is_too_long_is_not_made() {
    // Three of four are refused.
    let server = Options::script(|call| match call.nth % 4 {
        3 => Act::Echo,
        _ => Act::Exception(6, "not yet".into()),
    });
    let server = server.start().await.unwrap();
    let proxy = Setup::new("lone", &[server.address()])
        .policy("tries = 4\nretry_on = [\"exception\"]\nretry_backoff = \"20ms\"\nbreaker.enabled = false")
        .policy("ejection.enabled = false")
        .policy("[service.method.Soon]\nretry_on = [\"exception\"]\nretry_backoff = \"1h\"\ndeadline = \"2s\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let began = Instant::now();
    for _ in 0..5 {
        caller.echo("x").await;
    }
    // 15 pauses, of 20, 40 and 80 ms at most: 350 ms in the mean.
    assert!(began.elapsed() >= ms(60), "{:?}", began.elapsed());
    assert_eq!(server.calls(), 20);
    let began = Instant::now();
    let answer = caller.call("Soon", "x").await.unwrap();
    assert_eq!(answer, Answer::Exception(6, "not yet".into()));
    assert!(began.elapsed() < ms(2_000));
    assert_eq!(server.calls(), 21);
}

/// So many calls on each of these connections.
async fn calls(proxy: &Proxy, connections: usize, each: usize) {
    let load = (0..connections).map(|n| async move {
        let mut caller = Caller::connect(proxy.addr, Framing::ALL[n % 4]).await;
        for _ in 0..each {
            caller.call("Echo", "x").await.unwrap();
        }
    });
    soon(join_all(load)).await;
}

#[tokio::test]
async fn with_every_instance_failing_resends_stay_within_the_budget() {
    let servers = [
        Server::start(Act::Exception(6, "no".into())).await.unwrap(),
        Server::start(Act::Exception(6, "no".into())).await.unwrap(),
    ];
    let at = [servers[0].address(), servers[1].address()];
    let proxy = Setup::new("budget", &at)
        .policy(IN_TURN)
        .policy("retry_on = [\"exception\"]\ntries = 6\nretry_backoff = \"0s\"")
        .start();
    calls(&proxy, 8, 100).await;
    let sent = servers[0].calls() + servers[1].calls();
    let most = 800 + 800 / 5 + 100;
    assert!(
        (1_000..=most).contains(&sent),
        "{sent} sent, {most} at most"
    );
    proxy.counted("exception", 800).await;
    assert!(proxy.of("tidegate_retries_total", "result", "no_budget") > 0);
    eventually("the gauge is there", || {
        tidegate::metrics::render().contains("tidegate_retry_budget_tokens{service=\"budget\"}")
    })
    .await;
}

#[tokio::test]
async fn without_budget_the_failure_says_so_and_a_reload_gives_some() {
    let (bad, good, at) = pair(Act::Close).await;
    let setup = Setup::new("no-budget", &at)
        .policy(IN_TURN)
        .policy("idempotent = true");
    let none = setup
        .clone()
        .policy("retry_budget.percent = 0\nretry_budget.min_per_second = 0");
    let proxy = none.start();
    let mut caller = proxy.caller(Framing::TtHeader).await;
    let mut told = 0;
    for _ in 0..10 {
        match caller.call("Echo", "x").await.unwrap() {
            Answer::Text(_) => {}
            Answer::Exception(6, said) => {
                let why = "; no retry budget left: 0 % of the calls of the last 10s, and 0 a second, were sent again";
                assert!(said.contains(why) && said.contains("try 1 of 3"), "{said}");
                told += 1;
            }
            other => panic!("answered: {other:?}"),
        }
    }
    assert_eq!((told, bad.calls(), good.calls()), (5, 5, 5));
    assert_eq!(proxy.of("tidegate_retries_total", "result", "no_budget"), 5);
    proxy.app.reload(Ok(setup.config())).await.unwrap();
    for _ in 0..10 {
        caller.echo("x").await;
    }
}

#[tokio::test]
async fn what_never_arrived_is_sent_again_without_a_budget() {
    let server = Server::start(Act::Echo).await.unwrap();
    let dead = [crate::support::free(), crate::support::free()];
    let proxy = Setup::new("free-of-it", &[dead[0], dead[1], server.address()])
        .policy("retry_budget.percent = 0\nretry_budget.min_per_second = 0")
        .start();
    for framing in Framing::ALL {
        for _ in 0..10 {
            proxy.caller(framing).await.echo("x").await;
        }
    }
    proxy.counted("ok", 40).await;
}
