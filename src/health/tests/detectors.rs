//! What ejects an endpoint, and what does not.

use super::*;

use Charge::{Exception, Failure, Nothing, Success, Timeout};

#[tokio::test(start_paused = true)]
async fn five_hard_failures_in_a_row_or_eight_with_exceptions_are_consecutive() {
    // The average stays under 0.4 in all of them: it is the row that is found.
    type Charges = &'static [(Charge, usize)];
    let table: &[(&str, Charges, bool)] = &[
        ("four timeouts", &[(Timeout, 4)], false),
        ("five timeouts", &[(Timeout, 5)], true),
        ("five resets", &[(Failure, 5)], true),
        ("timeouts and resets", &[(Timeout, 2), (Failure, 3)], true),
        ("seven exceptions", &[(Exception, 7)], false),
        ("eight exceptions", &[(Exception, 8)], true),
        (
            "an exception among timeouts",
            &[(Timeout, 3), (Exception, 1), (Timeout, 3)],
            false,
        ),
        (
            "eight in all",
            &[(Timeout, 3), (Exception, 1), (Timeout, 4)],
            true,
        ),
        (
            "a success between",
            &[(Timeout, 4), (Success, 1), (Timeout, 4)],
            false,
        ),
        (
            "nothing between",
            &[(Timeout, 4), (Nothing, 9), (Timeout, 1)],
            true,
        ),
    ];
    for (name, charges, ejects) in table {
        let (all, _) = endpoints(3);
        let mut last = Learned::default();
        for (charge, n) in *charges {
            last = report(&all[0], *charge, *n);
        }
        let found = last.eject.or(last.held.map(|held| held.0));
        assert_eq!(found, ejects.then_some(Reason::Consecutive), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_average_of_four_tenths_is_found_without_any_row() {
    let (all, _) = endpoints(3);
    let rules = EjectionPolicy::default();
    let mut failed = 0;
    loop {
        failed += 1;
        let learned = all[0].observe(Exception, &rules, Instant::now());
        others_succeed(&all[0]);
        if learned.eject.is_some() {
            assert_eq!(learned.eject, Some(Reason::FailureRate));
            break;
        }
        assert!(failed < 50, "never found");
        report(&all[0], Success, usize::from(failed % 2 == 0));
    }
    let average = all[0].snapshot().score.average();
    assert!((0.4..0.45).contains(&average), "{average}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_the_others_too_is_no_endpoints_fault() {
    let (all, _) = endpoints(3);
    for _ in 0..40 {
        for endpoint in &all[1..] {
            // A third of the first one's average is enough to clear it.
            report(endpoint, Exception, 1);
            report(endpoint, Success, 1);
        }
    }
    let learned = report(&all[0], Timeout, 30);
    assert_eq!((learned.eject, learned.held), (None, None));
    let (others, own) = (
        all[0].snapshot().mean_of_others,
        all[0].snapshot().score.average(),
    );
    assert!(others > 0.33 && own < 3.0 * others, "{own} beside {others}");
}

#[tokio::test(start_paused = true)]
async fn one_overdue_try_is_probation_and_one_success_ends_it() {
    let (all, _) = endpoints(2);
    assert_eq!(report(&all[0], Timeout, 1).state, Some(State::Probation));
    assert_eq!(report(&all[0], Timeout, 1).state, None);
    assert_eq!(report(&all[0], Success, 1).state, Some(State::Up));
    assert_eq!(report(&all[0], Exception, 1).state, None);
    assert_eq!(report(&all[0], Failure, 1).state, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_its_doing_charges_nothing() {
    for charge in [Nothing, Charge::Down] {
        let (all, _) = endpoints(2);
        assert_eq!(report(&all[0], charge, 100), Learned::default());
        assert_eq!(all[0].take_tally(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_set_to_zero_is_no_rule() {
    let (all, _) = endpoints(2);
    let mut rules = EjectionPolicy {
        consecutive: 0,
        ..EjectionPolicy::default()
    };
    let mut n = 0;
    while all[0]
        .observe(Failure, &rules, Instant::now())
        .eject
        .is_none()
    {
        n += 1;
        others_succeed(&all[0]);
    }
    assert!(n > 8, "by the average only, after {n}");
    rules.failure_rate = crate::config::Share::millionths(0);
    for _ in 0..100 {
        assert_eq!(all[1].observe(Failure, &rules, Instant::now()).eject, None);
    }
}

#[tokio::test(start_paused = true)]
async fn with_ejection_off_nobody_is_watched() {
    let (all, _) = endpoints(2);
    let rules = EjectionPolicy {
        enabled: false,
        ..EjectionPolicy::default()
    };
    for _ in 0..100 {
        assert_eq!(
            all[0].observe(Timeout, &rules, Instant::now()),
            Learned::default()
        );
    }
    assert_eq!(all[0].state(), State::Up);
}

#[tokio::test(start_paused = true)]
async fn the_caps_hold_an_endpoint_in_and_say_so_once() {
    // (endpoints, percent, min_available, ejected before, what holds the next)
    let table = [
        (1, 50, 1, 0, Some(Held::Last)),
        (2, 50, 1, 0, None),
        (2, 50, 1, 1, Some(Held::Last)),
        (3, 50, 1, 0, None),
        (3, 50, 1, 1, Some(Held::Cap)),
        (4, 50, 1, 1, None),
        (4, 50, 3, 1, Some(Held::Last)),
        (4, 100, 0, 3, None),
        (10, 10, 1, 0, None),
        (9, 10, 1, 0, Some(Held::Cap)),
    ];
    for (n, percent, min_available, before, held) in table {
        let (all, peers) = endpoints(n);
        let rules = EjectionPolicy {
            max_ejection_percent: percent,
            min_available,
            ..EjectionPolicy::default()
        };
        for endpoint in all.iter().take(before) {
            endpoint.eject(Reason::Consecutive, &rules, Instant::now(), 0.0);
        }
        let case = format!("{n} endpoints, {percent} %, {min_available} left, {before} out");
        assert_eq!(peers.held(&rules), held, "{case}");
        let last = all.last().unwrap();
        let mut learned = Learned::default();
        for _ in 0..5 {
            others_succeed(last);
            learned = last.observe(Timeout, &rules, Instant::now());
        }
        assert_eq!(learned.eject.is_some(), held.is_none(), "{case}");
        assert_eq!(learned.held.map(|held| held.1), held, "{case}");
        if held.is_some() {
            assert_eq!(
                last.observe(Timeout, &rules, Instant::now()),
                Learned::default(),
                "{case}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_are_down_are_not_among_those_left() {
    let (all, peers) = endpoints(3);
    let rules = EjectionPolicy::default();
    all[0].connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
    all[1].connect_failed(Outcome::ConnectRefused, "", Instant::now(), 0.0);
    assert_eq!(peers.held(&rules), Some(Held::Last));
    all[0].connected();
    assert_eq!(peers.held(&rules), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_witness_it_is_on_probation_until_others_were_tried() {
    let (all, _) = endpoints(2);
    let fail =
        |health: &Health| health.observe(Failure, &EjectionPolicy::default(), Instant::now());
    // A good average of long ago is no witness.
    report(&all[1], Success, 100);
    let learned: Vec<Learned> = (0..5).map(|_| fail(&all[0])).collect();
    assert_eq!(learned[4].eject, None);
    assert_eq!(learned[4].state, Some(State::Probation));
    let cause = all[0].snapshot().probation.map(|it| it.cause);
    assert_eq!(cause, Some(Cause::NoWitness));
    assert_eq!(fail(&all[0]), Learned::default(), "said once");
    all[0].peers.tries(false);
    assert_eq!(fail(&all[0]).eject, None, "one is not enough");
    (0..3).for_each(|_| all[0].peers.tries(false));
    assert_eq!(fail(&all[0]).eject, Some(Reason::Consecutive));
    assert_eq!(report(&all[0], Success, 1).state, Some(State::Up));
}

#[tokio::test(start_paused = true)]
async fn witnesses_that_fail_as_well_speak_for_it() {
    let (all, _) = endpoints(3);
    let fail =
        |health: &Health| health.observe(Exception, &EjectionPolicy::default(), Instant::now());
    for _ in 0..50 {
        assert_eq!(fail(&all[0]).eject, None);
        assert_eq!(fail(&all[1]).eject, None);
    }
}
