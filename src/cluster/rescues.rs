//! While every endpoint is down that some calls may go to, one of these calls dials at a time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::endpoint::LineId;

/// What the one call holds that dials: one for all calls that may go to the same endpoints, so that no lane waits for
/// another's black hole.
#[derive(Default)]
pub struct Rescues(Mutex<HashMap<LineId, Weak<tokio::sync::Mutex<()>>>>);

impl Rescues {
    /// The one of these calls; it is there while anybody has it.
    pub fn of(&self, line: LineId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock();
        if let Some(held) = all.get(&line).and_then(Weak::upgrade) {
            return held;
        }
        all.retain(|_, held| held.strong_count() > 0);
        let new = Arc::default();
        all.insert(line, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_one_turn_and_what_nobody_holds_is_forgotten() {
        let rescues = Rescues::default();
        let (one, other) = (rescues.of(0), rescues.of(7));
        let held = one.try_lock();
        assert!(rescues.of(0).try_lock().is_err());
        assert!(other.try_lock().is_ok());
        drop((held, other));
        drop(one);
        let _new = rescues.of(8);
        assert_eq!(rescues.0.lock().len(), 1);
    }
}
