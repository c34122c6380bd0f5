use proptest::prelude::*;

use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Two seconds in twenty buckets.
fn window() -> (Window, Instant) {
    let window = Window::new(ms(2_000), 20);
    let epoch = window.epoch;
    (window, epoch)
}

#[test]
fn a_new_window_is_empty() {
    let (window, start) = window();
    assert_eq!(window.totals(start), (0, 0));
    assert_eq!(window.totals(start + ms(3_600_000)), (0, 0));
}

#[test]
fn what_was_added_leaves_with_its_bucket() {
    let (window, start) = window();
    window.add(start + ms(50), 3, 1);
    window.add(start + ms(150), 10, 2);
    assert_eq!(window.totals(start + ms(1_999)), (13, 3));
    assert_eq!(window.totals(start + ms(2_000)), (10, 2));
    assert_eq!(window.totals(start + ms(2_099)), (10, 2));
    assert_eq!(window.totals(start + ms(2_100)), (0, 0));
}

#[test]
fn a_bucket_of_an_older_turn_is_begun_anew() {
    let (window, start) = window();
    window.add(start, 7, 7);
    window.add(start + ms(2_000), 1, 0);
    assert_eq!(window.totals(start + ms(2_000)), (1, 0));
}

#[test]
fn what_comes_a_whole_turn_late_is_not_counted() {
    let (window, start) = window();
    window.add(start + ms(2_010), 1, 0);
    window.add(start + ms(10), 9, 9);
    assert_eq!(window.totals(start + ms(2_010)), (1, 0));
}

#[test]
fn an_instant_before_the_window_began_counts_as_its_beginning() {
    let (window, start) = window();
    if let Some(before) = start.checked_sub(ms(1)) {
        window.add(before, 1, 1);
        assert_eq!(window.totals(start), (1, 1));
    }
}

#[test]
fn a_full_bucket_stays_full() {
    let (window, start) = window();
    for _ in 0..3 {
        window.add(start, u32::MAX, MOST - 1);
    }
    assert_eq!(
        window.totals(start),
        (u64::from(MOST), u64::from(MOST)),
        "no count spills into its neighbour"
    );
    window.add(start + ms(100), 1, 0);
    assert_eq!(window.totals(start + ms(100)).0, u64::from(MOST) + 1);
}

#[test]
fn a_reset_forgets_and_counts_on_at_once() {
    let (window, start) = window();
    window.add(start + ms(10), 5, 5);
    window.add(start + ms(110), 5, 5);
    window.reset();
    assert_eq!(window.totals(start + ms(120)), (0, 0));
    window.add(start + ms(120), 1, 0);
    assert_eq!(window.totals(start + ms(120)), (1, 0));
}

#[test]
fn a_window_counts_on_after_its_turns_have_run_out() {
    let window = Window::new(ms(20), 20);
    let late = window.epoch + ms(20) * (TURN_MASK as u32 + 1);
    window.add(late - ms(5), 2, 1);
    window.add(late + ms(5), 3, 0);
    assert_eq!(window.totals(late + ms(5)), (5, 1));
}

#[test]
fn even_senseless_sizes_count() {
    let window = Window::new(Duration::ZERO, 0);
    window.add(window.epoch, 1, 1);
    assert_eq!(window.totals(window.epoch), (1, 1));
}

#[test]
fn adds_of_several_threads_all_count() {
    let (window, start) = window();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..1_000 {
                    window.add(start + ms(i % 200), 1, u32::from(i % 4 == 0));
                }
            });
        }
    });
    assert_eq!(window.totals(start + ms(200)), (4_000, 1_000));
}

/// The plain way: every add is kept, and counts while its bucket is one of the last `buckets`.
fn model(adds: &[(u64, u32, u32)], width: u64, buckets: u64, now: u64) -> (u64, u64) {
    adds.iter()
        .filter(|(at, ..)| at / width + buckets > now / width)
        .fold((0, 0), |(calls, bad), add| {
            (calls + u64::from(add.1), bad + u64::from(add.2))
        })
}

proptest! {
    #[test]
    fn any_adds_at_non_decreasing_times_equal_the_plain_way(
        buckets in 1u64..30,
        width in 1u64..200,
        steps in proptest::collection::vec((0u64..500, 0u32..50, 0u32..50), 1..80),
        idle in 0u64..10_000,
    ) {
        let window = Window::new(ms(width * buckets), buckets as usize);
        let (mut now, mut adds) = (0, Vec::new());
        for (step, calls, bad) in steps {
            now += step;
            window.add(window.epoch + ms(now), calls, bad);
            adds.push((now, calls, bad));
            let counted = window.totals(window.epoch + ms(now));
            prop_assert_eq!(counted, model(&adds, width, buckets, now));
        }
        now += idle;
        let counted = window.totals(window.epoch + ms(now));
        prop_assert_eq!(counted, model(&adds, width, buckets, now));
    }
}
