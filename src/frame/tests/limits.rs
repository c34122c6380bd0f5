use super::*;

fn small() -> Limits {
    Limits {
        max_frame: 200,
        ..Limits::default()
    }
}

#[test]
fn what_is_no_thrift_says_what_it_looks_like() {
    let old = [0, 0, 0, 4, b'E', b'c', b'h', b'o', 1, 0, 0, 0, 9, 0];
    assert!(matches!(refused(&old), BadFrame::NonStrict { at: 0, .. }));
    assert!(matches!(
        refused(&framed(&old)),
        BadFrame::NonStrict { at: 0, .. }
    ));
    assert!(matches!(
        refused(&tt(0, 1, &[], &old)),
        BadFrame::NonStrict { at: 18, .. }
    ));
    let bad = refused(b"GET / HTTP/1.1\r\n");
    assert_eq!(
        bad,
        BadFrame::Unknown {
            at: 0,
            first: *b"GET / HT"
        }
    );
    assert!(bad.to_string().contains("47 45 54 20"), "{bad}");
}

#[test]
fn types_that_do_not_go_this_way_are_refused() {
    for kind in [0, 2, 3, 5, 255] {
        let bad = refused(&framed(&message(kind, "Get", 1, STOP)));
        assert_eq!(
            bad,
            BadFrame::WrongKind {
                kind,
                side: Side::Calls
            }
        );
    }
    for kind in [1, 4] {
        let bad = Decoder::new(small(), Side::Replies)
            .decode(&message(kind, "Get", 1, STOP))
            .unwrap_err();
        assert_eq!(
            bad,
            BadFrame::WrongKind {
                kind,
                side: Side::Replies
            }
        );
    }
    assert_eq!(
        refused(&tt(2, 1, &[], &message(1, "Get", 1, STOP))),
        BadFrame::Stream { flags: 2 }
    );
}

#[test]
fn a_length_that_lies_is_refused() {
    let call = message(1, "Get", 1, STOP);
    let mut long_name = framed(&call);
    long_name[11] = 6;
    assert!(matches!(
        refused(&long_name),
        BadFrame::Lies {
            at: 8,
            says: 6,
            room: 4,
            ..
        }
    ));
    let mut inner = tt(0, 1, &[], &framed(&call));
    inner[21] += 1;
    assert!(matches!(
        refused(&inner),
        BadFrame::Lies {
            at: 18,
            says: 17,
            room: 16,
            ..
        }
    ));
    let mut header = tt(0, 1, &[], &call);
    header[13] = 9;
    assert!(matches!(
        refused(&header),
        BadFrame::Lies {
            at: 12,
            says: 36,
            ..
        }
    ));
    assert!(matches!(
        refused(&[0, 0, 0, 9, 0x10, 0, 0, 0]),
        BadFrame::Lies { at: 0, .. }
    ));
    assert!(matches!(
        refused(&[0, 0, 0, 11, 0x80, 1, 0, 1]),
        BadFrame::Lies {
            at: 0,
            room: 11,
            ..
        }
    ));
}

#[test]
fn a_broken_header_is_refused() {
    let call = message(1, "Get", 1, STOP);
    for infos in [
        &[0x01, 0, 1][..],
        &[0x01, 0, 2, 0, 0, 0, 0],
        &[0x10, 0, 1, 0, 6, 0, 9],
        &[0x11, 0xff, 0xff],
        &[2],
    ] {
        assert!(
            matches!(refused(&tt(0, 1, infos, &call)), BadFrame::BadHeader { .. }),
            "{infos:?}"
        );
    }
    let mut empty = tt(0, 1, &[], &call);
    empty[13] = 0;
    assert!(matches!(
        refused(&empty),
        BadFrame::BadHeader { at: 12, .. }
    ));
    for mesh in [
        &[0xff, 0xaf, 0, 3, 0, 0, 0, 0][..],
        &[0xff, 0xaf, 0, 0, 0, 1, 0, 0],
        &[0xff, 0xaf, 0, 4, 0, 1, 0, 9],
    ] {
        assert!(
            matches!(refused(mesh), BadFrame::BadHeader { .. }),
            "{mesh:?}"
        );
    }
    let mut id = tt(0, 1, &[], &call);
    id[14] = 2;
    assert_eq!(refused(&id), BadFrame::ProtocolId { id: 2 });
}

#[test]
fn negative_lengths_are_refused() {
    let mut name = message(1, "Get", 1, STOP);
    name[4] = 0xff;
    assert!(matches!(refused(&name), BadFrame::Negative { at: 4, .. }));
    let minus = [0xff; 4];
    for (head, at) in [
        (&[11, 0, 1][..], 18),
        (&[15, 0, 1, 11], 18),
        (&[14, 0, 1, 8], 18),
        (&[13, 0, 1, 8, 8], 18),
    ] {
        let bad = refused(&message(1, "Get", 1, &[head, &minus].concat()));
        assert!(
            matches!(bad, BadFrame::Negative { at: found, len: -1, .. } if found == at),
            "{bad}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| {
        message(
            1,
            "Get",
            1,
            &[[12, 0, 1].repeat(n), vec![0; n + 1]].concat(),
        )
    };
    whole(&nested(63), Side::Calls);
    assert!(matches!(
        refused(&nested(64)),
        BadFrame::Depth { limit: 64, .. }
    ));
    let lists = message(
        1,
        "Get",
        1,
        &[&[15, 0, 1][..], &[15, 0, 0, 0, 1].repeat(1 << 20)].concat(),
    );
    assert!(matches!(refused(&lists), BadFrame::Depth { .. }));
}

#[test]
fn unknown_types_are_refused_where_a_value_would_follow() {
    assert!(matches!(
        refused(&message(1, "Get", 1, &[7, 0, 1])),
        BadFrame::Type { id: 7, .. }
    ));
    let list = |count: u8| message(1, "Get", 1, &[15, 0, 1, 0, 0, 0, 0, count, 0]);
    whole(&list(0), Side::Calls);
    assert!(matches!(refused(&list(1)), BadFrame::Type { id: 0, .. }));
}

#[test]
fn a_frame_over_the_limit_is_refused_with_its_head() {
    for frame in [
        framed(&message(1, "Get", 7, &[0; 200])),
        tt(
            0,
            7,
            &ints(&[(6, "item")]),
            &message(1, "Get", 7, &[0; 200]),
        ),
        message(
            1,
            "Get",
            7,
            &[&[11, 0, 1, 0, 0, 0, 200][..], &[0; 201]].concat(),
        ),
    ] {
        let mut decoder = Decoder::new(small(), Side::Calls);
        let mut have = 0;
        let bad = loop {
            match decoder.decode(&frame[..have]) {
                Ok(Progress::More { need, .. }) => have += need,
                Ok(whole) => panic!("{whole:?}"),
                Err(bad) => break bad,
            }
        };
        let BadFrame::TooLarge {
            len,
            limit: 200,
            head: Some(head),
        } = bad
        else {
            panic!("{bad:?}")
        };
        assert!(len > 200 && have < 80, "{len} {have}");
        assert_eq!(
            (head.name.of(&frame), decoder.head()),
            (&b"Get"[..], Some(head))
        );
    }
}

#[test]
fn a_head_that_is_far_behind_its_start_is_not_waited_for() {
    let frame = tt(
        0,
        7,
        &strings(&[("key", &"x".repeat(300))]),
        &message(1, "Get", 7, STOP),
    );
    let mut decoder = Decoder::new(small(), Side::Calls);
    let bad = decoder.decode(&frame[..16]).unwrap_err();
    assert!(
        matches!(bad, BadFrame::TooLarge { head: None, .. }),
        "{bad:?}"
    );
    let whole = Decoder::new(small(), Side::Calls)
        .decode(&frame)
        .unwrap_err();
    assert_eq!(whole, bad);
}

#[test]
fn counts_that_cannot_fit_are_refused_before_their_elements_come() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    for head in [
        &[11, 0, 1][..],
        &[15, 0, 1, 10],
        &[15, 0, 1, 12],
        &[14, 0, 1, 11],
        &[13, 0, 1, 3, 12],
        &[13, 0, 1, 8, 8],
    ] {
        let bad = refused(&message(1, "Get", 1, &[head, &huge].concat()));
        assert!(
            matches!(bad, BadFrame::TooLarge { head: Some(_), .. }),
            "{head:?}: {bad}"
        );
    }
}

#[test]
fn a_streamed_walk_keeps_the_limits() {
    let start = message(1, "Get", 7, &[15, 0, 1, 12, 0, 0, 0, 100]);
    let mut decoder = Decoder::new(small(), Side::Calls);
    decoder.decode(&start).unwrap();
    let mut rest = decoder.into_rest(&start).unwrap();
    let empty_lists = [15, 0, 1, 8, 0, 0, 0, 0, 0];
    let fed: Result<Vec<_>, _> = (0..100).map(|_| rest.feed(&empty_lists)).collect();
    assert!(
        matches!(fed, Err(BadFrame::TooLarge { head: Some(_), .. })),
        "{fed:?}"
    );
}

#[test]
fn after_a_reset_the_next_bytes_are_a_frames_first() {
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    let call = message(1, "Get", 7, STOP);
    decoder.decode(&call[..14]).unwrap();
    decoder.reset();
    assert!(matches!(decoder.decode(&call), Ok(Progress::Whole { .. })));
    assert!(decoder.into_rest(&[]).is_none());
}
