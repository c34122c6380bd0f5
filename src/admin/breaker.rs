//! `POST /breaker`: what a person wants of a breaker, read from the query.

use std::time::Duration;

use super::{BreakerOrder, Wanted, query};
use crate::breaker::Forced;
use crate::config::parse_duration;

/// How long a breaker is forced where nobody says.
const FOR: Duration = Duration::from_secs(600);
/// The longest: a forcing is for an incident, the config for what shall stay.
const MOST: Duration = Duration::from_secs(24 * 3600);

const KEYS: [&str; 4] = ["service", "method", "state", "for"];

/// Reads `service=S&method=M&state=open|closed|reset&for=10m`.
pub(super) fn order(query: &str) -> Result<BreakerOrder, String> {
    let [service, method, state, span] = query::read(query, KEYS)?;
    Ok(BreakerOrder {
        service: service
            .filter(|it| !it.is_empty())
            .ok_or("say which service: service=NAME")?,
        method: method.filter(|it| !it.is_empty()),
        wanted: wanted(state.as_deref(), span.as_deref())?,
    })
}

fn wanted(state: Option<&str>, span: Option<&str>) -> Result<Wanted, String> {
    let to = match state {
        Some("open") => Forced::Open,
        Some("closed") => Forced::Closed,
        Some("reset") if span.is_some() => {
            return Err("a reset is at once: it takes no for".to_owned());
        }
        Some("reset") => return Ok(Wanted::Reset),
        _ => return Err("say what it shall be: state=open, closed or reset".to_owned()),
    };
    let span = match span {
        None => FOR,
        Some(text) => parse_duration(text)
            .filter(|span| !span.is_zero() && *span <= MOST)
            .ok_or_else(|| format!("for={text} is no time up to 24h, such as 90s or 10m"))?,
    };
    Ok(Wanted::Forced(to, span))
}
