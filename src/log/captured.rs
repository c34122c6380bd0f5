//! What tests say in the log, as text.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said on this thread meanwhile.
pub(crate) fn captured(events: impl FnOnce()) -> String {
    let text = Text::default();
    let writer = text.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, events);
    let said = text.0.lock();
    String::from_utf8_lossy(&said).into_owned()
}
