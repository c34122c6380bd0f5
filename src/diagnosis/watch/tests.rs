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
async fn an_endpoint_that_answers_others_is_slow_and_one_that_answers_nothing_is_silent() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    assert_eq!(watch.life(None, at(0.0), at(1.0)), Life::Silent(None));
    // Answered at 10 s; calls that were sent before and after, and waited for 2 s.
    let heard = Some(at(10.0));
    assert_eq!(watch.life(heard, at(9.0), at(11.0)), Life::Answers);
    let shortly = watch.life(heard, at(10.2), at(12.2));
    assert_eq!(shortly, Life::Answered(secs(0.2)));
    watch.overdue(&shortly, at(12.2));
    assert_eq!(codes(&watch), [Code::P13]);
    // The overdue try itself is heard of, and is no answer.
    let heard = Some(at(12.2));
    let next = watch.life(heard, at(12.3), at(14.3));
    assert_eq!(next, Life::Silent(Some(secs(4.3))));
    watch.overdue(&next, at(14.3));
    assert_eq!(codes(&watch), [Code::P08]);
    // A late answer.
    assert_eq!(
        watch.life(Some(at(15.0)), at(14.4), at(16.4)),
        Life::Answers
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_waited_beside_the_first_overdue_one_are_judged_alike() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    for sent in [10.1, 10.2, 10.3] {
        let life = watch.life(Some(at(10.0)), at(sent), at(sent + 1.0));
        assert_eq!(life.code(), Code::P13, "sent at {sent}");
        watch.overdue(&life, at(sent + 1.0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_what_was_seen_and_slowness_ten_seconds_later() {
    let (watch, start) = (Watch::default(), Instant::now());
    let at = |n: f64| start + secs(n);
    watch.found(Code::P05, "HTTP/1.1 400", at(1.0));
    watch.overdue(&Life::Silent(None), at(1.0));
    // The try that was overdue, and no more.
    watch.upkeep(Some(at(1.0)), at(1.1));
    assert_eq!(codes(&watch), [Code::P05, Code::P08]);
    watch.upkeep(Some(at(2.0)), at(2.1));
    assert_eq!(codes(&watch), []);
    watch.overdue(&Life::Answers, at(3.0));
    watch.upkeep(Some(at(12.9)), at(12.9));
    assert_eq!(codes(&watch), [Code::P13]);
    watch.upkeep(Some(at(13.1)), at(13.1));
    assert_eq!(codes(&watch), []);
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
