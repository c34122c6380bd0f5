#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn quantiles_are_of_the_last_answers_only() {
    let (mut tally, addr) = (Tally::default(), "127.0.0.1:1".parse().unwrap());
    for _ in 0..KEPT {
        tally.answered(addr, Duration::from_secs(9));
    }
    for ms in 1..=KEPT as u64 {
        tally.answered(addr, Duration::from_millis(ms));
    }
    let count = &tally.by_address[&addr];
    assert_eq!(count.answered, 2 * KEPT as u64);
    assert_eq!(count.quantile(0.0), Some(Duration::from_millis(1)));
    assert_eq!(count.quantile(1.0), Some(Duration::from_secs(2)));
    assert_eq!(Count::default().quantile(0.5), None);
}

#[test]
fn a_failure_counts_where_its_text_says_and_the_first_text_is_kept() {
    let (mut tally, addr) = (Tally::default(), "127.0.0.1:1".parse().unwrap());
    tally.failed(Some(addr), "first".into());
    tally.failed(Some(addr), "second".into());
    tally.failed(None, "elsewhere".into());
    assert_eq!((tally.by_address[&addr].failed, tally.all_failed()), (2, 3));
    assert_eq!(tally.examples[&Some(addr)], "first");
}
