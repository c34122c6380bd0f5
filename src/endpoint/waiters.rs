//! Calls of one service that wait for a place: one line for each group of endpoints that calls wait for, and only the
//! first of each line looks for a place.
//!
//! A place that became free is of use to one line, and which one is not asked: the first of every line looks, and there
//! are few lines. So those who wait for a place in one lane neither hold up those of another nor are held up by them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// The name of a line: 0 where a service has no lanes.
pub type LineId = u64;

/// Calls of one service that wait.
#[derive(Default)]
pub struct Waiters {
    /// How many wait, in line or for somebody else's connect.
    pub count: AtomicUsize,
    lines: Mutex<Vec<Line>>,
}

/// Those who wait for the same endpoints.
#[derive(Default)]
struct Line {
    id: LineId,
    /// How many wait, in line or not.
    waiting: usize,
    bells: VecDeque<Arc<Notify>>,
}

impl Line {
    fn wake_first(&self) {
        if let Some(first) = self.bells.front() {
            first.notify_one();
        }
    }
}

impl Waiters {
    /// A place, or an endpoint, became free: whoever is first in a line looks.
    #[inline]
    pub fn ring(&self) {
        if self.count.load(Relaxed) > 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.lines.lock().iter().for_each(Line::wake_first);
    }

    /// Whether anybody stands in this line.
    pub fn has_line(&self, id: LineId) -> bool {
        let lines = self.lines.lock();
        lines
            .iter()
            .any(|line| line.id == id && !line.bells.is_empty())
    }

    /// One more waits for what this line waits for; `None` if `limit` do already.
    pub fn enter(&self, id: LineId, limit: usize) -> Option<Waiting<'_>> {
        self.with(id, |line| (line.waiting < limit).then(|| line.waiting += 1))?;
        self.count.fetch_add(1, Relaxed);
        Some(Waiting { waiters: self, id })
    }

    /// A line is there while anybody waits for what it waits for.
    fn with<T>(&self, id: LineId, what: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lines.lock();
        let at = lines.iter().position(|line| line.id == id);
        let at = at.unwrap_or_else(|| {
            let bells = VecDeque::new();
            lines.push(Line {
                id,
                waiting: 0,
                bells,
            });
            lines.len() - 1
        });
        let told = what(&mut lines[at]);
        if lines[at].waiting == 0 {
            lines.swap_remove(at);
        }
        told
    }
}

/// One that waits, until it is dropped.
pub struct Waiting<'a> {
    waiters: &'a Waiters,
    id: LineId,
}

impl Waiting<'_> {
    /// What it waits for.
    pub fn id(&self) -> LineId {
        self.id
    }

    /// The end of its line.
    pub fn line_up(&self) -> InLine<'_> {
        let bell = Arc::new(Notify::new());
        self.waiters.with(self.id, |line| {
            line.bells.push_back(bell.clone());
            // Nobody else may be there to be told of a place that is free already.
            line.wake_first();
        });
        InLine {
            waiting: self,
            bell,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Relaxed);
        self.waiters.with(self.id, |line| line.waiting -= 1);
    }
}

/// A place in the line; left when dropped, and then the next one looks.
pub struct InLine<'a> {
    waiting: &'a Waiting<'a>,
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
        self.waiting.waiters.with(self.waiting.id, |line| {
            line.bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            line.wake_first();
        });
    }
}
