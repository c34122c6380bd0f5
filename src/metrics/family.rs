//! Handles that differ in one thing known only when it happens: a reason, a result, an outcome.
//! They are resolved at the first time and found without a lock from then on.

use std::sync::OnceLock;

/// Handles by key, at most as many as there are slots. Keys are few and short, so a walk is
/// quicker than a hash.
pub(super) struct Family<K, H> {
    slots: Box<[OnceLock<(K, H)>]>,
}

impl<K: Copy + Eq, H> Family<K, H> {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The handle of `key`, resolved now if it is new; `None` once the slots are taken by others.
    pub(super) fn get(&self, key: K, resolve: impl Fn() -> H) -> Option<&H> {
        self.slots.iter().find_map(|slot| {
            let (owner, handle) = slot.get_or_init(|| (key, resolve()));
            (*owner == key).then_some(handle)
        })
    }
}
