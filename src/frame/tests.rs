#![allow(clippy::unwrap_used)]

mod heads;
mod limits;
mod replies;
mod walks;
mod writes;

use super::*;

/// A strict Thrift message without a length in front.
fn message(kind: u8, name: &str, seqid: i32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 0x01, 0, kind];
    out.extend((name.len() as u32).to_be_bytes());
    out.extend(name.as_bytes());
    out.extend(seqid.to_be_bytes());
    out.extend(body);
    out
}

/// The bytes behind their length.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// A payload inside a TTHeader with these flags and info blocks, which are padded here.
fn tt(flags: u16, seqid: i32, infos: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = [&[0, 0], infos].concat();
    header.resize(header.len().next_multiple_of(4), 0);
    let mut out = vec![0x10, 0x00];
    out.extend(flags.to_be_bytes());
    out.extend(seqid.to_be_bytes());
    out.extend(((header.len() / 4) as u16).to_be_bytes());
    out.extend(header);
    out.extend(payload);
    framed(&out)
}

/// One block of string infos.
fn strings(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![info::STRINGS];
    out.extend((pairs.len() as u16).to_be_bytes());
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend((text.len() as u16).to_be_bytes());
        out.extend(text.as_bytes());
    }
    out
}

/// One block of int infos.
fn ints(pairs: &[(u16, &str)]) -> Vec<u8> {
    let mut out = vec![info::INTS];
    out.extend((pairs.len() as u16).to_be_bytes());
    for (key, value) in pairs {
        out.extend(key.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value.as_bytes());
    }
    out
}

/// The one frame that `bytes` are.
fn whole(bytes: &[u8], side: Side) -> Head {
    match Decoder::new(Limits::default(), side).decode(bytes) {
        Ok(Progress::Whole { head, len }) if len == bytes.len() => head,
        other => panic!("not one whole frame: {other:?}"),
    }
}

/// Why `bytes` are no frame.
fn refused(bytes: &[u8]) -> BadFrame {
    Decoder::new(Limits::default(), Side::Calls)
        .decode(bytes)
        .unwrap_err()
}

const STOP: &[u8] = &[0];
