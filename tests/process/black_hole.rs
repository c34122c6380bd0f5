//! One of three instances takes connections and never answers; every caller hangs up after some time of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use scripted::{Act, Answer, Client, Framing, Server};
use tokio::time::{sleep, timeout};

use crate::load::instance;
use crate::process::{Tidegate, eventually, free, listener, service};

const CALLERS: u64 = 8;
const CALLS: u64 = 1200;
/// Shorter than the built-in read deadline, and longer than a busy machine stops for.
const HANG_UP: Duration = Duration::from_secs(2);

/// Calls until all callers together have made [`CALLS`]; a caller that waits for too long leaves, and comes anew.
async fn call(to: SocketAddr, made: Arc<AtomicU64>) -> u64 {
    let mut hung_up = 0;
    let mut open = None;
    while made.fetch_add(1, Relaxed) < CALLS {
        let mut client = match open.take() {
            Some(client) => client,
            None => Client::connect(to, Framing::Framed).await.unwrap(),
        };
        match timeout(HANG_UP, client.call("Echo", "5ms")).await {
            Ok(answer) => {
                assert_eq!(answer.unwrap(), Answer::Text("5ms".into()));
                open = Some(client);
            }
            Err(_) => hung_up += 1,
        }
        sleep(Duration::from_millis(5)).await;
    }
    hung_up
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_first_few_calls_a_black_hole_gets_nearly_none() {
    let hole = Server::start(Act::Silence).await.unwrap();
    let well = [
        instance().start().await.unwrap(),
        instance().start().await.unwrap(),
    ];
    let endpoints = [hole.address(), well[0].address(), well[1].address()];
    let listen = free();
    let proxy =
        Tidegate::start(&(listener("item", listen, "item") + &service("item", &endpoints, "")));
    let made = Arc::<AtomicU64>::default();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call(listen, made.clone())))
        .collect();
    while made.load(Relaxed) < CALLS / 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let first_half = hole.calls();
    let mut hung_up = 0;
    for caller in callers {
        hung_up += caller.await.unwrap();
    }
    let last_half = hole.calls() - first_half;
    eprintln!(
        "black hole: {first_half} of the first {} calls, {last_half} of the last; {hung_up} callers hung up",
        CALLS / 2
    );
    assert!(first_half > 0, "it is one of three");
    assert!(
        last_half * 10 < CALLS / 2,
        "{last_half} of the last {}",
        CALLS / 2
    );
    assert_eq!(hung_up, hole.calls(), "nobody else was slow");
    eventually("each is counted", || {
        proxy.count("tidegate_calls_total", &[("outcome", "client_gone")]) >= hung_up
    });
}
