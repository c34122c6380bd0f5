use std::time::Duration;

use super::*;

fn timeout(width: usize) -> Timeout {
    Timeout {
        span: Span::new(40, width),
        ms: 1,
    }
}

#[test]
fn what_is_left_keeps_its_width_and_is_never_0() {
    let written = |width, left| with_timeout(&timeout(width), left).map(|digits| digits.to_vec());
    assert_eq!(
        written(3, Duration::from_millis(750)),
        Some(b"750".to_vec())
    );
    assert_eq!(
        written(5, Duration::from_micros(20_999)),
        Some(b"00020".to_vec())
    );
    assert_eq!(written(3, Duration::ZERO), Some(b"001".to_vec()));
    assert_eq!(written(1, Duration::from_micros(1)), Some(b"1".to_vec()));
    assert_eq!(written(3, Duration::from_secs(1)), None);
    assert_eq!(written(40, Duration::MAX).unwrap().len(), 40);
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let call = framed(&message(1, "Get", 7, STOP));
    let head = whole(&call, Side::Calls);
    let text = format!("{}\u{4e2d}", "x".repeat(MAX_TEXT - 1));
    let answer = exception(&head, &call, 6, &text, false);
    let got = whole(&answer, Side::Replies);
    assert_eq!(
        &answer[got.body as usize..][..7],
        [11, 0, 1, 0, 0, 0x0f, 0xff]
    );
}

#[test]
fn a_negative_type_survives_protobuf() {
    let call = framed(&[0x90, 1, 0, 1, 0, 0, 0, 1, b'a', 0, 0, 0, 1]);
    let answer = exception(
        &whole(&call, Side::Calls),
        &call,
        -5,
        &"x".repeat(300),
        false,
    );
    assert_eq!(
        verdict(&whole(&answer, Side::Replies), &answer),
        Verdict::Exception { type_id: Some(-5) }
    );
}

#[test]
fn a_oneway_name_with_bytes_that_are_no_text_is_copied_as_it_is() {
    let mut call = framed(&message(1, "Get", 7, STOP));
    call[12..15].copy_from_slice(&[0xff, 0, 0x80]);
    let head = whole(&call, Side::Calls);
    let answer = exception(&head, &call, 0, "", false);
    assert_eq!(
        whole(&answer, Side::Replies).name.of(&answer),
        [0xff, 0, 0x80]
    );
}

/// Adds `key` = `value` to a call with these info blocks and returns the new header's bytes.
fn added(infos: &[u8], key: &str, value: &str) -> Vec<u8> {
    let frame = tt(0, 1, infos, &message(1, "Get", 7, STOP));
    let longer = with_string(&whole(&frame, Side::Calls), &frame, key, value);
    let head = whole(&longer, Side::Calls);
    assert_eq!(head.tt.unwrap().header.end() % 4, 2);
    let mut header = head.tt.unwrap().header.of(&longer).to_vec();
    let padding = header.len()
        - head
            .infos(&longer)
            .last()
            .map_or(0, |info| end(info.unwrap()) - 16);
    assert!(padding < 4, "{padding} bytes of padding");
    header.truncate(header.len() - padding);
    header
}

fn end(info: Info) -> usize {
    match info {
        Info::Int(_, value) | Info::Str(_, value) | Info::Acl(value) => value.end(),
    }
}

#[test]
fn a_string_goes_into_the_last_block_of_strings_or_a_new_one() {
    let (acl, int) = (
        vec![info::ACL, 0, 1, b't'],
        ints(&[(6, "item"), (9, "Get")]),
    );
    let new = strings(&[("k", "v")]);
    assert_eq!(added(&[], "k", "v"), new);
    assert_eq!(added(&int, "k", "v"), [int.clone(), new].concat());
    let (one, more) = (strings(&[("a", "1")]), strings(&[("a", "1"), ("k", "v")]));
    assert_eq!(
        added(&[&acl[..], &one, &int].concat(), "k", "v"),
        [&acl[..], &more, &int].concat()
    );
    let (first, twice) = (strings(&[("k", "0")]), [&one[..], &[0], &one].concat());
    assert_eq!(
        added(&[&first[..], &twice, &acl].concat(), "k", "v"),
        [&first[..], &one, &[0], &more, &acl].concat()
    );
}

#[test]
fn every_padding_comes_out_right() {
    for len in 0..9 {
        let value = "x".repeat(len);
        assert_eq!(
            added(&strings(&[("a", &value)]), "k", &value),
            strings(&[("a", &value), ("k", &value)])
        );
    }
}

#[test]
fn a_string_that_has_no_room_changes_nothing() {
    let big = "x".repeat(65_535);
    let full = [
        strings(&[("a", &big), ("b", &big), ("c", &big)]),
        strings(&[("d", &"x".repeat(65_500))]),
    ]
    .concat();
    let frame = tt(0, 1, &full, &message(1, "Get", 7, STOP));
    let head = whole(&frame, Side::Calls);
    assert_eq!(with_string(&head, &frame, "key", &"v".repeat(60)), frame);
    assert_eq!(
        with_string(&head, &frame, "key", &"v".repeat(65_536)),
        frame
    );
    assert_ne!(with_string(&head, &frame, "k", "v"), frame);
    let plain = framed(&message(1, "Get", 7, STOP));
    assert_eq!(
        with_string(&whole(&plain, Side::Calls), &plain, "k", "v"),
        plain
    );
}

#[test]
fn a_string_can_be_added_while_the_payload_still_comes() {
    let frame = tt(
        0,
        1,
        &[],
        &framed(&message(2, "Get", 7, &[8, 0, 0, 0, 0, 0, 1, 0])),
    );
    let head = whole(&frame, Side::Replies);
    let cut = frame.len() - 2;
    let longer = [
        &with_string(&head, &frame[..cut], "crrst", "1")[..],
        &frame[cut..],
    ]
    .concat();
    assert!(whole(&longer, Side::Replies).tt.unwrap().closing);
}
