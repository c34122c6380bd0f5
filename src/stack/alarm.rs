//! One lazy timer per client connection.
//!
//! Arming and disarming a timer for each call costs more than balancing it. This one is armed when a call needs an
//! earlier ring than the one already set, and is never disarmed: it rings early now and then, somebody looks, and it
//! is set anew. One task, one waker; a connection with several calls in flight has one alarm for each.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// See the module.
#[derive(Clone, Default)]
pub struct Alarm(Arc<Mutex<Option<Armed>>>);

struct Armed {
    sleep: Pin<Box<Sleep>>,
    waker: Waker,
}

impl Alarm {
    /// Ready once `until` has passed; until then the task is woken by then at the latest.
    pub fn poll(&self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let mut slot = self.0.lock();
        let armed = match &mut *slot {
            Some(armed) if armed.sleep.is_elapsed() => {
                if until <= Instant::now() {
                    return Poll::Ready(());
                }
                armed.sleep.as_mut().reset(until);
                armed
            }
            Some(armed) if armed.sleep.deadline() > until => {
                armed.sleep.as_mut().reset(until);
                armed
            }
            // The usual way: it rings early enough, and wakes this task.
            Some(armed) if armed.waker.will_wake(cx.waker()) => return Poll::Pending,
            Some(armed) => armed,
            None => slot.insert(Armed {
                sleep: Box::pin(sleep_until(until)),
                waker: cx.waker().clone(),
            }),
        };
        loop {
            if armed.sleep.as_mut().poll(cx).is_pending() {
                armed.waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            armed.sleep.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_the_time_has_come_whatever_was_set_before() {
        let alarm = Alarm::default();
        let start = Instant::now();
        for (ms, after) in [(100u64, 100u64), (300, 300), (310, 310), (305, 310)] {
            let until = start + Duration::from_millis(ms);
            poll_fn(|cx| alarm.poll(cx, until)).await;
            assert_eq!(start.elapsed().as_millis() as u64, after);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_ring_replaces_a_later_one() {
        let alarm = Alarm::default();
        let start = Instant::now();
        let late = start + Duration::from_secs(3_600);
        poll_fn(|cx| {
            assert!(alarm.poll(cx, late).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| alarm.poll(cx, start + Duration::from_millis(5))).await;
        assert_eq!(start.elapsed(), Duration::from_millis(5));
    }
}
