//! What listens where a registration points to: real servers where this machine has them, else what they say first.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use scripted::{Act, Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, timeout_at};

use crate::lab::Running;

/// A Thrift server that answers everything.
pub async fn thrift(at: &str) -> Server {
    let options = Options::always(Act::Echo).listen(at.parse().unwrap());
    options.start().await.unwrap()
}

/// A server that greets each connection with these bytes.
pub async fn greets(at: &str, greeting: &'static [u8]) {
    serve(at, move |mut stream| async move {
        let _ = stream.write_all(greeting).await;
        sleep(Duration::from_secs(20)).await;
    })
    .await;
}

/// A server that answers the first bytes it gets with these, and closes.
pub async fn answers(at: &str, answer: &'static [u8]) {
    serve(at, move |mut stream| async move {
        let mut some = [0; 512];
        if stream.read(&mut some).await.is_ok_and(|n| n > 0) {
            let _ = stream.write_all(answer).await;
        }
    })
    .await;
}

/// A resolver that knows no name.
pub async fn knows_no_name(at: &str) {
    let socket = UdpSocket::bind(at).await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((n, whom)) = socket.recv_from(&mut query).await {
            // The header; then the question, which is answered as it is: its labels, their end, type and class.
            let Some(name) = query[12..n].iter().position(|byte| *byte == 0) else {
                continue;
            };
            let answer = &mut query[..(12 + name + 5).min(n)];
            // A response, recursion available, NXDOMAIN; one question and nothing else.
            answer[2..12].copy_from_slice(&[0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]);
            let _ = socket.send_to(answer, whom).await;
        }
    });
}

/// A server that closes what has been idle for so long, as old ones do.
pub async fn closes_idle(at: &str, after: Duration) {
    serve(at, move |mut stream| async move {
        let mut some = [0; 512];
        while let Ok(Ok(n)) = timeout_at(Instant::now() + after, stream.read(&mut some)).await {
            if n == 0 {
                break;
            }
        }
    })
    .await;
}

/// A server that closes on the first byte that it cannot use.
pub async fn closes_on_noise(at: &str) {
    serve(at, move |mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
}

async fn serve<F, S>(at: &str, one: F)
where
    F: Fn(tokio::net::TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(at).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(one(stream));
        }
    });
}

/// A program that listens here; waited for until it does.
pub async fn program(at: &str, program: &str, args: &[&str]) -> Running {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    let running = Running(child.unwrap_or_else(|error| panic!("{program} is needed: {error}")));
    let at: SocketAddr = at.parse().unwrap();
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(at).await.is_ok() {
            return running;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{program} does not listen on {at}");
}
