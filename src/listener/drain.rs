//! The end of a listener.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::sync::Notify;

/// The end of a listener: first its connections are told (`close`), then what is left is cut (`cut`).
#[derive(Default)]
pub struct Drain {
    state: Arc<DrainState>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

#[derive(Default)]
struct DrainState {
    closing: AtomicBool,
    cutting: AtomicBool,
    bell: Notify,
}

impl Clone for Drain {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            wait: None,
        }
    }
}

impl Drain {
    /// No more connections; those that are open end after the call under way.
    pub fn close(&self) {
        self.state.closing.store(true, Relaxed);
        self.state.bell.notify_waiters();
    }

    /// Whatever is still open is cut.
    pub fn cut_now(&self) {
        self.state.cutting.store(true, Relaxed);
        self.close();
    }

    /// Whether the door is closed.
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.state.closing.load(Relaxed)
    }

    /// Whether the door is closed; if not, the task is woken when it is. Registers the task once: it costs nothing
    /// afterwards, so a `Drain` belongs to one task.
    pub fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() && !self.is_closing() {
            let state = self.state.clone();
            let mut wait: Pin<Box<dyn Future<Output = ()> + Send + Sync>> =
                Box::pin(async move { state.bell.notified().await });
            let _ = wait.as_mut().poll(cx);
            self.wait = Some(wait);
        }
        if self.is_closing() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Ends when the door is closed.
    pub async fn closing(&mut self) {
        std::future::poll_fn(|cx| self.poll_closing(cx)).await;
    }

    /// Ends when what is still open is to be cut.
    pub async fn cut(&self) {
        loop {
            let bell = self.state.bell.notified();
            if self.state.cutting.load(Relaxed) {
                return;
            }
            bell.await;
        }
    }
}
