//! What the codec costs per frame: `cargo bench --bench codec`. Time and allocations; nothing is asserted here.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use tidegate::frame::{
    Decoder, Head, Limits, Progress, Side, exception, verdict, with_string, with_timeout,
};
use tidegate::protocol::detect;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const CALLS: [&str; 9] = [
    "framed-call",
    "framed-big",
    "buffered-call",
    "buffered-big",
    "ttheader-nometa",
    "ttheader-timeout",
    "ttheaderframed-call",
    "mux-call",
    "kitexpb-call",
];

fn main() {
    divan::main();
}

fn bytes(name: &str, side: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read(format!("{root}/tests/golden/{name}.{side}.bin")).unwrap()
}

/// The first frame of a capture.
fn first(name: &str, file: &str, side: Side) -> (Head, Vec<u8>) {
    let bytes = bytes(name, file);
    let mut decoder = Decoder::new(Limits::default(), side);
    let Ok(Progress::Whole { head, len }) = decoder.decode(&bytes) else {
        panic!("{name}")
    };
    (head, bytes[..len].to_vec())
}

#[divan::bench(args = CALLS)]
fn decode_call(bencher: Bencher<'_, '_>, name: &str) {
    let (_, frame) = first(name, "req", Side::Calls);
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    bencher.bench_local(|| decoder.decode(black_box(&frame)));
}

#[divan::bench(args = CALLS)]
fn decode_reply_and_judge(bencher: Bencher<'_, '_>, name: &str) {
    let (_, frame) = first(name, "rep", Side::Replies);
    let mut decoder = Decoder::new(Limits::default(), Side::Replies);
    bencher.bench_local(|| match decoder.decode(black_box(&frame)) {
        Ok(Progress::Whole { head, .. }) => Some(verdict(&head, &frame)),
        _ => None,
    });
}

/// All the looks that a frame costs whose bytes come one at a time.
#[divan::bench(args = ["framed-call", "buffered-call", "ttheader-timeout"])]
fn decode_byte_by_byte(bencher: Bencher<'_, '_>, name: &str) {
    let (_, frame) = first(name, "req", Side::Calls);
    let mut decoder = Decoder::new(Limits::default(), Side::Calls);
    bencher.bench_local(|| {
        for have in 1..=frame.len() {
            let _ = black_box(decoder.decode(black_box(&frame[..have])));
        }
    });
}

#[divan::bench(args = ["framed-call", "ttheader-timeout"])]
fn answer(bencher: Bencher<'_, '_>, name: &str) {
    let (head, frame) = first(name, "req", Side::Calls);
    let text = "tidegate: no answer from 10.0.3.7:8888 (item) within read_deadline 800ms";
    bencher.bench_local(|| exception(black_box(&head), &frame, 6, text, false));
}

#[divan::bench]
fn patch_timeout(bencher: Bencher<'_, '_>) {
    let (head, _) = first("ttheader-timeout", "req", Side::Calls);
    let timeout = head.tt.unwrap().timeout.unwrap();
    bencher.bench_local(|| with_timeout(black_box(&timeout), Duration::from_millis(612)));
}

#[divan::bench]
fn add_string(bencher: Bencher<'_, '_>) {
    let (head, frame) = first("ttheader-timeout", "req", Side::Calls);
    bencher.bench_local(|| with_string(black_box(&head), &frame, "RPC_PERSIST_RetryReq", "1"));
}

#[divan::bench]
fn detect_framed(bencher: Bencher<'_, '_>) {
    let bytes = bytes("framed-call", "req");
    bencher.bench_local(|| detect(black_box(&bytes)));
}
