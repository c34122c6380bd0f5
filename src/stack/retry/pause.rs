//! The time before a further try.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

pin_project! {
    /// See the module. None of it is allocated, and where there is no pause there is no timer.
    pub struct Pause {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Pause {
    /// As long as this.
    pub(super) fn of(pause: Duration) -> Self {
        Self {
            sleep: (!pause.is_zero()).then(|| sleep(pause)),
        }
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Ready(()),
        }
    }
}
