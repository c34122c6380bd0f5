//! The query of a request: `service=S&method=M`.

use crate::config::nearest;

/// The values of these keys, each at most once.
///
/// # Errors
///
/// A key that is none of these, or is there twice; a value that is not properly encoded.
pub(super) fn read<const N: usize>(
    query: &str,
    keys: [&'static str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(at) = keys.iter().position(|known| *known == key) else {
            let near =
                nearest(key, keys).map_or(String::new(), |it| format!(": did you mean {it}?"));
            return Err(format!("there is no {key}{near}"));
        };
        if values[at].replace(decode(value)?).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    Ok(values)
}

/// Writes a value so that [`read`] reads it back.
pub(crate) fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_is_written_is_read_back() {
        for value in ["shop.item", "[::1]:8888", "a&b=c d+e%", "服务"] {
            let query = format!("service={}", encode(value));
            assert_eq!(read(&query, ["service"]).unwrap(), [Some(value.to_owned())]);
        }
    }
}
