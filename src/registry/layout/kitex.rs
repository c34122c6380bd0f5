//! The layout of `kitex-contrib/registry-etcd`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::registry::{Code, Instance, Skipped};

#[cfg(test)]
mod tests;

/// Where registry-etcd puts its keys unless told otherwise.
pub const PREFIX: &str = "kitex/registry-etcd";
/// Kitex's weight for an instance that names none, or one of 0 or less.
pub const DEFAULT_WEIGHT: u32 = 10;
/// Weights above are cut: they only mean "very much" beside the usual 10.
const MAX_WEIGHT: i64 = 1_000_000;
/// A value is an address, a number and some tags.
const MAX_VALUE: usize = 64 * 1024;

/// The value, as Go writes it: absent fields are null or missing.
#[derive(Deserialize)]
struct Value {
    network: Option<String>,
    address: Option<String>,
    weight: Option<i64>,
    tags: Option<BTreeMap<String, String>>,
}

/// Reads one entry. The value's address counts, as in Kitex's resolver; the key's is only compared.
pub(super) fn read(
    range: &str,
    key: &[u8],
    value: &[u8],
    revision: u64,
) -> Result<Instance, Skipped> {
    let name = String::from_utf8_lossy(key).into_owned();
    let value = parse(value).map_err(|why| Skipped {
        key: name.clone(),
        code: Code::R09,
        why,
    })?;
    let address = value.address.unwrap_or_default();
    let mut notes = Vec::new();
    let rest = name.strip_prefix(range).unwrap_or(&name);
    if let Some(more) = rest
        .strip_suffix(&format!("/{address}"))
        .filter(|more| !more.is_empty())
    {
        let why = format!("it belongs to another service, whose name goes on with {more:?}");
        return Err(Skipped {
            key: name,
            code: Code::R20,
            why,
        });
    }
    if rest != address {
        notes.push(Code::R08);
    }
    if value.weight.is_some_and(|weight| weight <= 0) {
        notes.push(Code::R10);
    }
    Ok(Instance {
        address,
        network: value
            .network
            .filter(|network| !network.is_empty())
            .unwrap_or_else(|| "tcp".to_owned()),
        key: name,
        weight: weight(value.weight),
        tags: value.tags.unwrap_or_default(),
        revision,
        notes,
    })
}

/// Whether it is a value as a registrar writes it.
pub(super) fn names_an_address(value: &[u8]) -> bool {
    let address = parse(value).ok().and_then(|it| it.address);
    address.is_some_and(|it| !it.is_empty())
}

fn parse(value: &[u8]) -> Result<Value, String> {
    if value.len() > MAX_VALUE {
        return Err(format!(
            "its value has {} bytes, more than {MAX_VALUE}",
            value.len()
        ));
    }
    serde_json::from_slice(value).map_err(|error| {
        format!(
            "its value is not the JSON that Kitex writes, such as {{\"network\":\"tcp\",\"address\":\"10.0.3.7:8888\",\
             \"weight\":10,\"tags\":null}}: {error}"
        )
    })
}

fn weight(registered: Option<i64>) -> u32 {
    match registered {
        Some(weight @ 1..) => u32::try_from(weight.min(MAX_WEIGHT)).unwrap_or(DEFAULT_WEIGHT),
        _ => DEFAULT_WEIGHT,
    }
}
