//! `POST /breaker`: what a person wants of a breaker, read from the query.

use std::time::Duration;

use super::{BreakerOrder, Wanted};
use crate::breaker::Forced;
use crate::config::{nearest, parse_duration};

/// How long a breaker is forced where nobody says.
const FOR: Duration = Duration::from_secs(600);
/// The longest: a forcing is for an incident, the config for what shall stay.
const MOST: Duration = Duration::from_secs(24 * 3600);

const KEYS: [&str; 4] = ["service", "method", "state", "for"];

/// Reads `service=S&method=M&state=open|closed|reset&for=10m`.
pub(super) fn order(query: &str) -> Result<BreakerOrder, String> {
    let mut values: [Option<String>; KEYS.len()] = Default::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(at) = KEYS.iter().position(|known| *known == key) else {
            let near =
                nearest(key, KEYS).map_or(String::new(), |it| format!(": did you mean {it}?"));
            return Err(format!("there is no {key}{near}"));
        };
        if values[at].replace(decode(value)?).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    let [service, method, state, span] = values;
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

/// A value of a query, as HTML forms write it (WHATWG URL, "application/x-www-form-urlencoded").
fn decode(value: &str) -> Result<String, String> {
    let wrong = || format!("{value} is not properly encoded");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(wrong());
                };
                (high << 4 | low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}
