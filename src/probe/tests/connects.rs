use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use scripted::{OnAccept, Options};
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, sleep};

use super::*;
use crate::upstream::own;

#[tokio::test]
async fn nobody_listening_is_refused_and_only_after_three_tries() {
    let since = Instant::now();
    let seen = probe(&scripted::free().into(), &Plan::default()).await;
    assert!(matches!(seen.connect, Connect::Refused(_)), "{seen:?}");
    assert!(!seen.works());
    assert!(since.elapsed() >= Duration::from_millis(750));
}

#[tokio::test]
async fn a_server_in_the_middle_of_a_restart_is_not_accused() {
    let at = scripted::free();
    let starting = tokio::spawn(async move {
        sleep(Duration::from_millis(600)).await;
        let options = Options::always(scripted::Act::Echo).listen(at);
        options.start().await.unwrap()
    });
    let seen = probe(&at.into(), &Plan::default()).await;
    assert!(seen.works(), "{seen:?}");
    drop(starting.await);
}

#[tokio::test]
async fn a_queue_that_is_full_is_a_timeout_and_is_tried_once() {
    let hole = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    hole.listen(0).unwrap();
    let at = hole.local_addr().unwrap().as_socket().unwrap();
    let _queued: Vec<Socket> = (0..4).map(|_| half_open(at)).collect();
    let limit = Duration::from_millis(300);
    let plan = Plan {
        connect: limit,
        ..calling()
    };
    let since = Instant::now();
    let seen = probe(&at.into(), &plan).await;
    assert_eq!(seen.connect, Connect::TimedOut(limit));
    assert_eq!((&seen.spoke, &seen.call), (&None, &None));
    assert!(since.elapsed() < limit * 10, "it waits once");
}

fn half_open(at: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&at.into());
    socket
}

#[tokio::test]
async fn two_connections_that_end_at_once_are_a_reset_by_whichever_end() {
    for how in [OnAccept::Close, OnAccept::Reset] {
        let options = Options::always(scripted::Act::Echo).on_accept(how);
        let server = options.start().await.unwrap();
        let plan = Plan {
            idle: Some(Duration::from_secs(60)),
            ..calling()
        };
        let is_reset = |seen: &Seen| matches!(seen.connect, Connect::Reset(_));
        eventually(&server.address().into(), &plan, is_reset).await;
    }
}

#[tokio::test]
async fn one_connection_that_ends_at_once_is_none() {
    // On a busy machine the end may be seen too late to count.
    for _ in 0..10 {
        let nth = Arc::new(AtomicU64::new(0));
        let counted = nth.clone();
        let peer = Peer::start(move |mut stream| {
            let first = counted.fetch_add(1, Relaxed) == 0;
            async move { while !first && stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {} }
        })
        .await;
        let seen = peer.seen(&Plan::default()).await;
        assert!(seen.works() && seen.spoke.is_none(), "{seen:?}");
        if nth.load(Relaxed) == 2 {
            return;
        }
    }
    panic!("it was never looked at again");
}

#[tokio::test]
async fn a_connection_that_comes_back_to_tidegate_is_no_word_of_a_server() {
    let _watch = own::Watch::new();
    let peer = Peer::start(async |stream| {
        let _ = own::came_back(stream.peer_addr().unwrap(), stream.local_addr().unwrap());
    })
    .await;
    let is_ours = |seen: &Seen| matches!(&seen.connect, Connect::Ours(why) if why.contains("R16"));
    eventually(&peer.at.into(), &Plan::default(), is_ours).await;
}

#[tokio::test]
async fn what_is_never_dialled_is_not_probed_either() {
    for addr in ["169.254.169.254:80", "0.0.0.0:80", "[::]:80", "127.0.0.1:0"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let seen = probe(&addr.into(), &Plan::default()).await;
        assert!(matches!(seen.connect, Connect::Ours(_)), "{addr} {seen:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_the_system_says_is_kept() {
    // A broadcast address: the kernel refuses it before anything leaves.
    let addr: SocketAddr = "255.255.255.255:80".parse().unwrap();
    let seen = probe(&addr.into(), &Plan::default()).await;
    let expected = "Network is unreachable (os error 101)";
    assert_eq!(seen.connect, Connect::Unreachable(expected.into()));
}

/// A listener whose connections are not taken at first looks far; what counts is how near it is later.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_slow_connect_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let name = socket2::SockAddr::unix(&path).unwrap();
    listener.bind(&name).unwrap();
    listener.listen(0).unwrap();
    let filling = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    filling.connect(&name).unwrap();
    let blocked = Duration::from_millis(400);
    let accepting = tokio::spawn(async move {
        sleep(blocked).await;
        listener.set_nonblocking(true).unwrap();
        let mut accepted = Vec::new();
        loop {
            match listener.accept() {
                Ok((socket, _)) => accepted.push(socket),
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        }
    });
    let seen = probe(&DialAddr::Unix(path.into()), &Plan::default()).await;
    accepting.abort();
    assert!(
        matches!(seen.connect, Connect::Open(took) if took < blocked),
        "{seen:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_that_nobody_listens_on_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let addr = DialAddr::Unix(path.as_path().into());
    let seen = probe(&addr, &Plan::default()).await;
    let words = "there is no such socket on this host";
    assert_eq!(seen.connect, Connect::NoSocket(words.into()));

    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let seen = probe(&addr, &Plan::default()).await;
    assert!(seen.works() && seen.spoke.is_none(), "{seen:?}");

    drop(listener);
    let seen = probe(&addr, &Plan::default()).await;
    let words = "its file is there, and nobody listens on it";
    assert_eq!(seen.connect, Connect::NoSocket(words.into()));

    // In the middle of a restart, its old file still there.
    let starting = tokio::spawn(async move {
        sleep(Duration::from_millis(600)).await;
        std::fs::remove_file(&path).unwrap();
        tokio::net::UnixListener::bind(&path).unwrap()
    });
    let seen = probe(&addr, &Plan::default()).await;
    assert!(seen.works(), "{seen:?}");
    drop(starting.await);
}
