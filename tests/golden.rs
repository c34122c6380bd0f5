//! The codec against captures of real Kitex clients and servers: whole, split, changed, answered and mutated.
#![allow(clippy::unwrap_used)]

#[path = "golden/answers.rs"]
mod answers;
#[path = "golden/captures.rs"]
mod captures;
#[path = "golden/edits.rs"]
mod edits;
#[path = "golden/mutations.rs"]
mod mutations;
#[path = "golden/rows.rs"]
mod rows;

use std::fmt::Write;

use captures::Capture;
use tidegate::frame::{
    BadFrame, Decoder, Head, Kind, Limits, Progress, Side, Verdict, is_control, verdict,
};

/// Decodes all frames of `bytes`, which come in the given chunks (the last one repeated).
pub(crate) fn decode(
    bytes: &[u8],
    chunks: &[usize],
    side: Side,
    limits: Limits,
) -> Result<Vec<(Head, Vec<u8>)>, BadFrame> {
    let mut decoder = Decoder::new(limits, side);
    let mut sizes = chunks
        .iter()
        .copied()
        .chain(std::iter::repeat(*chunks.last().unwrap()));
    let (mut start, mut have, mut frames) = (0, 0, Vec::new());
    loop {
        match decoder.decode(&bytes[start..have])? {
            Progress::Whole { head, len } => {
                assert!(len <= limits.max_frame && len > 0);
                frames.push((head, bytes[start..start + len].to_vec()));
                start += len;
            }
            Progress::More { need, total, .. } => {
                assert!(need > 0, "a decoder that waits for nothing");
                assert!(
                    have - start + need <= limits.max_frame,
                    "asks for more than a frame may have"
                );
                assert!(
                    total.is_none_or(|total| have - start + need <= total),
                    "asks for more than the frame has"
                );
                if have == bytes.len() {
                    return Ok(frames);
                }
                have = bytes.len().min(have + sizes.next().unwrap().max(1));
            }
        }
    }
}

/// A frame as a row of the index.
pub(crate) fn row(head: &Head, frame: &[u8]) -> String {
    let kind = format!("{:?}", head.kind).to_lowercase();
    let mut row = format!("{} {kind} {} ", head.framing.label(), head.method(frame));
    match head.tt {
        Some(tt) => write!(row, "{}/{} {}", tt.seqid, head.seqid, frame.len()).unwrap(),
        None => write!(row, "{} {}", head.seqid, frame.len()).unwrap(),
    }
    if head.is_mux() {
        row += " mux";
    }
    if let Some(service) = head.to_service(frame) {
        write!(row, " to={service}").unwrap();
    }
    if let Some(tt) = head.tt {
        if let Some(timeout) = tt.timeout {
            assert_eq!(timeout.span.of(frame), timeout.ms.to_string().as_bytes());
            write!(row, " timeout={}", timeout.ms).unwrap();
        }
        row += if tt.closing { " crrst" } else { "" };
        row += if tt.retried { " retried" } else { "" };
        write!(row, " infos={}", head.infos(frame).count()).unwrap();
        if tt.protocol != 0 {
            write!(row, " protocol={}", tt.protocol).unwrap();
        }
    }
    row + &ending(head, frame)
}

pub(crate) fn ending(head: &Head, frame: &[u8]) -> String {
    if head.expects_reply() || head.kind == Kind::Oneway {
        return String::new();
    }
    let how = match verdict(head, frame) {
        Verdict::Ok => " ok".to_owned(),
        Verdict::Declared => " declared".to_owned(),
        Verdict::BizStatus => " biz".to_owned(),
        Verdict::Exception { type_id } => format!(" type={}", type_id.unwrap()),
    };
    how + if is_control(head, frame) {
        " control"
    } else {
        ""
    }
}

pub(crate) fn all(capture: &Capture) -> Vec<(Head, Vec<u8>)> {
    decode(
        &capture.bytes,
        &[usize::MAX],
        capture.side,
        Limits::default(),
    )
    .unwrap()
}

/// Every frame of every capture that holds calls and replies.
pub(crate) fn frames() -> Vec<(&'static str, Head, Vec<u8>)> {
    let carried = captures::captures()
        .iter()
        .filter(|capture| capture.carried());
    carried
        .flat_map(|c| {
            all(c)
                .into_iter()
                .map(|(head, frame)| (c.name.as_str(), head, frame))
        })
        .collect()
}
