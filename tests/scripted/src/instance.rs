//! An instance whose fault can be switched while it runs, on a thread of its own, so that it does not share the
//! callers' fate when they are many.

use crate::body;
use crate::wire::{Message, Reader, kind};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[cfg(test)]
mod tests;

/// What is wrong with an instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing: each call is echoed after the instance's usual time.
    None,
    /// As after `kill -9`: nobody listens, and its connections are closed, with calls in flight on them or not.
    Down,
    /// It takes connections and calls, and answers none before the fault ends.
    Hang,
    /// This share of its calls, drawn at random, is answered with an exception. 0 to 1.
    Fail(f64),
    /// Every call of this method is answered with an exception, no other.
    FailMethod(&'static str),
    /// Each call takes this long.
    Slow(Duration),
}

/// What an instance has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Calls that arrived.
    pub calls: u64,
    /// Calls answered with an exception.
    pub failed: u64,
    /// Calls that had arrived, and were not answered, when it went [`Fault::Down`].
    pub cut: u64,
    /// Calls whose caller left before the answer.
    pub left: u64,
}

#[derive(Debug, Default)]
struct Tally {
    connections: AtomicU64,
    calls: AtomicU64,
    failed: AtomicU64,
    cut: AtomicU64,
    left: AtomicU64,
}

/// A running instance; it ends when dropped.
#[derive(Debug)]
pub struct Instance {
    address: SocketAddr,
    /// `None` ends it.
    fault: watch::Sender<Option<Fault>>,
    listening: watch::Receiver<bool>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl Instance {
    /// Starts one that answers in `usual` time, and waits until it listens, or does not where it is down.
    pub async fn start(address: SocketAddr, usual: Duration, fault: Fault) -> io::Result<Self> {
        let (fault, faults) = watch::channel(Some(fault));
        let (heard, listening) = watch::channel(fault.borrow().is_some_and(|f| f == Fault::Down));
        let tally = Arc::<Tally>::default();
        let life = Life {
            address,
            usual,
            faults,
            tally: tally.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("instance".into())
            .spawn(move || runtime.block_on(life.live(&heard)))?;
        let instance = Self {
            address,
            fault,
            listening,
            tally,
            thread: Some(thread),
        };
        instance.settled().await;
        Ok(instance)
    }

    /// Where it listens, when it does.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives it another fault, and waits until it has it: a listener is closed or open.
    pub async fn set(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
        self.settled().await;
    }

    /// What it has counted so far.
    pub fn counts(&self) -> Counts {
        let tally = &self.tally;
        Counts {
            connections: tally.connections.load(Relaxed),
            calls: tally.calls.load(Relaxed),
            failed: tally.failed.load(Relaxed),
            cut: tally.cut.load(Relaxed),
            left: tally.left.load(Relaxed),
        }
    }

    /// How many calls have arrived so far.
    pub fn calls(&self) -> u64 {
        self.tally.calls.load(Relaxed)
    }

    async fn settled(&self) {
        let wanted = *self.fault.borrow() != Some(Fault::Down);
        // An error says that its thread has ended: then nothing listens any more.
        let _ = self.listening.clone().wait_for(|is| *is == wanted).await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.fault.send_replace(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What its thread, and each of its connections, knows.
#[derive(Clone)]
struct Life {
    address: SocketAddr,
    usual: Duration,
    faults: watch::Receiver<Option<Fault>>,
    tally: Arc<Tally>,
}

impl Life {
    async fn live(mut self, listening: &watch::Sender<bool>) {
        loop {
            let fault = *self.faults.borrow_and_update();
            match fault {
                None => return,
                Some(Fault::Down) => {
                    listening.send_replace(false);
                    if self.faults.changed().await.is_err() {
                        return;
                    }
                }
                Some(_) => match TcpListener::bind(self.address).await {
                    Ok(listener) => {
                        listening.send_replace(true);
                        self.serve(listener).await;
                    }
                    // Its own connections of before may be on their way out.
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                },
            }
        }
    }

    /// Accepts until it is down or ends; returns when all its connections are closed.
    async fn serve(&self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut faults = self.faults.clone();
        loop {
            tokio::select! {
                () = gone(&mut faults) => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    self.tally.connections.fetch_add(1, Relaxed);
                    connections.spawn(self.clone().connection(stream));
                }
            }
        }
        drop(listener);
        // Each sees the same, counts what it owes, and closes.
        while connections.join_next().await.is_some() {}
    }

    async fn connection(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (read, mut write) = stream.into_split();
        let mut reader = Reader::new(read);
        let mut faults = self.faults.clone();
        loop {
            let call = tokio::select! {
                biased;
                () = gone(&mut faults) => return self.owed(&mut reader).await,
                call = reader.next() => call,
            };
            let Ok(Some(call)) = call else { return };
            self.tally.calls.fetch_add(1, Relaxed);
            let answer = tokio::select! {
                biased;
                () = gone(&mut faults) => {
                    self.tally.cut.fetch_add(1, Relaxed);
                    return;
                }
                answer = self.answer(&call) => answer,
                () = reader.closed() => {
                    self.tally.left.fetch_add(1, Relaxed);
                    return;
                }
            };
            if write.write_all(&answer.encode()).await.is_err() {
                return;
            }
        }
    }

    /// Counts a call that has arrived and was not read yet.
    async fn owed(&self, reader: &mut Reader<OwnedReadHalf>) {
        let next = tokio::time::timeout(Duration::ZERO, reader.next()).await;
        if matches!(next, Ok(Ok(Some(_)))) {
            self.tally.calls.fetch_add(1, Relaxed);
            self.tally.cut.fetch_add(1, Relaxed);
        }
    }

    async fn answer(&mut self, call: &Message) -> Message {
        let fault = (*self.faults.borrow()).unwrap_or(Fault::None);
        let fails = match fault {
            Fault::Hang => {
                // An error says that it ends: the connection sees that first.
                let _ = self.faults.wait_for(|f| *f != Some(Fault::Hang)).await;
                false
            }
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                false
            }
            _ => {
                tokio::time::sleep(self.usual).await;
                match fault {
                    Fault::Fail(share) => fastrand::f64() < share,
                    Fault::FailMethod(method) => call.method == method,
                    _ => false,
                }
            }
        };
        match body::echo(&call.body) {
            Ok(echo) if !fails => call.answer(kind::REPLY, echo),
            _ => {
                self.tally.failed.fetch_add(1, Relaxed);
                call.answer(kind::EXCEPTION, body::exception(6, "scripted failure"))
            }
        }
    }
}

/// Waits until the instance goes down, or ends.
async fn gone(faults: &mut watch::Receiver<Option<Fault>>) {
    let _ = faults
        .wait_for(|fault| matches!(fault, None | Some(Fault::Down)))
        .await;
}
