//! Changes to captured frames leave all else as it was.

use std::time::Duration;

use tidegate::frame::{Head, Info, Limits, Side, str_key, with_seqid, with_string, with_timeout};

use crate::{decode, ending, frames};

fn infos(head: &Head, frame: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let list = head.infos(frame).map(Result::unwrap);
    list.map(|info| match info {
        Info::Str(key, value) => (key.of(frame).to_vec(), value.of(frame).to_vec()),
        Info::Int(key, value) => (key.to_be_bytes().to_vec(), value.of(frame).to_vec()),
        Info::Acl(value) => (b"acl".to_vec(), value.of(frame).to_vec()),
    })
    .collect()
}

#[test]
fn a_string_added_to_a_header_keeps_all_else() {
    let mut seen = 0;
    for (name, head, frame) in frames() {
        let longer = with_string(&head, &frame, str_key::RETRIED, "1");
        let Some(tt) = head.tt else {
            assert_eq!(longer, frame, "{name}");
            continue;
        };
        seen += 1;
        let side = if ending(&head, &frame).is_empty() {
            Side::Calls
        } else {
            Side::Replies
        };
        let (got, frame_got) = decode(&longer, &[usize::MAX], side, Limits::default())
            .unwrap()
            .remove(0);
        assert_eq!(frame_got, longer, "{name}");
        let got_tt = got.tt.unwrap();
        assert!(got_tt.retried, "{name}");
        assert_eq!(
            longer[got_tt.header.end()..],
            frame[tt.header.end()..],
            "{name}"
        );
        assert_eq!(longer[4..12], frame[4..12], "{name}");
        let mut others = infos(&got, &longer);
        others.retain(|(key, _)| key != str_key::RETRIED.as_bytes());
        assert_eq!(others, infos(&head, &frame), "{name}");
        assert_eq!(
            got.strings(&longer)
                .filter(|(key, _)| *key == str_key::RETRIED.as_bytes())
                .count(),
            1,
            "{name}"
        );
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn what_is_left_of_a_timeout_takes_its_place() {
    let timed: Vec<_> = frames()
        .into_iter()
        .filter(|(_, head, _)| head.tt.is_some_and(|tt| tt.timeout.is_some()))
        .collect();
    assert!(timed.len() >= 4);
    for (name, head, mut frame) in timed {
        let timeout = head.tt.unwrap().timeout.unwrap();
        let digits = with_timeout(&timeout, Duration::from_micros(7_900)).unwrap();
        frame[timeout.span.at()..timeout.span.end()].copy_from_slice(&digits);
        let (got, _) = decode(&frame, &[usize::MAX], Side::Calls, Limits::default())
            .unwrap()
            .remove(0);
        assert_eq!(got.tt.unwrap().timeout.unwrap().ms, 7, "{name}");
        assert_eq!(
            got.tt.unwrap().timeout.unwrap().span,
            timeout.span,
            "{name}"
        );
    }
}

#[test]
fn new_sequence_ids_change_nothing_else() {
    for (name, mut head, frame) in frames() {
        let (old, mut changed) = (head, frame.clone());
        with_seqid(&mut head, &mut changed, 0x0102_0304, 0x0506_0708);
        let side = if ending(&head, &frame).is_empty() {
            Side::Calls
        } else {
            Side::Replies
        };
        let (got, _) = decode(&changed, &[usize::MAX], side, Limits::default())
            .unwrap()
            .remove(0);
        assert_eq!(got, head, "{name}");
        assert_eq!(got.seqid, 0x0102_0304, "{name}");
        assert!(got.tt.is_none_or(|tt| tt.seqid == 0x0506_0708), "{name}");
        with_seqid(
            &mut head,
            &mut changed,
            old.seqid,
            old.tt.map_or(0, |tt| tt.seqid),
        );
        assert_eq!((head, changed), (old, frame), "{name}");
    }
}
