//! Clocks: the read deadline, the caller's own deadline, the policy's, and who is cut by which.

use std::time::Duration;

use tokio::time::Instant;

use scripted::header::key::RPC_TIMEOUT;
use scripted::{Act, Answer, Framing, Header, Options, Server};

use crate::support::proxy::{Setup, eventually, ms};

/// The caller states a timeout.
fn within(ms: &str) -> Header {
    Header::default().int(RPC_TIMEOUT, ms)
}

#[tokio::test]
async fn a_call_without_progress_is_answered_at_the_read_deadline_and_told_why() {
    let server = Server::start(Act::Silence).await.unwrap();
    let addr = server.address();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["rd-f", "rd-b", "rd-t", "rd-tf"])
    {
        let proxy = Setup::new(name, &[addr])
            .policy("read_deadline = \"80ms\"")
            .start();
        let mut caller = proxy.caller(framing).await;
        let began = Instant::now();
        let said = caller.fails("x").await;
        assert!(began.elapsed() >= ms(80));
        assert_eq!(
            said,
            format!(
                "tidegate: no answer from {addr} ({name}) within read_deadline 80ms, try 1 of 1, \
                 phase first_byte: it has answered nothing yet; called Echo"
            )
        );
        proxy.counted("read_deadline", 1).await;
        caller.fails("the connection is still good").await;
    }
    eventually("closed", || server.seen().open == 0).await;
}

#[tokio::test]
async fn an_instance_that_hangs_on_a_reused_connection_is_waited_for_in_phase_first_byte() {
    let acts = vec![Act::Echo, Act::Silence];
    let server = Options::sequence(acts).start().await.unwrap();
    let proxy = Setup::new("rd-reused", &[server.address()])
        .policy("read_deadline = \"80ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    caller.echo("x").await;
    let said = caller.fails("x").await;
    assert!(said.contains("phase first_byte"), "{said}");
    assert_eq!(server.seen().connections, 1, "the same connection");
}

#[tokio::test]
async fn the_callers_own_deadline_is_answered_before_it_and_sent_on_shortened_in_the_same_width() {
    let server = Server::start(Act::Silence).await.unwrap();
    let addr = server.address();
    let proxy = Setup::new("key12", &[addr]).start();
    let mut caller = proxy.caller_with(Framing::TtHeader, within("0300")).await;
    let began = Instant::now();
    let said = caller.fails("x").await;
    let took = began.elapsed();
    assert!(
        took >= ms(294) && took < ms(2_500),
        "{took:?}: the tenth, at most 5 ms, before"
    );
    let expected = format!(
        "tidegate: no answer from {addr} (key12) within the caller's deadline 300ms, try 1 of 1, \
         phase first_byte; called Echo"
    );
    assert_eq!(said, expected);
    let sent = server.seen().messages[0]
        .header
        .get_int(RPC_TIMEOUT)
        .unwrap();
    let left: u32 = sent.parse().unwrap();
    assert_eq!(sent.len(), 4);
    assert!((1..=295).contains(&left), "{sent}");
    proxy.counted("deadline", 1).await;
    let from = |source| proxy.of("tidegate_deadline_source_total", "source", source);
    assert_eq!(
        (from("caller"), from("service"), from("default")),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_timeout_that_is_none_passes_untouched() {
    let server = Server::start(Act::Delay(ms(30))).await.unwrap();
    let proxy = Setup::new("key12-none", &[server.address()]).start();
    let strange = [
        "0",
        "-1",
        "00000",
        "",
        "soon",
        "10ms",
        " 10",
        "99999999999",
        "1.5",
    ];
    for value in strange {
        let mut caller = proxy
            .caller_with(Framing::TtHeaderFramed, within(value))
            .await;
        caller.echo("x").await;
    }
    let sent: Vec<String> = server
        .seen()
        .messages
        .iter()
        .map(|m| m.header.get_int(RPC_TIMEOUT).unwrap())
        .collect();
    assert_eq!(sent, strange);
    proxy.counted("ok", strange.len() as u64).await;
}

#[tokio::test]
async fn silence_leaves_the_callers_own_timer_in_charge() {
    let script = |call: &scripted::Call| match call.nth {
        0 => Act::Delay(ms(300)),
        _ => Act::Echo,
    };
    let server = Options::script(script).start().await.unwrap();
    let proxy = Setup::new("silence", &[server.address()])
        .policy("on_deadline = \"silence\"")
        .start();
    let mut caller = proxy.caller_with(Framing::TtHeader, within("60")).await;
    caller.send("Echo", "x").await;
    proxy.counted("deadline", 1).await;
    // Nothing was said; the next call's answer is the first thing on the connection.
    caller.0 = caller.0.with_header(Header::default());
    caller.echo("next").await;
}

#[tokio::test]
async fn the_policys_deadline_is_the_smaller_one_s_and_names_itself() {
    let server = Server::start(Act::Silence).await.unwrap();
    let addr = server.address();
    let proxy = Setup::new("own-deadline", &[addr])
        .policy("deadline = \"90ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let began = Instant::now();
    let said = caller.fails("x").await;
    assert!(began.elapsed() >= ms(90));
    let expected = format!(
        "tidegate: no answer from {addr} (own-deadline) within deadline 90ms, try 1 of 1, \
         phase first_byte; called Echo"
    );
    assert_eq!(said, expected);
    // A caller that states more time than that does not get it, nor is it promised upstream.
    let mut caller = proxy.caller_with(Framing::TtHeader, within("60000")).await;
    let said = caller.fails("x").await;
    assert!(said.contains(" deadline 90ms"), "{said}");
    let sent = server.seen().messages[1]
        .header
        .get_int(RPC_TIMEOUT)
        .unwrap();
    assert!(
        sent.starts_with("000") && sent.parse::<u32>().unwrap() <= 90,
        "{sent}"
    );
    assert_eq!(
        proxy.of("tidegate_deadline_source_total", "source", "service"),
        2
    );
}

#[tokio::test]
async fn a_methods_own_policy_holds_for_it_alone() {
    let server = Server::start(Act::Delay(ms(150))).await.unwrap();
    let proxy = Setup::new("time-by-method", &[server.address()])
        .policy("[service.method.Quick]\nread_deadline = \"40ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let quick = caller.call("Quick", "x").await.unwrap();
    assert!(matches!(quick, Answer::Exception(6, _)), "{quick:?}");
    caller.echo("others wait").await;
}

#[tokio::test]
async fn the_built_in_read_deadline_does_not_cut_a_call_that_states_a_longer_one() {
    let server = Server::start(Act::Delay(ms(3_300))).await.unwrap();
    let proxy = Setup::new("built-in", &[server.address()]).start();
    let mut stated = proxy.caller_with(Framing::TtHeader, within("10000")).await;
    let mut plain = proxy.caller(Framing::Framed).await;
    let (said, ()) = tokio::join!(plain.fails("x"), stated.echo("x"));
    assert!(said.contains(" read_deadline 3s,"), "{said}");
}

#[tokio::test]
async fn an_explicit_read_deadline_cuts_a_call_that_states_a_longer_one() {
    let server = Server::start(Act::Silence).await.unwrap();
    let proxy = Setup::new("explicit", &[server.address()])
        .policy("read_deadline = \"60ms\"")
        .start();
    let mut caller = proxy.caller_with(Framing::TtHeader, within("20000")).await;
    let said = caller.fails("x").await;
    assert!(said.contains(" read_deadline 60ms,"), "{said}");
}

/// Read deadline 150 ms; 1 MiB in pieces of 64 KiB every 50 ms takes 800 ms and more.
#[tokio::test]
async fn a_large_reply_that_keeps_moving_is_not_cut() {
    let server = Server::start(Act::Drip(64 * 1024, ms(50))).await.unwrap();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["mv-f", "mv-b", "mv-t", "mv-tf"])
    {
        let proxy = Setup::new(name, &[server.address()])
            .policy("read_deadline = \"1s\"")
            .start();
        let mut caller = proxy.caller(framing).await;
        let text = "m".repeat(1_500_000);
        let began = Instant::now();
        caller.echo(&text).await;
        assert!(
            began.elapsed() > Duration::from_secs(1),
            "it is longer than the read deadline"
        );
        proxy.counted("ok", 1).await;
    }
}

#[tokio::test]
async fn a_reply_that_drips_is_cut() {
    let server = Server::start(Act::Drip(1, ms(10))).await.unwrap();
    let proxy = Setup::new("drip", &[server.address()])
        .policy("read_deadline = \"150ms\"")
        .start();
    let mut caller = proxy.caller(Framing::Framed).await;
    let said = caller.fails(&"d".repeat(1000)).await;
    assert!(
        said.contains("within read_deadline 150ms") && said.contains("phase read"),
        "{said}"
    );
    proxy.counted("read_deadline", 1).await;
    proxy.counted("ok", 0).await;
}

#[tokio::test]
async fn a_large_reply_that_stops_is_cut_with_nothing_appended() {
    let server = Server::start(Act::HalfSilence).await.unwrap();
    for (framing, name) in Framing::ALL
        .into_iter()
        .zip(["st-f", "st-b", "st-t", "st-tf"])
    {
        let proxy = Setup::new(name, &[server.address()])
            .policy("read_deadline = \"200ms\"")
            .start();
        let mut caller = proxy.caller(framing).await;
        let text = "s".repeat(3_000_000);
        let error = caller.call("Echo", &text).await.unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof,
            "{framing:?}: {error}"
        );
        proxy.counted("reply_cut", 1).await;
        assert_eq!((proxy.ended(), proxy.tries("read_deadline")), (1, 1));
        eventually("closed", || proxy.closed("reply_cut") == 1).await;
    }
}
