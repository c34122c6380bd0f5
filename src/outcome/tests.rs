#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::Duration;

use super::*;

#[test]
fn an_outcome_that_may_be_tried_again_is_never_the_callers_fault() {
    for outcome in Outcome::ALL {
        let row = outcome.row();
        if row.again != Again::Never {
            assert_ne!(row.blame, Blame::Caller, "{outcome:?}");
        }
    }
}

#[test]
fn what_is_tidegates_own_or_the_callers_is_charged_to_no_endpoint() {
    for outcome in Outcome::ALL {
        let row = outcome.row();
        if matches!(row.blame, Blame::Tidegate | Blame::Caller) {
            assert_eq!(row.endpoint, Charge::Nothing, "{outcome:?}");
            let counted = !matches!(row.breaker, Counts::Nothing | Counts::Impatience);
            assert!(!counted, "{outcome:?}");
        }
    }
}

#[test]
fn an_overdue_row_keeps_the_label_and_counts_as_a_timeout() {
    for plain in [Outcome::Deadline, Outcome::ClientGone] {
        let overdue = plain.overdue();
        assert_eq!(plain.label(), overdue.label());
        assert_eq!(overdue.row().endpoint, Charge::Timeout);
        assert_eq!(overdue.row().breaker, Counts::Timeout);
    }
    assert_eq!(Outcome::Reset.overdue(), Outcome::Reset);
}

#[test]
fn four_labels_have_two_rows_each() {
    let mut labels: Vec<_> = Outcome::ALL.iter().map(|o| o.label()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len() + 4, Outcome::ALL.len());
    for label in [
        "deadline",
        "client_gone",
        "business_error",
        "stale_connection",
    ] {
        let rows = Outcome::ALL.iter().filter(|o| o.label() == label);
        assert_eq!(rows.count(), 2, "{label}");
    }
}

#[test]
fn a_policy_may_name_what_may_have_run_and_nothing_else() {
    assert_eq!(
        Outcomes::nameable(),
        [
            "business_error",
            "exception",
            "stale_connection",
            "reset",
            "closed_early",
            "reply_cut",
            "read_deadline",
            "bad_reply"
        ]
    );
    let named = Outcomes::NONE.with("business_error");
    assert!(named.contains(Outcome::BizStatus) && named.contains(Outcome::DeclaredException));
    assert!(!named.contains(Outcome::Exception));
    assert_eq!(named.labels(), ["business_error"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_endpoint_service_limit_try_phase_and_method() {
    let failed = Failed::new(Outcome::ReadDeadline, Instant::now())
        .during(Phase::FirstByte, Reach::Written)
        .to(7, &Arc::from("10.0.3.7:8888"))
        .limit(
            Limit::Time("read_deadline", Duration::from_millis(800)),
            Duration::from_millis(800),
        )
        .tries(1, 1);
    assert_eq!(
        failed.explain("item", "Get"),
        "tidegate: no answer from 10.0.3.7:8888 (item) within read_deadline 800ms, \
         try 1 of 1, phase first_byte; called Get"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_service_is_named_where_the_call_named_one() {
    let failed =
        Failed::new(Outcome::UnknownService, Instant::now()).because("nothing is registered");
    assert_eq!(
        failed.explain("item", "Get"),
        "tidegate: unknown service item: nothing is registered; called Get"
    );
    assert!(
        failed
            .explain("", "Get")
            .starts_with("tidegate: unknown service: nothing")
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_names_its_method_once() {
    let failed = Failed::new(Outcome::BreakerOpen, Instant::now())
        .because("61 % of 240 calls failed in 2s, next probe in 0.6s");
    assert_eq!(
        failed.explain("item", "GetItem"),
        "tidegate: breaker open for item.GetItem: 61 % of 240 calls failed in 2s, next probe in 0.6s"
    );
    assert!(
        failed
            .to_string()
            .starts_with("breaker open for the service: 61 %")
    );
}

#[test]
fn durations_read_as_people_write_them() {
    for (us, text) in [
        (45, "45us"),
        (1_500, "1.5ms"),
        (800_000, "800ms"),
        (1_200_000, "1.2s"),
        (3_000_000, "3s"),
    ] {
        assert_eq!(human(Duration::from_micros(us)), text);
    }
}
