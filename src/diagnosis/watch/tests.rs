#![allow(clippy::unwrap_used)]
use super::*;
use crate::probe::Connect;

fn secs(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

fn codes(watch: &Watch) -> Vec<Code> {
    watch.list().iter().map(|it| it.code).collect()
}

fn refused() -> Connect {
    Connect::Refused(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn what_a_connect_finds_gives_way_to_the_next_one_and_goes_with_a_success() {
    let (watch, now) = (Watch::default(), Instant::now());
    watch.unreachable(&refused(), "refused", now);
    assert_eq!(codes(&watch), [Code::P01]);
    watch.unreachable(&Connect::TimedOut(secs(1.0)), "no answer", now + secs(1.0));
    assert_eq!(codes(&watch), [Code::P02]);
    watch.too_far("a connect takes 80ms", now + secs(2.0));
    assert_eq!(codes(&watch), [Code::P12]);
    watch.connected();
    assert_eq!(codes(&watch), []);
}

#[tokio::test(start_paused = true)]
async fn a_private_address_without_a_route_is_found_where_no_interface_is_in_its_network() {
    let (watch, now) = (Watch::default(), Instant::now());
    let no_route = Connect::Unreachable("No route to host".into());
    for (on_link, found) in [(true, vec![Code::P03]), (false, vec![Code::R05, Code::P03])] {
        watch.register(&Arc::new(Origin {
            class: Class::Private,
            on_link,
            ..Origin::default()
        }));
        watch.unreachable(&no_route, "No route to host", now);
        let mut seen = codes(&watch);
        seen.sort_by_key(|code| std::cmp::Reverse(*code == Code::R05));
        assert_eq!(seen, found);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_is_not_found_a_second_time() {
    let watch = Watch::default();
    watch.register(&Arc::new(Origin {
        class: Class::Loopback,
        codes: vec![Code::R02],
        alone: false,
        ..Origin::default()
    }));
    watch.unreachable(&refused(), "refused", Instant::now());
    assert_eq!(codes(&watch), [Code::P01]);
    assert_eq!(watch.judge(&refused()), [Code::R02, Code::P01]);
}

#[tokio::test(start_paused = true)]
async fn a_lone_slow_call_accuses_nobody_and_a_second_one_without_an_answer_does() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    let answered = Some(at(5.0));
    let lone = watch.overdue(answered, at(10.0), at(12.0));
    assert_eq!(lone, Life::Unheard(Some(secs(5.0))));
    assert_eq!((codes(&watch), lone.code()), (vec![], None));
    let second = watch.overdue(answered, at(12.25), at(14.25));
    assert_eq!(second, Life::Silent(Some(secs(4.25))));
    assert_eq!(codes(&watch), [Code::P08]);
    // An impatient caller's call.
    let third = watch.life(answered, at(14.25), at(14.5));
    assert_eq!(third, Life::Silent(Some(secs(4.5))));
    // A late answer.
    let answered = Some(at(15.0));
    assert_eq!(
        watch.life(answered, at(14.5), at(16.5)),
        Life::Answers { often: false }
    );
    assert_eq!(
        watch.life(answered, at(15.5), at(16.5)),
        Life::Unheard(Some(secs(0.5)))
    );
    watch.upkeep(answered, at(16.5));
    assert_eq!(codes(&watch), []);
}

#[tokio::test(start_paused = true)]
async fn what_never_answered_is_silent_from_the_second_overdue_try_on_whatever_their_order() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    assert_eq!(watch.life(None, at(0.0), at(1.0)), Life::Unheard(None));
    // Of two workers, the one whose try ended later may come first.
    watch.overdue(None, at(0.1), at(1.2));
    assert_eq!(codes(&watch), []);
    watch.overdue(None, at(0.0), at(1.1));
    assert_eq!(codes(&watch), [Code::P08]);
    for n in 2..8 {
        let life = watch.overdue(None, at(f64::from(n)), at(f64::from(n) + 0.4));
        assert_eq!(life, Life::Silent(None));
        watch.upkeep(None, at(f64::from(n) + 0.4));
        assert_eq!(codes(&watch), [Code::P08]);
    }
}

#[tokio::test(start_paused = true)]
async fn three_overdue_calls_beside_others_that_are_answered_are_slow_for_ten_seconds() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    for n in [1.0, 20.0, 25.0] {
        let life = watch.overdue(Some(at(n)), at(n), at(n + 1.0));
        assert_eq!(life, Life::Answers { often: false });
        assert_eq!(codes(&watch), []);
    }
    let life = watch.overdue(Some(at(28.0)), at(28.0), at(29.0));
    assert_eq!(life, Life::Answers { often: true });
    assert_eq!(codes(&watch), [Code::P13]);
    // Nobody calls any more.
    watch.upkeep(Some(at(28.0)), at(39.0));
    assert_eq!(codes(&watch), [Code::P13]);
    watch.upkeep(Some(at(28.0)), at(39.1));
    assert_eq!(codes(&watch), []);
}

#[tokio::test(start_paused = true)]
async fn a_silent_endpoint_that_nobody_calls_any_more_is_forgotten_after_minutes() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    watch.overdue(None, at(0.0), at(1.0));
    watch.overdue(None, at(1.0), at(2.0));
    watch.upkeep(None, at(302.0));
    assert_eq!(codes(&watch), [Code::P08]);
    watch.upkeep(None, at(302.1));
    assert_eq!(codes(&watch), []);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_too_far_away_stays_so_while_connects_time_out() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    let timed_out = Connect::TimedOut(secs(0.05));
    watch.unreachable(&timed_out, "no answer", at(0.0));
    watch.too_far("a connect takes 80ms", at(0.1));
    for n in 1..5 {
        let now = at(f64::from(n));
        watch.unreachable(&timed_out, "no answer", now);
        let found = watch.list();
        assert_eq!(codes(&watch), [Code::P12]);
        assert_eq!(&*found[0].said, "a connect takes 80ms");
        assert_eq!(found[0].last, now);
    }
    watch.unreachable(&refused(), "refused", at(6.0));
    assert_eq!(codes(&watch), [Code::P01]);
}

#[tokio::test(start_paused = true)]
async fn what_was_reached_before_is_not_accused_of_its_range() {
    let timed_out = Connect::TimedOut(secs(1.0));
    let no_route = Connect::Unreachable("No route to host".into());
    for code in [Code::R04, Code::R06, Code::R18] {
        let watch = Watch::default();
        watch.register(&Arc::new(Origin {
            codes: vec![code],
            ..Origin::default()
        }));
        assert_eq!(watch.judge(&timed_out), [code, Code::P02]);
        watch.connected();
        assert_eq!(watch.judge(&timed_out), [Code::P02]);
        assert_eq!(watch.judge(&no_route), [Code::P03]);
    }
    let watch = Watch::default();
    watch.register(&Arc::new(Origin {
        class: Class::ContainerNetwork,
        on_link: true,
        alone: false,
        ..Origin::default()
    }));
    assert_eq!(watch.judge(&timed_out), [Code::R04, Code::P02]);
    watch.unreachable(&timed_out, "no answer", Instant::now());
    assert_eq!(codes(&watch), [Code::R04, Code::P02]);
    watch.connected();
    assert_eq!(codes(&watch), []);
    assert_eq!(watch.judge(&refused()), [Code::P01]);
    let watch = Watch::default();
    watch.register(&Arc::new(Origin {
        class: Class::Private,
        ..Origin::default()
    }));
    assert_eq!(watch.judge(&no_route), [Code::R05, Code::P03]);
    watch.connected();
    assert_eq!(watch.judge(&no_route), [Code::P03]);
}

#[tokio::test(start_paused = true)]
async fn one_outage_is_told_once_whatever_its_connects_find() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    watch.register(&Arc::new(Origin {
        class: Class::Private,
        ..Origin::default()
    }));
    let no_route = Connect::Unreachable("No route to host".into());
    let mut told = Vec::new();
    for n in 0..20 {
        let connect = match n % 3 {
            0 => no_route.clone(),
            1 => Connect::TimedOut(secs(1.0)),
            _ => refused(),
        };
        let now = at(f64::from(n) * 0.7);
        watch.unreachable(&connect, "no way", now);
        told.extend(watch.upkeep(None, now));
    }
    assert!(matches!(&told[..], [News::Stands(_)]), "{told:?}");
    watch.connected();
    let over = watch.upkeep(None, at(20.0));
    assert!(matches!(over[..], [News::Gone(_)]), "{over:?}");
    assert_eq!(watch.upkeep(None, at(21.0)), []);
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_what_was_seen() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    watch.overdue(None, at(0.0), at(1.0));
    watch.overdue(None, at(0.1), at(1.0));
    watch.upkeep(None, at(1.1));
    assert_eq!(codes(&watch), [Code::P08]);
    watch.upkeep(Some(at(2.0)), at(2.1));
    assert_eq!(codes(&watch), []);
    watch.found(Code::P05, "HTTP/1.1 400", at(3.0));
    watch.upkeep(Some(at(2.0)), at(3.1));
    assert_eq!(codes(&watch), [Code::P05]);
    watch.upkeep(Some(at(4.0)), at(4.1));
    assert_eq!(codes(&watch), []);
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_finding_where_another_protocol_is_spoken() {
    let (watch, now) = (Watch::default(), Instant::now());
    for code in [Code::P05, Code::P06, Code::P07, Code::P11] {
        for n in 0..4 {
            // It may be known before the silence, or after.
            if n == 2 {
                watch.found(code, "it says so", now);
            }
            watch.overdue(None, now + secs(f64::from(n) / 10.0), now + secs(1.0));
        }
        assert_eq!(codes(&watch), [code]);
        assert_eq!(watch.protocol(), Some(code));
        watch.upkeep(Some(now + secs(1.0)), now + secs(1.0));
        assert_eq!(codes(&watch), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_is_told_once_when_it_has_stood_for_a_second_and_once_when_it_goes() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    watch.unreachable(&refused(), "refused", at(0.0));
    assert_eq!(watch.upkeep(None, at(0.9)), []);
    let news = watch.upkeep(None, at(1.0));
    assert!(matches!(&news[..], [News::Stands(it)] if it.code == Code::P01));
    watch.unreachable(&refused(), "refused", at(1.5));
    assert_eq!(watch.upkeep(None, at(2.0)), []);
    watch.connected();
    assert_eq!(watch.upkeep(None, at(2.1)), [News::Gone(Code::P01)]);
    // What nobody was told of goes unsaid.
    watch.unreachable(&refused(), "refused", at(3.0));
    watch.connected();
    assert_eq!(watch.upkeep(None, at(5.0)), []);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_idle_connections_is_found_and_a_failed_connect_ends_that() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    for n in 0..3 {
        watch.closed(Closed::one(secs(2.1)), at(10.0 * f64::from(n)));
    }
    assert_eq!(
        (codes(&watch), watch.habit()),
        (vec![Code::P09], Some(secs(2.1)))
    );
    // An answer proves nothing against it.
    watch.upkeep(Some(at(25.0)), at(25.0));
    assert_eq!(codes(&watch), [Code::P09]);
    watch.unreachable(&refused(), "refused", at(26.0));
    watch.connected();
    watch.upkeep(Some(at(27.0)), at(27.0));
    assert_eq!((codes(&watch), watch.habit()), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_looked_at_once_in_thirty_seconds() {
    let (watch, start) = (Watch::default(), Instant::now());
    let may: Vec<bool> = [0.0, 1.0, 29.9, 30.0, 45.0, 60.0]
        .map(|n| watch.take_probe(start + secs(n)))
        .into();
    assert_eq!(may, [true, false, false, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_far_endpoint_that_was_told_as_silent_is_told_once_more_when_that_is_known() {
    let (watch, start) = (Watch::default(), Instant::now());
    let told = |after: f64| -> Vec<(bool, Code)> {
        let news = watch.upkeep(None, start + secs(after));
        let code = |it: News| match it {
            News::Stands(finding) => (true, finding.code),
            News::Gone(code) => (false, code),
        };
        news.into_iter().map(code).collect()
    };
    let times_out = |after: f64| {
        let connect = Connect::TimedOut(secs(0.05));
        watch.unreachable(&connect, "no answer", start + secs(after));
    };
    times_out(0.0);
    assert!(watch.may_be_far());
    assert_eq!(told(1.0), [(true, Code::P02)]);
    watch.too_far("a connect takes 80ms", start + secs(1.5));
    assert_eq!(told(2.0), [(true, Code::P12)]);
    times_out(3.0);
    assert!(!watch.may_be_far());
    assert_eq!(told(4.0), []);
    watch.connected();
    assert_eq!(told(5.0), [(false, Code::P12)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_refutes_is_not_held_against_a_registration_any_more() {
    let registered = |codes: &[Code], alone| {
        let watch = Watch::default();
        watch.register(&Arc::new(Origin {
            codes: codes.to_vec(),
            alone,
            ..Origin::default()
        }));
        watch
    };
    let all = [Code::R02, Code::R04, Code::R06, Code::R08, Code::R18];
    let held = |watch: &Watch| -> Vec<Code> {
        all.into_iter().filter(|code| watch.holds(*code)).collect()
    };
    for (alone, left) in [(true, vec![Code::R08]), (false, vec![Code::R02, Code::R08])] {
        let watch = registered(&all, alone);
        assert_eq!(held(&watch), all);
        watch.connected();
        assert_eq!(held(&watch), left);
        // Nor if it fails again.
        watch.unreachable(&Connect::TimedOut(secs(1.0)), "no answer", Instant::now());
        assert_eq!(held(&watch), left);
    }
    let refuses = registered(&all, false);
    refuses.unreachable(&refused(), "refused", Instant::now());
    assert_eq!(held(&refuses), [Code::R02, Code::R08, Code::R18]);
}
