//! Captures cut into any pieces, and mutated: nothing panics, loops or asks for too much.

use proptest::prelude::*;
use tidegate::frame::{Limits, exception, verdict, with_string};
use tidegate::protocol::detect;

use crate::captures::{Capture, captures};
use crate::{all, decode};

/// One change to a capture.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Number(prop::sample::Index, u32),
    Insert(prop::sample::Index, Vec<u8>),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![
        Just(u32::MAX),
        Just(i32::MAX as u32),
        Just(0x8001_0001),
        Just(0),
        0..64_u32,
        any::<u32>()
    ];
    let nested = (
        prop_oneof![Just(vec![12, 0, 1]), Just(vec![15, 0, 1, 15, 0, 0, 0, 1])],
        1..200_usize,
    );
    let one = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        at().prop_map(Mutation::Cut),
        (at(), number).prop_map(|(at, number)| Mutation::Number(at, number)),
        (at(), nested).prop_map(|(at, (unit, n))| Mutation::Insert(at, unit.repeat(n))),
    ];
    prop::collection::vec(one, 1..4)
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Mutation::Number(at, number) => {
            let at = at.index(bytes.len());
            for (place, byte) in bytes[at..].iter_mut().zip(number.to_be_bytes()) {
                *place = byte;
            }
        }
        Mutation::Insert(at, what) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, what.iter().copied());
        }
    }
}

/// A capture with bytes, of any kind.
fn capture() -> impl Strategy<Value = &'static Capture> {
    prop::sample::select(
        captures()
            .iter()
            .filter(|capture| !capture.bytes.is_empty())
            .collect::<Vec<_>>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_splitting_yields_the_same_frames(
        capture in prop::sample::select(captures().iter().filter(|c| c.carried()).collect::<Vec<_>>()),
        chunks in prop::collection::vec(1..200_usize, 1..20),
    ) {
        let split = decode(&capture.bytes, &chunks, capture.side, Limits::default()).unwrap();
        let kept: Vec<u8> = split.iter().flat_map(|(_, frame)| frame.iter().copied()).collect();
        prop_assert_eq!(&kept, &capture.bytes);
        prop_assert_eq!(split, all(capture));
    }

    #[test]
    fn a_mutated_capture_is_read_or_refused_alike_however_it_is_split(
        capture in capture(),
        mutations in mutations(),
        chunks in prop::collection::vec(1..100_usize, 1..20),
        max_frame in prop_oneof![Just(16_usize << 20), 16..2000_usize],
    ) {
        let mut bytes = capture.bytes.clone();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        let limits = Limits { max_frame, ..Limits::default() };
        let _ = detect(&bytes);
        let whole = decode(&bytes, &[usize::MAX], capture.side, limits);
        let split = decode(&bytes, &chunks, capture.side, limits);
        prop_assert_eq!(&whole, &split);
        if let Err(bad) = &whole {
            prop_assert!(!bad.to_string().is_empty());
        }
        for (head, frame) in whole.unwrap_or_default() {
            for end in head.body as usize..=frame.len().min(head.body as usize + 64) {
                let _ = verdict(&head, &frame[..end]);
            }
            let _ = exception(&head, &frame, -1, "text", true);
            let _ = with_string(&head, &frame, "key", "value");
        }
    }
}
