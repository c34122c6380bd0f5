use tokio::time::Instant;

use super::*;
use crate::admin::server::{CONNECTIONS, PATIENCE};

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_let_go() {
    let running = start(Routes::Everything, Scripted::default());
    for begun in ["", "GET /services HTTP/1.1\r\nHost: loc"] {
        let since = Instant::now();
        let mut client = TcpStream::connect(running.addr).await.unwrap();
        client.write_all(begun.as_bytes()).await.unwrap();
        let ended = client.read_to_end(&mut Vec::new()).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert!(since.elapsed() >= PATIENCE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_a_timeout() {
    let running = start(Routes::Everything, Scripted::default());
    let half = "POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(status(&running.ask_raw(half).await), 408);
    assert!(running.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn silent_clients_in_every_place_keep_nobody_out_for_long() {
    let running = start(Routes::Everything, Scripted::default());
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(running.addr).await.unwrap());
    }
    let since = Instant::now();
    let answer = running.ask("GET /healthz", "", "").await;
    assert_eq!(status(&answer), 200);
    assert!(since.elapsed() < 2 * PATIENCE);
}

/// More than any socket's buffers.
const LARGE: usize = 16 << 20;

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_and_holds_up_nobody() {
    let control = Scripted {
        services: || Value::String("x".repeat(LARGE)),
        ..Scripted::default()
    };
    let running = start(Routes::Everything, control);
    let mut deaf = TcpStream::connect(running.addr).await.unwrap();
    let asked = request("GET /services", "Host: localhost\r\n", "");
    deaf.write_all(asked.as_bytes()).await.unwrap();
    deaf.readable().await.unwrap();
    assert_eq!(status(&running.ask("GET /healthz", "", "").await), 200);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut got = Vec::new();
    // Cut with bytes unsent: what was on its way arrives, or a reset.
    let _ = deaf.read_to_end(&mut got).await;
    assert!(got.len() < LARGE, "{}", got.len());
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let running = start(Routes::Everything, Scripted::default());
    let mut client = TcpStream::connect(running.addr).await.unwrap();
    let asked = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = [0; 512];
    assert!(client.read(&mut answer).await.unwrap() > 0);
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
    assert_eq!(client.read(&mut answer).await.unwrap(), 0);
    assert!(TcpStream::connect(running.addr).await.is_err());
}
