#![allow(clippy::unwrap_used)]
use std::future::{pending, ready};

use super::*;

#[tokio::test(start_paused = true)]
async fn four_are_looked_at_at_once_and_who_finds_no_place_keeps_its_turn() {
    assert!(PLACES.available_permits() <= 4);
    let (places, now) = (Semaphore::new(4), Instant::now());
    let watches: [Watch; 5] = Default::default();
    let mut taken: Vec<_> = watches
        .iter()
        .filter_map(|it| turn(&places, it, now))
        .collect();
    assert_eq!(taken.len(), 4);
    taken.pop();
    assert!(
        turn(&places, &watches[0], now).is_none(),
        "looked at of late"
    );
    assert_eq!(places.available_permits(), 1);
    assert!(turn(&places, &watches[4], now).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_end_is_given_up_after_ten_seconds_and_its_place_is_free() {
    let (places, began) = (Semaphore::new(1), Instant::now());
    let place = || places.try_acquire().unwrap();
    assert_eq!(patiently(ready(1), place()).await, Some(1));
    assert_eq!(patiently(pending::<u8>(), place()).await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert_eq!(places.available_permits(), 1);
}
