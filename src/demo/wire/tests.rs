#![allow(clippy::unwrap_used)]
use super::*;

fn whole(side: Side, bytes: &[u8]) -> Head {
    match Decoder::new(Limits::default(), side).decode(bytes) {
        Ok(Progress::Whole { head, len }) if len == bytes.len() => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_and_its_reply_are_frames_of_the_same_framing_and_number() {
    for speech in [Speech::Framed, Speech::TtHeader] {
        let call = call(speech, "demo.echo", "Where", 7, 800, "hello");
        let asked = whole(Side::Calls, &call);
        assert_eq!(
            (asked.kind, asked.seqid, &*asked.method(&call)),
            (Kind::Call, 7, "Where")
        );
        assert_eq!(text(&asked, &call), "hello");
        let reply = reply(&asked, &call, "here");
        let answered = whole(Side::Replies, &reply);
        assert_eq!(
            (answered.kind, answered.seqid, answered.framing),
            (Kind::Reply, 7, asked.framing)
        );
        assert_eq!(text(&answered, &reply), "here");
    }
}

#[test]
fn a_ttheader_call_names_its_service_and_its_patience() {
    let call = call(Speech::TtHeader, "demo.echo", "Where", 7, 800, "");
    let head = whole(Side::Calls, &call);
    assert_eq!(head.to_service(&call), Some("demo.echo"));
    assert_eq!(head.tt.unwrap().timeout.unwrap().ms, 800);
}

#[test]
fn the_text_of_an_exception_is_read() {
    let call = call(Speech::TtHeader, "demo.echo", "Where", 7, 800, "");
    let head = whole(Side::Calls, &call);
    let exception = crate::frame::exception(&head, &call, 6, "no answer", false);
    let head = whole(Side::Replies, &exception);
    assert_eq!(
        (head.kind, &*text(&head, &exception)),
        (Kind::Exception, "no answer")
    );
}
