//! `GET /calls`: which calls a person wants to see, read from the query, and the answer, which is written service by
//! service: what is kept is bounded, but its text is several times as large.

use bytes::Bytes;
use futures_util::stream::try_unfold;
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use super::answer::{Answer, Face, broken, text, unavailable, with_body};
use super::server::PATIENCE;
use super::{Services, query};
use crate::recorder::{Kind, MOST, Wanted};

/// What is told to whoever would wait for too long.
const TAKEN: &str =
    "the calls of all services are being read by somebody else: try again, or name a service";

const KEYS: [&str; 3] = ["service", "kind", "limit"];

/// Reads `service=S&kind=failed|slowest&limit=N`.
pub(super) fn wanted(query: &str) -> Result<Wanted, String> {
    let [service, kind, limit] = query::read(query, KEYS)?;
    Ok(Wanted {
        service: service.filter(|it| !it.is_empty()),
        kind: match kind.as_deref() {
            None => None,
            Some("failed") => Some(Kind::Failed),
            Some("slowest") => Some(Kind::Slowest),
            Some(other) => return Err(format!("there is no kind={other}: say failed or slowest")),
        },
        limit: match limit {
            None => MOST,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| format!("limit={text} is no number from 1 to {MOST}"))?,
        },
    })
}

impl Face {
    /// The calls of all services are shown to one at a time.
    pub(super) async fn calls(&self, wanted: Wanted) -> Answer {
        let place = match &wanted.service {
            Some(_) => None,
            None => match timeout(PATIENCE, self.whole.clone().acquire_owned()).await {
                Ok(place) => place.ok(),
                Err(_) => return unavailable(TAKEN),
            },
        };
        let control = self.control.clone();
        match spawn_blocking(move || control.calls(&wanted)).await {
            Ok(Ok(services)) => with_body(
                StatusCode::OK,
                "application/json",
                body(services, place).boxed_unsync(),
            ),
            Ok(Err(why)) => text(StatusCode::NOT_FOUND, &why),
            Err(error) => broken(&error),
        }
    }
}

/// The answer, of which no more than a service's calls are in memory, and the next ones' only once these were sent. It
/// keeps the place until its end, or its reader's.
fn body(
    services: Services,
    place: Option<OwnedSemaphorePermit>,
) -> impl Body<Data = Bytes, Error = JoinError> + Send + 'static {
    let text = Text {
        services,
        is_begun: false,
        is_ended: false,
    };
    StreamBody::new(try_unfold((text, place), |(mut text, place)| async {
        let made = spawn_blocking(move || (text.next(), text)).await;
        let (piece, text) = made?;
        Ok(piece.map(|it| (Frame::data(Bytes::from(it)), (text, place))))
    }))
}

/// The pieces of the answer's text. Indented, for people at a terminal.
struct Text {
    services: Services,
    is_begun: bool,
    is_ended: bool,
}

impl Iterator for Text {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.is_ended {
            return None;
        }
        let begun = std::mem::replace(&mut self.is_begun, true);
        let begin = if begun { "," } else { "{\n  \"services\": [" };
        let Some(service) = self.services.next() else {
            self.is_ended = true;
            let end = if begun { "\n  ]\n}\n" } else { "]\n}\n" };
            return Some(format!("{}{end}", if begun { "" } else { begin }));
        };
        // No line ends within a text of JSON.
        let service = format!("\n{service:#}").replace('\n', "\n    ");
        Some(format!("{begin}{service}"))
    }
}
