#![allow(clippy::unwrap_used)]
use super::*;

fn secs(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

/// What is made of closes at these seconds, each of connections that were idle for so long.
fn habit(found: &[(f64, f64, f64)]) -> Option<Duration> {
    let (start, mut closes) = (Instant::now(), Closes::default());
    for (at, shortest, longest) in found {
        let (shortest, longest) = (secs(*shortest), secs(*longest));
        closes.add(Closed { shortest, longest }, start + secs(*at));
    }
    closes.habit()
}

#[tokio::test(start_paused = true)]
async fn three_closes_at_the_same_age_are_a_habit() {
    let two = [(0.0, 2.0, 2.2), (10.0, 2.1, 2.1)];
    assert_eq!(habit(&two), None);
    let third = [two[0], two[1], (20.0, 1.9, 2.3)];
    assert_eq!(habit(&third), Some(secs(1.9)));
}

#[tokio::test(start_paused = true)]
async fn what_is_closed_at_one_moment_counts_once() {
    let one = [(0.0, 2.0, 2.2), (0.3, 2.1, 2.1), (0.6, 2.0, 2.0)];
    assert_eq!(habit(&one), None);
}

#[tokio::test(start_paused = true)]
async fn restarts_are_no_habit() {
    // Connections of all ages, each time.
    let all_ages = [(0.0, 1.2, 3.9), (60.0, 1.1, 3.8), (120.0, 1.2, 3.9)];
    assert_eq!(habit(&all_ages), None);
    // One connection, that happened to be so old.
    let by_chance = [(0.0, 3.0, 3.0), (60.0, 1.4, 1.4), (120.0, 2.2, 2.2)];
    assert_eq!(habit(&by_chance), None);
    // Found in two looks.
    let twice = [
        (0.0, 2.0, 2.0),
        (0.3, 3.5, 3.5),
        (60.0, 2.0, 2.0),
        (120.0, 2.0, 2.0),
    ];
    assert_eq!(habit(&twice), None);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_what_was_just_used_ends_a_habit() {
    let same = [(0.0, 2.0, 2.0), (10.0, 2.0, 2.0), (20.0, 2.0, 2.0)];
    assert!(habit(&same).is_some());
    let crashed = [same[0], same[1], same[2], (30.0, 0.1, 0.1)];
    assert_eq!(habit(&crashed), None);
}

#[tokio::test(start_paused = true)]
async fn a_habit_is_forgotten_after_ten_minutes() {
    let (start, mut closes) = (Instant::now(), Closes::default());
    for n in 0..3 {
        closes.add(Closed::one(secs(2.0)), start + secs(10.0 * f64::from(n)));
    }
    closes.forget(start + secs(600.0));
    assert!(closes.habit().is_some());
    closes.forget(start + secs(620.0));
    assert_eq!(closes.habit(), None);
}
