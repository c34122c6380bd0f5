//! Every capture, in any splitting, parses to the rows of the index.

use tidegate::frame::{BadFrame, Decoder, Fed, Limits, Progress, Side};
use tidegate::protocol::{Detected, detect};

use crate::captures::captures;
use crate::{all, decode, ending, frames, row};

#[test]
fn every_capture_parses_to_its_rows() {
    for capture in captures() {
        let name = &capture.name;
        match capture.rows.first().map(String::as_str) {
            Some(row) if row.starts_with("relay ") => {
                let Detected::Relay(looks) = detect(&capture.bytes) else {
                    panic!("{name} is not relayed")
                };
                assert_eq!(format!("relay {looks}"), row, "{name}");
            }
            Some("refused protocol") => {
                let bad = decode(
                    &capture.bytes,
                    &[usize::MAX],
                    capture.side,
                    Limits::default(),
                )
                .unwrap_err();
                assert_eq!(bad, BadFrame::ProtocolId { id: 2 }, "{name}");
            }
            Some("refused type") => {
                let bad = decode(
                    &capture.bytes,
                    &[usize::MAX],
                    capture.side,
                    Limits::default(),
                )
                .unwrap_err();
                assert_eq!(
                    bad,
                    BadFrame::WrongKind {
                        kind: 2,
                        side: Side::Calls
                    },
                    "{name}"
                );
            }
            Some("empty") => assert!(capture.bytes.is_empty(), "{name}"),
            _ => {
                let rows: Vec<_> = all(capture)
                    .iter()
                    .map(|(head, frame)| row(head, frame))
                    .collect();
                assert_eq!(rows, capture.rows, "{name}");
                let kept = all(capture)
                    .into_iter()
                    .flat_map(|(_, frame)| frame)
                    .collect::<Vec<_>>();
                assert_eq!(kept, capture.bytes, "{name}");
            }
        }
    }
    assert!(captures().len() > 190, "captures are missing");
}

#[test]
fn a_capture_of_calls_is_detected_as_thrift() {
    for capture in captures()
        .iter()
        .filter(|c| c.carried() && c.side == Side::Calls)
    {
        assert_eq!(detect(&capture.bytes), Detected::Thrift, "{}", capture.name);
        for len in 0..8 {
            assert_eq!(
                detect(&capture.bytes[..len]),
                Detected::More,
                "{} cut at {len}",
                capture.name
            );
        }
    }
}

#[test]
fn byte_by_byte_yields_the_same_frames() {
    for capture in captures().iter().filter(|capture| capture.carried()) {
        let slow = decode(&capture.bytes, &[1], capture.side, Limits::default()).unwrap();
        assert_eq!(slow, all(capture), "{}", capture.name);
    }
}

#[test]
fn a_frame_streamed_after_its_head_ends_where_it_ends_whole() {
    for (name, head, frame) in frames() {
        let side = if ending(&head, &frame).is_empty() {
            Side::Calls
        } else {
            Side::Replies
        };
        let follow = [frame.as_slice(), b"\x80\x01 the next one"].concat();
        for cut in 1..frame.len() {
            let mut decoder = Decoder::new(Limits::default(), side);
            // In two looks: the second may bring too little for anything to change.
            decoder.decode(&frame[..cut - cut.min(3)]).unwrap();
            let Progress::More { head: known, .. } = decoder.decode(&frame[..cut]).unwrap() else {
                panic!("{name} is whole after {cut} bytes")
            };
            let Some(mut rest) = decoder.into_rest(&frame[..cut]) else {
                assert_eq!(known, None, "{name}");
                continue;
            };
            assert_eq!(known, Some(head), "{name}");
            let mut at = cut;
            let end = loop {
                let chunk = &follow[at..follow.len().min(at + 7)];
                match rest.feed(chunk).unwrap() {
                    Fed::All => at += chunk.len(),
                    Fed::Ends(n) => break at + n,
                }
            };
            assert_eq!(end, frame.len(), "{name} cut at {cut}");
        }
    }
}
