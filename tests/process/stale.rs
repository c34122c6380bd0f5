//! Servers that close idle connections, and callers in step with the close: a FIN that crosses the call on its way.

use std::time::Duration;

use scripted::{Answer, Client, Framing, Options};
use tokio::time::{Instant, sleep_until};

use crate::load::paced;
use crate::process::{Tidegate, free, listener, service};

/// After so long without a call a server closes. A connection that was idle for 300 ms is looked at before its reuse,
/// one that was idle for 6 ms is not.
const IDLE: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(6)];
const CALLERS: u32 = 32;
const ROUNDS: u32 = 80;
/// What an answer says where sending again would have been safe.
const UNACKNOWLEDGED: &str = "no byte of the call was acknowledged";

#[derive(Default, Debug)]
struct Tally {
    echoed: u32,
    /// Failed, though nothing of the call was acknowledged.
    unacknowledged: u32,
    /// Failed, and the server's host had some of it.
    acknowledged: u32,
}

/// All callers call at once, and again when the server is about to close their connections: a little before, a little
/// after, and just then.
async fn in_step(idle: Duration, policy: &str) -> Tally {
    let server = Options::script(paced)
        .close_idle_after(idle)
        .start()
        .await
        .unwrap();
    let listen = free();
    // So many failures at the only endpoint would open the breaker; here each one is looked at.
    let lines = format!("idle_timeout = \"10s\"\n{policy}\n[service.breaker]\nenabled = false\n");
    let proxy = Tidegate::start(
        &(listener("item", listen, "item") + &service("item", &[server.address()], &lines)),
    );
    let start = Instant::now() + Duration::from_millis(50);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call_in_step(listen, start, idle)))
        .collect();
    let mut all = Tally::default();
    for caller in callers {
        let one = caller.await.unwrap();
        all.echoed += one.echoed;
        all.unacknowledged += one.unacknowledged;
        all.acknowledged += one.acknowledged;
    }
    let found = |when| proxy.count("tidegate_stale_connections_total", &[("found", when)]);
    eprintln!(
        "stale, closed after {idle:?}, {policy:?}: {all:?}; dead connections found before use {}, in use {}",
        found("before_use"),
        found("in_use"),
    );
    assert_eq!(
        all.echoed + all.unacknowledged + all.acknowledged,
        CALLERS * ROUNDS
    );
    assert!(
        found("before_use") + found("in_use") > u64::from(CALLERS),
        "they were in step with the close"
    );
    all
}

async fn call_in_step(listen: std::net::SocketAddr, start: Instant, idle: Duration) -> Tally {
    let mut client = Client::connect(listen, Framing::Framed).await.unwrap();
    let (mut tally, mut at) = (Tally::default(), start);
    for round in 0..ROUNDS {
        sleep_until(at).await;
        match client
            .call("Echo", "hi")
            .await
            .expect("no caller's connection is cut")
        {
            Answer::Text(text) if text == "hi" => tally.echoed += 1,
            Answer::Exception(6, said) if said.contains(UNACKNOWLEDGED) => {
                tally.unacknowledged += 1;
            }
            Answer::Exception(6, said)
                if said.contains("closed the connection without an answer") =>
            {
                tally.acknowledged += 1;
            }
            other => panic!("{other:?}"),
        }
        // From 1 ms before the close to 4 ms after it, in steps of half a millisecond.
        at = Instant::now() + idle - Duration::from_millis(1)
            + Duration::from_micros(500) * (round % 11);
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_resending_no_call_fails_of_which_nothing_was_acknowledged() {
    for idle in IDLE {
        let tally = in_step(idle, "resend_unacknowledged = true").await;
        assert_eq!(tally.unacknowledged, 0, "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_default_a_failed_call_says_what_would_have_saved_it() {
    let looked_at = in_step(IDLE[0], "").await;
    assert!(looked_at.echoed > CALLERS * ROUNDS / 2, "{looked_at:?}");
    let not_looked_at = in_step(IDLE[1], "").await;
    assert!(not_looked_at.unacknowledged > 0, "{not_looked_at:?}");
}
