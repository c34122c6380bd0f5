//! Durations and sizes as people write them, read and printed.

use std::sync::Arc;
use std::time::Duration;

use serde::Serializer;

#[cfg(test)]
mod tests;

/// Nanoseconds of each unit.
const DURATIONS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZES: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `250ms`, `1.2s`, `1m 30s`; `None` for anything else, a bare number included.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let unit = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let scale = scale_of(&tail[..unit], &DURATIONS)?;
        nanos = nanos.checked_add(scaled(digits, scale)?)?;
        rest = tail[unit..].trim_start();
    }
    Some(Duration::from_nanos(nanos))
}

/// `digits`, with or without a fraction, times `scale`; what is smaller than one is cut off.
fn scaled(digits: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale) / places;
    let total = u128::from(whole.parse::<u64>().ok()?) * u128::from(scale) + part;
    u64::try_from(total).ok()
}

/// Reads `16MiB`, `64 KiB`, `512B` or a bare number of bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "" => 1,
        unit => scale_of(unit, &SIZES)?,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

fn scale_of(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

/// The shortest text that [`parse_duration`] reads back as the same.
pub(super) fn show_duration(duration: Duration) -> String {
    const SECOND: u128 = 1_000_000_000;
    let nanos = duration.as_nanos();
    let millis = nanos / 1_000_000;
    if nanos == 0 {
        "0s".into()
    } else if nanos.is_multiple_of(3600 * SECOND) {
        format!("{}h", nanos / (3600 * SECOND))
    } else if nanos.is_multiple_of(60 * SECOND) {
        format!("{}m", nanos / (60 * SECOND))
    } else if nanos.is_multiple_of(SECOND) {
        format!("{}s", nanos / SECOND)
    } else if nanos > SECOND && nanos.is_multiple_of(1_000_000) {
        let text = format!("{}.{:03}", millis / 1000, millis % 1000);
        format!("{}s", text.trim_end_matches('0'))
    } else if nanos.is_multiple_of(1_000_000) {
        format!("{millis}ms")
    } else if nanos.is_multiple_of(1_000) {
        format!("{}us", nanos / 1_000)
    } else {
        format!("{nanos}ns")
    }
}

/// The shortest text that [`parse_size`] reads back as the same.
pub(super) fn show_size(bytes: u64) -> String {
    SIZES
        .iter()
        .rev()
        .find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale))
        .map_or_else(
            || "0B".into(),
            |(unit, scale)| format!("{}{unit}", bytes / scale),
        )
}

// How the checked types print these.

pub(super) fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*value))
}

pub(super) fn duration_or_off<S: Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => duration(value, serializer),
        None => serializer.serialize_str("off"),
    }
}

pub(super) fn size<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_size(*value as u64))
}

pub(super) fn optional_octal<S: Serializer>(
    value: &Option<u32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(mode) => serializer.collect_str(&format_args!("{mode:04o}")),
        None => serializer.serialize_none(),
    }
}

pub(super) fn text<S: Serializer>(value: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value)
}

pub(super) fn optional_text<S: Serializer>(
    value: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_str(value),
        None => serializer.serialize_none(),
    }
}
