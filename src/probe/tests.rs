#![allow(clippy::unwrap_used)]

mod connects;
mod recognise;
mod servers;

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::*;

/// A server that does the same with every connection; it stops when dropped.
struct Peer {
    at: SocketAddr,
    accepting: AbortHandle,
}

impl Peer {
    async fn start<F, Served>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self {
            at,
            accepting: accepting.abort_handle(),
        }
    }

    /// One that speaks first.
    async fn greeting(with: &'static [u8]) -> Self {
        Self::start(async move |mut stream| {
            let _ = stream.write_all(with).await;
            while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
        })
        .await
    }

    /// One that answers whatever it is sent.
    async fn answering(with: &'static [u8]) -> Self {
        Self::start(async move |mut stream| {
            while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {
                let _ = stream.write_all(with).await;
            }
        })
        .await
    }

    async fn seen(&self, plan: &Plan) -> Seen {
        probe(&self.at.into(), plan).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Patient, so that a busy machine is no silent one.
fn calling() -> Plan {
    Plan {
        answer: Duration::from_secs(10),
        call: true,
        ..Plan::default()
    }
}

/// What is seen once it is as it should be; on a machine that is busy an answer may come too late for one probe.
async fn eventually(addr: &DialAddr, plan: &Plan, is_it: impl Fn(&Seen) -> bool) -> Seen {
    let mut seen = probe(addr, plan).await;
    for _ in 0..10 {
        if is_it(&seen) {
            break;
        }
        seen = probe(addr, plan).await;
    }
    assert!(is_it(&seen), "{seen:?}");
    seen
}
