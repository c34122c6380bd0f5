#![allow(clippy::unwrap_used)]
use std::task::Poll;

use futures_util::poll;

use super::*;

/// Whether it is this one's turn.
async fn is_called(line: &InLine<'_>) -> bool {
    poll!(std::pin::pin!(line.turn())) == Poll::Ready(())
}

#[tokio::test]
async fn only_the_first_of_a_line_is_called_and_the_next_once_it_left() {
    let waiters = Waiters::default();
    let (a, b) = (waiters.enter(0, 9).unwrap(), waiters.enter(0, 9).unwrap());
    let (first, second) = (a.line_up(), b.line_up());
    assert!(is_called(&first).await, "a place may be free already");
    assert!(!is_called(&second).await);
    waiters.ring();
    assert!(is_called(&first).await && !is_called(&second).await);
    drop(first);
    assert!(is_called(&second).await);
}

#[tokio::test]
async fn a_place_that_became_free_is_offered_to_the_first_of_every_line() {
    let waiters = Waiters::default();
    let entered: Vec<_> = [7, 7, 8]
        .map(|id| waiters.enter(id, 9).unwrap())
        .into_iter()
        .collect();
    let lines: Vec<_> = entered.iter().map(Waiting::line_up).collect();
    for line in &lines {
        is_called(line).await;
    }
    waiters.ring();
    assert!(is_called(&lines[0]).await);
    assert!(!is_called(&lines[1]).await);
    assert!(is_called(&lines[2]).await, "not held up by the other lane");
}

#[tokio::test]
async fn the_limit_is_of_one_line_and_a_line_that_everybody_left_is_gone() {
    let waiters = Waiters::default();
    let full = [waiters.enter(1, 2).unwrap(), waiters.enter(1, 2).unwrap()];
    assert!(waiters.enter(1, 2).is_none());
    let other = waiters.enter(2, 2).unwrap();
    assert_eq!(waiters.count.load(Relaxed), 3);
    assert!(!waiters.has_line(1), "they wait, but not in line");
    let line = other.line_up();
    assert!(waiters.has_line(2));
    drop(line);
    assert!(!waiters.has_line(2));
    drop((full, other));
    assert!(waiters.lines.lock().is_empty());
    assert_eq!(waiters.count.load(Relaxed), 0);
    assert!(waiters.enter(1, 0).is_none());
    assert!(waiters.lines.lock().is_empty());
}
