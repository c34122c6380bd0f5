//! How many connections there may be at a time, of all probes together.

use tokio::sync::{Semaphore, SemaphorePermit};

/// A number of connections. A probe never holds a slot while it waits for another one for the same work, so that even
/// one slot lets all of them go on.
pub struct Slots(Semaphore);

impl Slots {
    /// So many.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        Self(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)))
    }

    /// Waits for one, in turn. `None` never comes: nobody closes them.
    pub(super) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}
