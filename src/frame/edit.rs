//! The only changes to a forwarded frame: what is left of the caller's time, one string info more, sequence ids.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::info::STRINGS;
use super::outer::TT_SIZED;
use super::{Head, Info, Timeout, TtHead};

/// Decimal digits to be written over those of a [`Timeout`]; they have its width.
pub type Digits = SmallVec<[u8; 16]>;

/// What is left of a caller's time, in whole milliseconds and never 0, with zeros in front to the width of what it
/// replaces. `None` where it does not fit, which takes more time left than the caller gave.
pub fn with_timeout(timeout: &Timeout, left: Duration) -> Option<Digits> {
    let mut ms = left.as_millis().max(1);
    let mut digits = SmallVec::from_elem(b'0', timeout.span.len());
    for digit in digits.iter_mut().rev() {
        *digit += (ms % 10) as u8;
        ms /= 10;
    }
    (ms == 0).then_some(digits)
}

/// Writes both sequence ids of a frame anew, in place. `frame` holds at least its head.
pub fn with_seqid(head: &mut Head, frame: &mut [u8], seqid: i32, tt_seqid: i32) {
    set(frame, head.name.end(), &seqid.to_be_bytes());
    head.seqid = seqid;
    if let Some(tt) = &mut head.tt {
        set(frame, TT_SEQID, &tt_seqid.to_be_bytes());
        tt.seqid = tt_seqid;
    }
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Offsets in a TTHeader.
const TT_SEQID: usize = 8;
const TT_WORDS: usize = 12;

/// A copy of `frame` (or of its beginning, the header being whole) with the string info `key` = `value` added to its
/// TTHeader, and nothing else changed but the lengths and the padding. An unchanged copy if there is no TTHeader or
/// no room in it. An info of the same key that is already there is overruled, not removed.
pub fn with_string(head: &Head, frame: &[u8], key: &str, value: &str) -> Bytes {
    let added = head
        .tt
        .and_then(|tt| add(head, &tt, frame, key.as_bytes(), value.as_bytes()));
    added.unwrap_or_else(|| Bytes::copy_from_slice(frame))
}

/// Where an info block of strings lies in a header.
struct Place {
    /// Offset of its count, and the count.
    count: Option<(usize, u16)>,
    /// Where a pair can be added to it; or, without a block, where a new one can begin.
    end: usize,
    /// Where the last info of the header ends; behind it are only padding and empty blocks.
    used: usize,
}

/// The last block of strings that has room; by its last pair an older value of the same key is overruled.
fn place(head: &Head, tt: &TtHead, frame: &[u8]) -> Option<Place> {
    let mut infos = head.infos(frame);
    let (mut used, mut strings) = (tt.header.at(), None);
    let mut begun: Option<(usize, u16)> = None;
    loop {
        let before = infos.block();
        let Some(info) = infos.next() else { break };
        let info = info.ok()?;
        let (block, left) = infos.block();
        if block == STRINGS {
            if before.1 == 0 {
                let Info::Str(first, _) = info else {
                    return None;
                };
                begun = Some((first.at() - 4, left + 1));
            }
            strings = begun.map(|count| (count, infos.at()));
        }
        used = infos.at();
    }
    Some(match strings {
        Some((count, end)) if count.1 < u16::MAX => Place {
            count: Some(count),
            end,
            used,
        },
        _ => Place {
            count: None,
            end: used,
            used,
        },
    })
}

fn add(head: &Head, tt: &TtHead, frame: &[u8], key: &[u8], value: &[u8]) -> Option<Bytes> {
    let payload = tt.header.end();
    let place = place(head, tt, frame.get(..payload)?)?;
    let (key_len, value_len) = (
        u16::try_from(key.len()).ok()?,
        u16::try_from(value.len()).ok()?,
    );
    let pair = 4 + key.len() + value.len() + if place.count.is_none() { 3 } else { 0 };
    let size = place.used + pair - TT_SIZED;
    let words = u16::try_from(size.div_ceil(4)).ok()?;
    let new_payload = TT_SIZED + usize::from(words) * 4;
    let old_len = u32::from_be_bytes(*frame.first_chunk()?);
    let len = (u64::from(old_len) + new_payload as u64).checked_sub(payload as u64)?;

    let mut out = BytesMut::with_capacity(frame.len() + pair + 4);
    out.put_slice(&frame[..place.end]);
    if place.count.is_none() {
        out.put_slice(&[STRINGS, 0, 1]);
    }
    out.put_u16(key_len);
    out.put_slice(key);
    out.put_u16(value_len);
    out.put_slice(value);
    out.put_slice(&frame[place.end..place.used]);
    out.put_bytes(0, new_payload - out.len());
    out.put_slice(&frame[payload..]);

    if let Some((at, count)) = place.count {
        set(&mut out, at, &(count + 1).to_be_bytes());
    }
    set(&mut out, 0, &u32::try_from(len).ok()?.to_be_bytes());
    set(&mut out, TT_WORDS, &words.to_be_bytes());
    Some(out.freeze())
}
