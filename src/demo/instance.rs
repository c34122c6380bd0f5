//! Instances of the demo's service: those that answer each call with their own address, and one that never does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::wire::{Frames, reply};
use crate::frame::Side;

/// What an instance does with a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Answers after so long.
    Answers(Duration),
    /// Takes it, and says nothing for ever.
    Silent,
}

/// Serves until dropped.
pub(super) async fn serve(listener: TcpListener, manner: Manner, received: Arc<AtomicU64>) {
    let Ok(own) = listener.local_addr() else {
        return;
    };
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(open.spawn(converse(stream, own, manner, received.clone()))),
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// One connection; one call after another, as any Thrift server does.
async fn converse(
    mut stream: TcpStream,
    own: SocketAddr,
    manner: Manner,
    received: Arc<AtomicU64>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut frames = Frames::new(Side::Calls);
    while let Some((head, call)) = frames.next(&mut stream).await? {
        received.fetch_add(1, Relaxed);
        if let Manner::Answers(after) = manner {
            if !after.is_zero() {
                sleep(after).await;
            }
            stream
                .write_all(&reply(&head, &call, &own.to_string()))
                .await?;
        }
    }
    Ok(())
}
