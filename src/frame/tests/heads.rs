use super::*;

fn call() -> Vec<u8> {
    message(1, "Get", 7, STOP)
}

#[test]
fn every_layer_says_where_its_parts_are() {
    let mesh = [&[0xff, 0xaf, 0, 2, 0, 0][..], &call()].concat();
    let pb = framed(&[0x90, 1, 0, 1, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 7]);
    for (frame, label) in [
        (framed(&call()), "framed"),
        (call(), "buffered"),
        (pb.clone(), "protobuf"),
        (mesh, "mesh_buffered"),
        (tt(0, 9, &[], &call()), "ttheader"),
        (tt(0, 9, &[], &framed(&call())), "ttheader_framed"),
        (tt(0, 9, &[], &pb), "ttheader_protobuf"),
    ] {
        let head = whole(&frame, Side::Calls);
        assert_eq!(head.framing.label(), label);
        assert_eq!(
            (head.kind, head.seqid, head.name.of(&frame)),
            (Kind::Call, 7, &b"Get"[..]),
            "{label}"
        );
        assert_eq!(
            head.body as usize,
            frame.len() - usize::from(head.framing.payload != Payload::Protobuf),
            "{label}"
        );
        assert_eq!(
            head.tt.map(|tt| tt.seqid),
            head.framing.tt.then_some(9),
            "{label}"
        );
    }
}

#[test]
fn only_a_call_expects_a_reply_and_only_the_flag_makes_it_mux() {
    let oneway = framed(&message(4, "Tell", 1, STOP));
    assert!(!whole(&oneway, Side::Calls).expects_reply());
    let plain = whole(&tt(0, 1, &[], &call()), Side::Calls);
    assert!(plain.expects_reply() && !plain.is_mux());
    assert!(whole(&tt(1, 1, &[], &call()), Side::Calls).is_mux());
}

#[test]
fn infos_come_in_their_order_from_blocks_in_any_order() {
    let acl = [info::ACL, 0, 2, b'o', b'k'];
    let blocks = [
        ints(&[(6, "shop.item"), (9, "Get")]),
        vec![0, 0],
        strings(&[("b", "2"), ("a", "")]),
        acl.to_vec(),
        strings(&[]),
        strings(&[("c", "3")]),
        ints(&[(12, "750")]),
    ];
    let frame = tt(0, 1, &blocks.concat(), &call());
    let head = whole(&frame, Side::Calls);
    assert_eq!(head.to_service(&frame), Some("shop.item"));
    assert_eq!(head.infos(&frame).count(), 7);
    let keys: Vec<_> = head.strings(&frame).map(|(key, _)| key).collect();
    assert_eq!(keys, [b"b", b"a", b"c"]);
    let ints: Vec<_> = head.ints(&frame).collect();
    assert_eq!(ints, [(6, &b"shop.item"[..]), (9, b"Get"), (12, b"750")]);
}

#[test]
fn a_timeout_is_a_positive_i32_or_none() {
    let read = |value: &str| {
        let frame = tt(0, 1, &ints(&[(12, value)]), &call());
        whole(&frame, Side::Calls)
            .tt
            .unwrap()
            .timeout
            .map(|timeout| {
                assert_eq!(timeout.span.of(&frame), value.as_bytes());
                timeout.ms
            })
    };
    assert_eq!(read("750"), Some(750));
    assert_eq!(read("00020"), Some(20));
    assert_eq!(read("2147483647"), Some(i32::MAX as u32));
    for none in [
        "",
        "0",
        "000",
        "-1",
        "2147483648",
        "99999999999999999999",
        "1s",
        " 1",
        "0x10",
        "1.5",
        "+5",
    ] {
        assert_eq!(read(none), None, "{none:?}");
    }
}

#[test]
fn a_key_that_comes_twice_counts_as_its_last() {
    let infos = [
        ints(&[(6, "old"), (12, "9")]),
        ints(&[(6, "new"), (12, "x")]),
    ]
    .concat();
    let frame = tt(0, 1, &infos, &call());
    let head = whole(&frame, Side::Calls);
    assert_eq!(head.to_service(&frame), Some("new"));
    assert_eq!(head.tt.unwrap().timeout, None);
}

#[test]
fn marks_in_string_keys_are_read() {
    let marks = |pairs: &[(&str, &str)]| {
        let tt = whole(
            &tt(0, 1, &strings(pairs), &message(2, "Get", 7, STOP)),
            Side::Replies,
        )
        .tt
        .unwrap();
        (tt.retried, tt.closing, tt.biz_status)
    };
    assert_eq!(
        marks(&[("RPC_PERSIST_RetryReq", "1")]),
        (true, false, false)
    );
    assert_eq!(marks(&[("crrst", "1")]), (false, true, false));
    assert_eq!(marks(&[("biz-status", "404")]), (false, false, true));
    assert_eq!(marks(&[("biz-status", "-1")]), (false, false, true));
    for none in ["0", "00", "", "none"] {
        assert_eq!(
            marks(&[("biz-status", none), ("crrst", "")]),
            (false, false, false),
            "{none:?}"
        );
    }
}

#[test]
fn a_transform_is_passed_over() {
    let mut frame = tt(0, 1, &[0x05, 0, 0, 0, 0, 0, 0], &call());
    frame[15] = 1; // one transform, id 5; an info block would start there otherwise
    assert_eq!(whole(&frame, Side::Calls).infos(&frame).count(), 0);
    frame[15] = 200;
    assert!(matches!(
        refused(&frame),
        BadFrame::BadHeader { at: 15, .. }
    ));
}

#[test]
fn frames_one_after_another_are_told_apart() {
    let frames = [
        framed(&call()),
        call(),
        tt(0, 2, &[], &framed(&call())),
        call(),
    ];
    let bytes = frames.concat();
    let (mut decoder, mut at) = (Decoder::new(Limits::default(), Side::Calls), 0);
    for frame in &frames {
        let Progress::Whole { len, .. } = decoder.decode(&bytes[at..]).unwrap() else {
            panic!("not whole at {at}")
        };
        assert_eq!(len, frame.len());
        at += len;
    }
    assert_eq!(
        decoder.decode(&bytes[at..]),
        Ok(Progress::More {
            need: 8,
            head: None,
            total: None
        })
    );
}

#[test]
fn a_length_is_known_before_the_head_is() {
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    let frame = framed(&message(1, "Get", 7, &[0; 100]));
    let more = |need, total| {
        Ok(Progress::More {
            need,
            head: None,
            total,
        })
    };
    assert_eq!(decoder.decode(&frame[..5]), more(3, None));
    assert_eq!(decoder.decode(&frame[..9]), more(3, Some(frame.len())));
    let Ok(Progress::More {
        head: Some(_),
        need,
        ..
    }) = decoder.decode(&frame[..30])
    else {
        panic!("no head")
    };
    assert_eq!(need, frame.len() - 30);
}
