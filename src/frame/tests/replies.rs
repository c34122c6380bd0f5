use super::*;

fn judged(bytes: &[u8]) -> Verdict {
    verdict(&whole(bytes, Side::Replies), bytes)
}

#[test]
fn the_first_field_tells_a_result_from_a_declared_exception() {
    assert_eq!(judged(&framed(&message(2, "Get", 1, STOP))), Verdict::Ok);
    assert_eq!(
        judged(&framed(&message(2, "Get", 1, &[8, 0, 0, 0, 0, 0, 1, 0]))),
        Verdict::Ok
    );
    assert_eq!(
        judged(&message(2, "Get", 1, &[12, 0, 1, 0, 0])),
        Verdict::Declared
    );
    let biz = tt(
        0,
        1,
        &strings(&[("biz-status", "7")]),
        &message(2, "Get", 1, &[12, 0, 1, 0, 0]),
    );
    assert_eq!(judged(&biz), Verdict::BizStatus);
}

#[test]
fn a_protobuf_reply_has_no_declared_exceptions() {
    let reply = [
        &[0x90, 1, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 1][..],
        &[0x0a, 0x01, 0x01],
    ]
    .concat();
    assert_eq!(judged(&framed(&reply)), Verdict::Ok);
}

#[test]
fn a_replys_head_is_known_with_its_first_field() {
    let reply = message(2, "Get", 1, &[12, 0, 1, 11, 0, 1, 0, 0, 0, 1, b'x', 0, 0]);
    for bytes in [framed(&reply), reply] {
        let mut decoder = Decoder::new(Limits::default(), Side::Replies);
        let known =
            (0..bytes.len()).find_map(|have| match decoder.decode(&bytes[..have]).unwrap() {
                Progress::More { head, .. } => head.map(|head| (have, head)),
                Progress::Whole { .. } => None,
            });
        let (have, head) = known.unwrap();
        assert_eq!(have, head.body as usize + 3);
        assert_eq!(verdict(&head, &bytes[..have]), Verdict::Declared);
    }
}

#[test]
fn an_exceptions_type_is_found_in_any_order() {
    let text = [11, 0, 1, 0, 0, 0, 2, b'n', b'o'];
    let kind = [8, 0, 2, 0, 0, 0, 20];
    let other = [15, 0, 9, 12, 0, 0, 0, 2, 0, 8, 0, 2, 0, 0, 0, 99, 0];
    for fields in [
        [&text[..], &kind, &other],
        [&kind, &text, &other],
        [&other, &text, &kind],
    ] {
        let frame = message(3, "Get", 1, &[fields.concat(), vec![0]].concat());
        assert_eq!(judged(&frame), Verdict::Exception { type_id: Some(20) });
        let head = whole(&frame, Side::Replies);
        for len in head.body as usize..frame.len() {
            let Verdict::Exception { type_id } = verdict(&head, &frame[..len]) else {
                panic!("no exception")
            };
            assert!(type_id.is_none_or(|id| id == 20));
        }
        assert_eq!(
            verdict(&head, &frame[..head.body as usize]),
            Verdict::Exception { type_id: None }
        );
    }
    let untyped = message(3, "Get", 1, &[&text[..], &[0]].concat());
    assert_eq!(judged(&untyped), Verdict::Exception { type_id: None });
}

#[test]
fn a_protobuf_exceptions_type_is_found_in_any_order() {
    let head = [0x90, 1, 0, 3, 0, 0, 0, 1, b'a', 0, 0, 0, 1];
    let minus: &[u8] = &[
        0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
    ];
    for (body, type_id) in [
        (&[0x08, 6, 0x12, 2, b'n', b'o'][..], Some(6)),
        (&[0x12, 2, b'n', b'o', 0x08, 0x94, 0x01], Some(148)),
        (
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x08, 1],
            Some(1),
        ),
        (minus, Some(-1)),
        (
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            None,
        ),
        (&[0x08, 0x80], None),
        (&[0x0b], None),
        (&[], None),
    ] {
        let frame = framed(&[&head[..], body].concat());
        assert_eq!(judged(&frame), Verdict::Exception { type_id }, "{body:?}");
    }
}

#[test]
fn a_mux_servers_farewell_is_no_reply() {
    let farewell = tt(
        0,
        0,
        &strings(&[("crrst", "1")]),
        &message(2, "none", 0, STOP),
    );
    assert!(is_control(&whole(&farewell, Side::Replies), &farewell));
    for reply in [
        tt(
            0,
            0,
            &strings(&[("crrst", "1")]),
            &message(2, "Get", 0, STOP),
        ),
        tt(0, 0, &[], &message(2, "none", 0, STOP)),
        tt(
            0,
            3,
            &strings(&[("crrst", "1")]),
            &message(2, "none", 3, STOP),
        ),
        framed(&message(2, "none", 0, STOP)),
    ] {
        assert!(!is_control(&whole(&reply, Side::Replies), &reply));
    }
}
