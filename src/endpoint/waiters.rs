//! Calls of one service that wait for a place: one line, and only its first looks for one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Calls of one service that wait for a place.
#[derive(Default)]
pub struct Waiters {
    /// How many wait, in line or for somebody else's connect.
    pub count: AtomicUsize,
    line: Mutex<VecDeque<Arc<Notify>>>,
}

impl Waiters {
    /// A place, or an endpoint, became free: whoever is first looks.
    #[inline]
    pub fn ring(&self) {
        if self.count.load(Relaxed) > 0 {
            self.wake_first();
        }
    }

    #[cold]
    fn wake_first(&self) {
        if let Some(first) = self.line.lock().front() {
            first.notify_one();
        }
    }

    /// The end of the line.
    pub fn line_up(&self) -> InLine<'_> {
        let bell = Arc::new(Notify::new());
        self.line.lock().push_back(bell.clone());
        // Nobody else may be there to be told of a place that is free already.
        self.wake_first();
        InLine {
            waiters: self,
            bell,
        }
    }
}

/// A place in the line; left when dropped, and then the next one looks.
pub struct InLine<'a> {
    waiters: &'a Waiters,
    bell: Arc<Notify>,
}

impl InLine<'_> {
    /// Returns when this is the first in line and it is worth looking.
    pub async fn turn(&self) {
        self.bell.notified().await;
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut line = self.waiters.line.lock();
        line.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
        if let Some(first) = line.front() {
            first.notify_one();
        }
    }
}
