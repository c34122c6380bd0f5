//! `GET /calls`: which calls a person wants to see, read from the query.

use super::query;
use crate::recorder::{Kind, MOST, Wanted};

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
