//! The threads that carry calls.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// One worker is a current-thread runtime on a thread of its own, which is cheaper; more are one multi-thread runtime.
pub(super) enum Workers {
    One {
        handle: Handle,
        _stop: oneshot::Sender<()>,
    },
    Many(Option<Runtime>),
}

impl Workers {
    /// Starts `n` threads; 0: one per core.
    pub(super) fn start(n: usize) -> io::Result<Self> {
        if n == 1 {
            return Self::one();
        }
        let mut builder = Builder::new_multi_thread();
        if n > 0 {
            builder.worker_threads(n);
        }
        Ok(Self::Many(Some(
            builder
                .thread_name("tidegate-worker")
                .enable_all()
                .build()?,
        )))
    }

    fn one() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("tidegate-worker".into())
            .spawn(move || {
                // An error says that the other end is gone: that is the sign to stop.
                runtime.block_on(async { stopped.await.unwrap_or_default() });
                runtime.shutdown_background();
            })?;
        Ok(Self::One {
            handle,
            _stop: stop,
        })
    }

    /// Where to spawn what carries calls.
    pub(super) fn handle(&self) -> &Handle {
        match self {
            Self::One { handle, .. } => handle,
            Self::Many(Some(runtime)) => runtime.handle(),
            Self::Many(None) => unreachable!("the runtime is taken only when this is dropped"),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Self::Many(runtime) = self {
            // Not on this thread, which has a runtime of its own.
            if let Some(runtime) = runtime.take() {
                runtime.shutdown_background();
            }
        }
    }
}
