#![allow(clippy::unwrap_used)]
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::registry::DialAddr;

async fn pair() -> (Box<Conn>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = listener.local_addr().unwrap().into();
    let (ours, theirs) = tokio::join!(
        connect::connect(&dialled, Duration::from_secs(5)),
        listener.accept()
    );
    (ours.unwrap(), theirs.unwrap().0)
}

const IDLE: Duration = Duration::from_secs(4);

#[tokio::test]
async fn the_newest_connection_is_taken_first() {
    let pool = Pool::default();
    let (mut a, _keep_a) = pair().await;
    let (mut b, _keep_b) = pair().await;
    (a.served, b.served) = (1, 2);
    let now = Instant::now();
    pool.put(a, now, 64);
    pool.put(b, now, 64);
    assert_eq!(pool.len(), 2);
    assert_eq!(pool.take(now, IDLE).conn.unwrap().served, 2);
    assert_eq!(pool.take(now, IDLE).conn.unwrap().served, 1);
    assert!(pool.take(now, IDLE).conn.is_none() && pool.is_empty());
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_or_spoke_on_is_found_dead_before_reuse() {
    for speak in [false, true] {
        let pool = Pool::default();
        let (conn, mut peer) = pair().await;
        let now = Instant::now();
        pool.put(conn, now, 64);
        if speak {
            peer.write_all(b"x").await.unwrap();
        } else {
            drop(peer);
        }
        let later = now + FRESH;
        for _ in 0..200 {
            if platform::peek_idle(&pool.idle.lock()[0].stream) != Idle::Quiet {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let taken = pool.take(later, IDLE);
        assert!(taken.conn.is_none());
        assert_eq!(taken.dead, 1);
    }
}

#[tokio::test]
async fn after_one_connection_died_the_others_are_looked_at_however_fresh() {
    let pool = Pool::default();
    let (conn, peer) = pair().await;
    let now = Instant::now();
    pool.put(conn, now, 64);
    drop(peer);
    for _ in 0..200 {
        if platform::peek_idle(&pool.idle.lock()[0].stream) != Idle::Quiet {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pool.doubt(now);
    let taken = pool.take(now, IDLE);
    assert!(taken.conn.is_none() && taken.dead == 1);
}

#[tokio::test]
async fn what_the_runtime_saw_come_in_is_no_usable_connection_however_fresh() {
    let pool = Pool::default();
    let (conn, peer) = pair().await;
    drop(peer);
    // The runtime hears of it once it turns.
    std::future::poll_fn(|cx| conn.stream.poll_read_ready(cx))
        .await
        .unwrap();
    let now = Instant::now();
    pool.put(conn, now, 64);
    let taken = pool.take(now, IDLE);
    assert!(taken.conn.is_none() && taken.dead == 1);
}

#[tokio::test]
async fn no_more_than_max_idle_are_kept_and_none_with_bytes_left_over() {
    let pool = Pool::default();
    let now = Instant::now();
    let (a, _keep_a) = pair().await;
    let (b, _keep_b) = pair().await;
    let (mut c, _keep_c) = pair().await;
    pool.put(a, now, 1);
    pool.put(b, now, 1);
    assert_eq!(pool.len(), 1);
    let mut buf = Buf::take();
    buf.extend_from_slice(b"left over");
    c.buf = Some(buf);
    pool.put(c, now, 64);
    assert_eq!(pool.len(), 1);
}

#[tokio::test]
async fn a_connection_idle_for_longer_than_idle_timeout_is_swept_and_never_taken() {
    let pool = Pool::default();
    let now = Instant::now();
    let (a, _keep_a) = pair().await;
    let (b, _keep_b) = pair().await;
    pool.put(a, now, 64);
    pool.put(b, now + Duration::from_secs(3), 64);
    // Our own clock is no news of the peer.
    assert!(pool.sweep(now + IDLE, IDLE).is_none());
    assert_eq!(pool.len(), 1);
    assert!(pool.take(now + Duration::from_secs(8), IDLE).conn.is_none());
}

#[tokio::test]
async fn what_the_peer_closed_meanwhile_is_swept_and_its_age_told() {
    let (pool, now) = (Pool::default(), Instant::now());
    let (a, a_peer) = pair().await;
    let (b, _keep_b) = pair().await;
    let readable = async |conn: &Conn| {
        std::future::poll_fn(|cx| conn.stream.poll_read_ready(cx))
            .await
            .unwrap();
    };
    drop(a_peer);
    readable(&a).await;
    pool.put(a, now, 64);
    pool.put(b, now, 64);
    let age = Duration::from_secs(2);
    let swept = pool.sweep(now + age, IDLE).unwrap();
    assert_eq!((swept.dead, swept.idle), (1, Closed::one(age)));
    assert_eq!(pool.len(), 1);
    assert!(pool.sweep(now + age, IDLE).is_none());
}

/// An hour of one caller's calls, this far apart, to a server that closes a connection after 5 s without one. How many
/// connections were reused, and how many of those the server had closed.
async fn an_hour(every: Duration) -> (usize, usize) {
    let (pool, start) = (Pool::default(), Instant::now());
    let (mut now, mut peer, mut reused, mut dead) = (start, None, 0, 0);
    while now < start + Duration::from_secs(3600) {
        if every >= Duration::from_secs(5) {
            peer = None; // closed meanwhile
        }
        let conn = match pool.take(now, IDLE).conn {
            Some(mut conn) => {
                reused += 1;
                dead +=
                    usize::from(conn.stream.write_all(b"call").await.is_err() || peer.is_none());
                conn
            }
            None => {
                let (conn, theirs) = pair().await;
                peer = Some(theirs);
                conn
            }
        };
        pool.put(conn, now, 64);
        now += every;
    }
    (reused, dead)
}

#[tokio::test]
async fn an_hour_of_calls_meets_no_connection_that_a_server_closed_after_5_s() {
    assert_eq!(an_hour(Duration::from_secs(6)).await, (0, 0));
    assert_eq!(an_hour(Duration::from_secs(5)).await, (0, 0));
    assert_eq!(an_hour(Duration::from_secs(4)).await, (0, 0));
    let calls = 3600 / 3;
    assert_eq!(an_hour(Duration::from_secs(3)).await, (calls - 1, 0));
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let error = connect::connect(&scripted::free().into(), Duration::from_secs(5))
        .await
        .err()
        .unwrap();
    assert_eq!(error.outcome, crate::outcome::Outcome::ConnectRefused);
    assert_eq!(error.label(), "refused");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn bytes_that_the_peers_host_acknowledged_have_arrived() {
    let (mut conn, _peer) = pair().await;
    assert_eq!(conn.delivery(0), Delivery::Unsent);
    conn.stream.write_all(b"hello").await.unwrap();
    for _ in 0..200 {
        if conn.delivery(0) == Delivery::Arrived {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "a healthy loopback peer acknowledged nothing: {:?}",
        conn.delivery(0)
    );
}

#[tokio::test]
async fn a_metadata_or_unspecified_address_is_never_dialled() {
    for addr in [
        "169.254.169.254:80",
        "[::ffff:100.100.100.200]:80",
        "0.0.0.0:80",
        "[::]:80",
        "127.0.0.1:0",
    ] {
        let error = connect::connect(
            &DialAddr::Tcp(addr.parse().unwrap()),
            Duration::from_secs(5),
        )
        .await
        .err()
        .unwrap();
        assert_eq!(error.label(), "forbidden", "{addr}");
    }
}
