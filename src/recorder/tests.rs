#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::SystemTime;

use super::*;
use crate::outcome::{Failed, Limit, Outcome};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A call that ended now, after so many milliseconds.
fn call(outcome: Outcome, total: u64) -> Entry {
    Entry {
        when: SystemTime::now(),
        ended: Instant::now(),
        total: ms(total),
        listener: "in".into(),
        caller: None,
        head: Some(Said {
            method: "Echo".into(),
            service: None,
            seqid: 7,
            framing: "framed",
        }),
        outcome,
        failed: None,
        deadline: None,
        bytes: (10, 20),
        complete: Mark::at(Duration::ZERO),
        tries: Tries::default(),
    }
}

fn took(recorder: &Recorder, kind: Kind, limit: usize) -> Vec<u64> {
    let calls = recorder.calls(kind, limit);
    calls.iter().map(|it| it.total.as_millis() as u64).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_hundred_failed_calls_are_kept_the_newest_first() {
    let recorder = Recorder::default();
    for n in 1..=250 {
        recorder.keep(call(Outcome::ReadDeadline, n));
        recorder.keep(call(Outcome::Ok, n));
    }
    let all = took(&recorder, Kind::Failed, MOST);
    assert_eq!(all, (151..=250).rev().collect::<Vec<_>>());
    assert_eq!(took(&recorder, Kind::Failed, 3), [250, 249, 248]);
}

#[tokio::test(start_paused = true)]
async fn the_hundred_slowest_are_kept_whatever_their_order() {
    for step in [1, 7, 500] {
        let recorder = Recorder::default();
        // 501 is a prime: each number comes once.
        for n in (1..=500u64).map(|n| n * step % 501) {
            if recorder.is_slow(ms(n)) {
                recorder.keep(call(Outcome::Ok, n));
            }
        }
        let expected: Vec<u64> = (401..=500).rev().collect();
        assert_eq!(took(&recorder, Kind::Slowest, MOST), expected, "{step}");
        assert_eq!(took(&recorder, Kind::Slowest, 2), [500, 499]);
        assert!(!recorder.is_slow(ms(401)) && recorder.is_slow(ms(402)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_that_failed_is_among_the_failed_ones_only() {
    let recorder = Recorder::default();
    recorder.keep(call(Outcome::ReadDeadline, 900));
    recorder.keep(call(Outcome::BizStatus, 5));
    assert_eq!(took(&recorder, Kind::Failed, MOST), [900]);
    assert_eq!(took(&recorder, Kind::Slowest, MOST), [5]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_turned_away_leave_those_that_were_tried_where_they_are() {
    let recorder = Recorder::default();
    for n in 1..=100 {
        recorder.keep(call(Outcome::ReadDeadline, n));
    }
    let mut kept = 0;
    for n in 0..100_000 {
        tokio::time::advance(Duration::from_micros(100)).await;
        let outcome = [Outcome::RateLimited, Outcome::Overloaded][n % 2];
        if recorder.takes_untried(outcome, Instant::now()) {
            recorder.keep_untried(call(outcome, 0));
            kept += 1;
        }
    }
    assert!(
        (190..=200).contains(&kept),
        "{kept}: of each outcome ten a second"
    );
    let all = recorder.calls(Kind::Failed, 200);
    let tried = |it: &&Entry| it.outcome == Outcome::ReadDeadline;
    assert_eq!(all.iter().filter(tried).count(), MOST);
    assert_eq!(all.len(), MOST + UNTRIED);
    let newest = recorder.calls(Kind::Failed, UNTRIED);
    assert!(!newest.iter().any(|it| tried(&it)), "the newest first");
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_a_slow_call_makes_room_for_quicker_ones() {
    let recorder = Recorder::default();
    for _ in 0..50 {
        recorder.keep(call(Outcome::Ok, 900));
    }
    tokio::time::advance(SLOW_FOR / 2).await;
    for _ in 0..50 {
        recorder.keep(call(Outcome::BizStatus, 100));
    }
    recorder.upkeep(Instant::now());
    assert!(!recorder.is_slow(ms(100)), "both halves are young enough");
    tokio::time::advance(SLOW_FOR / 2).await;
    assert!(!recorder.is_slow(ms(1)), "until the upkeep looks");
    recorder.upkeep(Instant::now());
    assert!(recorder.is_slow(ms(1)));
    assert_eq!(took(&recorder, Kind::Slowest, MOST), [100; 50]);
    tokio::time::advance(SLOW_FOR).await;
    recorder.upkeep(Instant::now());
    assert!(took(&recorder, Kind::Slowest, MOST).is_empty());
}

#[test]
fn an_entry_is_small() {
    let size = size_of::<Entry>();
    assert!(size <= 360, "{size}");
}

#[tokio::test(start_paused = true)]
async fn long_names_and_explanations_are_cut_in_whole_characters() {
    let recorder = Recorder::default();
    let failed = Failed::new(Outcome::NoEndpoints, Instant::now()).because("误".repeat(10_000));
    let mut entry = call(Outcome::NoEndpoints, 1);
    entry.failed = Some(failed);
    entry.head.as_mut().unwrap().method = "方".repeat(100).into();
    recorder.keep(entry);
    let kept = recorder.calls(Kind::Failed, 1).remove(0);
    assert_eq!(
        kept.failed.as_ref().unwrap().detail.as_ref().unwrap().len(),
        300
    );
    let shown = kept.show("item");
    assert_eq!(shown["method"].as_str().unwrap(), "方".repeat(21));
    let text = shown["text"].as_str().unwrap();
    assert!(text.starts_with("tidegate: no usable endpoint for item: 误"));
    assert!(text.len() <= 300, "{text}");
}

#[test]
fn a_call_says_which_deadline_held_for_it() {
    for (key, by) in [("deadline", "policy"), ("the caller's deadline", "caller")] {
        let mut entry = call(Outcome::Deadline, 1);
        entry.deadline = Some(Limit::Time(key, ms(250)));
        let shown = entry.show("item");
        assert_eq!(shown["deadline"]["seconds"], 0.25);
        assert_eq!(shown["deadline"]["by"], by);
    }
    assert!(call(Outcome::Ok, 1).show("item")["deadline"].is_null());
}

fn at(name: &str) -> Arc<str> {
    name.into()
}

fn tries(timeline: &Timeline, outcome: Outcome, total: u64, begun: u32, sent: bool) -> Tries {
    timeline.tries(outcome, ms(total), begun, sent, || Some(at("looked up")))
}

fn seconds(mark: Mark) -> f64 {
    mark.seconds().unwrap()
}

#[test]
fn a_mark_tells_the_first_instant_from_none() {
    assert_eq!(Mark::at(Duration::ZERO).seconds(), Some(0.0));
    assert_eq!(Mark::at(ms(1_500)).seconds(), Some(1.5));
    assert_eq!(Mark::NONE.seconds(), None);
    let last = seconds(Mark::at(Duration::from_secs(1 << 40)));
    assert!(last > 4_000.0, "it stands still after 71 minutes: {last}");
}

#[test]
fn a_reply_in_one_read_has_its_first_byte_with_its_last() {
    let timeline = Timeline::default();
    timeline.begin(ms(1));
    timeline.answered(Outcome::Ok, ms(9));
    let tries = tries(&timeline, Outcome::Ok, 12, 1, true);
    let [only] = &*tries.kept else {
        panic!("{tries:?}")
    };
    assert_eq!(only.endpoint.as_deref(), Some("looked up"));
    assert_eq!(only.marks.written, only.marks.picked, "it did not wait");
    assert_eq!(seconds(only.marks.picked), 0.001);
    assert_eq!(seconds(only.marks.first_byte), 0.009);
    assert_eq!(only.marks.last_byte, only.marks.first_byte);
    assert_eq!(only.marks.connect, (Mark::NONE, Mark::NONE));
}

#[test]
fn a_failed_try_takes_its_marks_along() {
    let timeline = Timeline::default();
    timeline.unconnected(&at("down"), Outcome::ConnectRefused, ms(1), ms(2));
    timeline.connected(ms(2), ms(4));
    timeline.begin(ms(4));
    timeline.wrote(ms(5));
    timeline.first_byte(ms(6));
    timeline.failed(&at("cut"), Outcome::ReplyCut, ms(7), true);
    timeline.begin(ms(8));
    timeline.answered(Outcome::Ok, ms(10));
    let tries = tries(&timeline, Outcome::Ok, 11, 2, true);
    let [down, cut, good] = &*tries.kept else {
        panic!("{tries:?}")
    };
    assert_eq!(down.marks.connect, (Mark::at(ms(1)), Mark::NONE));
    assert_eq!(down.marks.ended, Mark::at(ms(2)));
    assert_eq!(
        (down.outcome, cut.outcome),
        (Outcome::ConnectRefused, Outcome::ReplyCut)
    );
    assert_eq!(
        cut.marks,
        Marks {
            picked: Mark::at(ms(2)),
            connect: (Mark::at(ms(2)), Mark::at(ms(4))),
            written: Mark::at(ms(5)),
            first_byte: Mark::at(ms(6)),
            last_byte: Mark::NONE,
            ended: Mark::at(ms(7)),
        }
    );
    assert_eq!(good.marks.connect, (Mark::NONE, Mark::NONE));
    assert_eq!(good.marks.first_byte, Mark::at(ms(10)));
}

#[test]
fn a_try_that_nobody_settled_ends_with_its_call() {
    let timeline = Timeline::default();
    timeline.failed(&at("a"), Outcome::Reset, ms(1), false);
    timeline.begin(ms(2));
    let tries = tries(&timeline, Outcome::ClientGone, 5, 2, false);
    let last = tries.kept.last().unwrap();
    assert_eq!((tries.kept.len(), last.outcome), (2, Outcome::ClientGone));
    assert_eq!(last.marks.ended, Mark::at(ms(5)));
    assert_eq!(
        (last.marks.written, last.marks.last_byte),
        (Mark::NONE, Mark::NONE)
    );
}

#[test]
fn an_endpoint_that_was_removed_meanwhile_is_named_all_the_same() {
    let timeline = Timeline::default();
    timeline.begin(ms(1));
    timeline.answered(Outcome::Ok, ms(2));
    timeline.answered_by(&at("gone"));
    let tries = timeline.tries(Outcome::Ok, ms(2), 1, true, || None);
    assert_eq!(tries.kept[0].endpoint.as_deref(), Some("gone"));
}

#[test]
fn of_very_many_tries_the_first_and_the_newest_are_kept() {
    let timeline = Timeline::default();
    for n in 1..=100 {
        timeline.begin(ms(n));
        timeline.failed(&at(&n.to_string()), Outcome::Reset, ms(n), false);
    }
    let tries = tries(&timeline, Outcome::Reset, 100, 100, false);
    let names: Vec<&str> = tries
        .kept
        .iter()
        .map(|it| it.endpoint.as_deref().unwrap())
        .collect();
    assert_eq!(names[..8], ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(
        names[8..],
        ["93", "94", "95", "96", "97", "98", "99", "100"]
    );
    assert_eq!(tries.left_out, 84);
}
