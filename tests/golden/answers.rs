//! Answers to captured calls: read back, and compared with those of the captured servers.

use tidegate::frame::{Head, Limits, Payload, Side, Verdict, exception, verdict};

use crate::captures::captures;
use crate::{all, decode, frames};

#[test]
fn an_answer_has_the_callers_framing_ids_and_method() {
    for (name, head, call) in frames()
        .into_iter()
        .filter(|(_, head, _)| head.expects_reply())
    {
        for closing in [false, true] {
            let answer = exception(&head, &call, 6, "no answer from 10.0.3.7:8888", closing);
            let mut answers =
                decode(&answer, &[usize::MAX], Side::Replies, Limits::default()).unwrap();
            let (got, frame) = answers.remove(0);
            assert_eq!(frame, answer, "{name}");
            assert_eq!(got.framing.payload, head.framing.payload, "{name}");
            assert_eq!(
                (got.framing.tt, got.framing.mesh),
                (head.framing.tt, false),
                "{name}"
            );
            assert_eq!(
                (got.seqid, got.method(&frame)),
                (head.seqid, head.method(&call)),
                "{name}"
            );
            assert_eq!(
                got.tt.map(|tt| tt.seqid),
                head.tt.map(|tt| tt.seqid),
                "{name}"
            );
            assert!(
                got.tt
                    .is_none_or(|tt| tt.flags == 0 && tt.closing == closing),
                "{name}"
            );
            assert_eq!(
                verdict(&got, &frame),
                Verdict::Exception { type_id: Some(6) },
                "{name}"
            );
            assert!(
                frame
                    .windows(28)
                    .any(|text| text == b"no answer from 10.0.3.7:8888"),
                "{name}"
            );
        }
    }
}

/// The text of an exception as the servers of the captures lay it out: the type behind it, or (Protobuf) before it.
fn text<'a>(head: &Head, frame: &'a [u8]) -> &'a str {
    let body = &frame[head.body as usize..];
    let text = if head.framing.payload == Payload::Protobuf {
        assert!(body[3] < 0x80);
        &body[4..]
    } else {
        &body[7..body.len() - 8]
    };
    std::str::from_utf8(text).unwrap()
}

#[test]
fn an_answer_is_byte_for_byte_what_a_kitex_server_writes() {
    let (mut compared, captures) = (0, captures());
    for replies in captures
        .iter()
        .filter(|c| c.carried() && c.side == Side::Replies)
    {
        let calls = captures
            .iter()
            .find(|c| c.name == replies.name.replace(".rep", ".req"))
            .unwrap();
        let short = |head: &Head, frame: &[u8]| {
            head.framing.payload != Payload::Protobuf || text_is_short(head, frame)
        };
        for (head, frame) in all(replies) {
            let Verdict::Exception { type_id } = verdict(&head, &frame) else {
                continue;
            };
            let calls = all(calls);
            let (call_head, call) = calls
                .iter()
                .find(|(call, _)| call.seqid == head.seqid)
                .unwrap();
            if short(&head, &frame) {
                let closing = head.tt.is_some_and(|tt| tt.closing);
                let ours = exception(
                    call_head,
                    call,
                    type_id.unwrap(),
                    text(&head, &frame),
                    closing,
                );
                assert_eq!(ours, frame, "{}", replies.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

fn text_is_short(head: &Head, frame: &[u8]) -> bool {
    frame[head.body as usize + 3] < 0x80
}
