//! The tables and keys of resilience: read, layered, refused and doubted.

use std::time::Duration;

use crate::config::{CheckKind, Policy, Preset, RateLimit, Share};
use crate::outcome::{Outcome, Outcomes};

use super::{load, service};

fn policy(defaults: &str, table: &str) -> Policy {
    let config = load(&service(defaults, table)).unwrap();
    config.services[0].policy.clone()
}

#[test]
fn every_key_is_read() {
    let policy = policy(
        "",
        "retry_on=['exception','closed_early']\nretry_backoff='5ms'\nrate_limit=100\nrate_burst=7\n\
         [service.breaker]\nenabled=false\nwindow='3s'\nmin_samples=5\nerror_rate=0.25\n\
         consecutive=4\ncooling='2s'\ncounts=['biz_status','declared_exception']\n\
         [service.ejection]\nenabled=false\nconsecutive=1\nfailure_rate=1\n\
         success_rate_stdev_factor=2000\nmax_ejection_percent=10\nmin_available=2\n\
         base_ejection_time='1s'\nmax_ejection_time='2s'\nslow_start='0s'\n\
         [service.retry_budget]\npercent=0\nmin_per_second=3\n\
         [service.health_check]\nkind='call'\nmethod='Ping'\ninterval='10s'\njitter=0\n\
         timeout='2s'\nunhealthy_threshold=2\nhealthy_threshold=4\nrequired=true\n",
    );
    let call = &policy.call;
    let named = Outcomes::NONE.with("exception").with("closed_early");
    assert_eq!(call.retry_on, named);
    assert_eq!(call.retry_backoff, Duration::from_millis(5));
    assert_eq!((call.rate.per_second, call.rate.burst), (100, 7));
    let breaker = &policy.breaker;
    assert_eq!((breaker.enabled, breaker.preset), (false, Preset::Tidegate));
    assert_eq!((breaker.min_samples, breaker.consecutive), (5, 4));
    assert_eq!(breaker.error_rate, Share::millionths(250_000));
    assert_eq!(breaker.window, Duration::from_secs(3));
    assert_eq!(breaker.cooling, Duration::from_secs(2));
    assert_eq!(breaker.counts.names(), ["declared_exception", "biz_status"]);
    let ejection = &policy.ejection;
    assert_eq!((ejection.enabled, ejection.consecutive), (false, 1));
    assert_eq!(ejection.failure_rate, Share::millionths(1_000_000));
    assert_eq!(ejection.success_rate_stdev_factor, 2000);
    assert_eq!(
        (ejection.max_ejection_percent, ejection.min_available),
        (10, 2)
    );
    assert_eq!(ejection.max_ejection_time, Duration::from_secs(2));
    assert_eq!(ejection.slow_start, Duration::ZERO);
    let budget = policy.retry_budget;
    assert_eq!((budget.percent, budget.min_per_second), (0, 3));
    let health = &policy.health_check;
    assert_eq!(
        (health.kind, health.method.as_str()),
        (CheckKind::Call, "Ping")
    );
    assert_eq!(health.timeout, Duration::from_secs(2));
    assert_eq!(
        (health.unhealthy_threshold, health.healthy_threshold),
        (2, 4)
    );
    assert!(health.jitter.is_zero() && health.required);
}

#[test]
fn a_services_table_is_read_over_the_defaults() {
    let defaults = "[defaults]\nretry_on=['reset']\n[defaults.breaker]\nwindow='5s'\ncooling='9s'\n\
                    [defaults.ejection]\nconsecutive=7\n[defaults.retry_budget]\npercent=1";
    let policy = policy(
        defaults,
        "[service.breaker]\ncooling='4s'\n[service.ejection]\nmin_available=3\n\
         [service.retry_budget]\nmin_per_second=2",
    );
    assert_eq!(policy.breaker.window, Duration::from_secs(5));
    assert_eq!(policy.breaker.cooling, Duration::from_secs(4));
    assert_eq!(
        (policy.ejection.consecutive, policy.ejection.min_available),
        (7, 3)
    );
    assert_eq!(
        (
            policy.retry_budget.percent,
            policy.retry_budget.min_per_second
        ),
        (1, 2)
    );
    assert!(policy.call.retry_on.contains(Outcome::Reset));
    assert_eq!(
        self::policy(defaults, "retry_on=[]").call.retry_on,
        Outcomes::NONE
    );
}

#[test]
fn a_preset_that_is_written_stands_in_the_place_of_the_defaults() {
    let defaults = "[defaults.breaker]\nwindow='5s'\nerror_rate=0.9";
    let kitex = policy(defaults, "[service.breaker]\npreset='kitex'\ncooling='4s'").breaker;
    assert_eq!(kitex.cooling, Duration::from_secs(4));
    let same = crate::config::BreakerPolicy {
        cooling: Duration::from_secs(5),
        ..kitex
    };
    assert_eq!(same, Preset::Kitex.policy());
    // Not written, it is inherited like any other key.
    let defaults = "[defaults.breaker]\npreset='kitex'\nmin_samples=50";
    let inherited = policy(defaults, "[service.breaker]\nwindow='1s'").breaker;
    assert_eq!(
        (inherited.preset, inherited.min_samples),
        (Preset::Kitex, 50)
    );
    // Written again, it brings back its own values.
    let again = policy(defaults, "[service.breaker]\npreset='kitex'").breaker;
    assert_eq!(again, Preset::Kitex.policy());
}

#[test]
fn a_health_check_without_a_kind_connects() {
    let health = |defaults: &str, table: &str| policy(defaults, table).health_check;
    assert_eq!(health("", "").kind, CheckKind::Off);
    assert_eq!(
        health("", "[service.health_check]").kind,
        CheckKind::Connect
    );
    let off = "[defaults.health_check]\nkind='off'";
    assert_eq!(health(off, "").kind, CheckKind::Off);
    assert_eq!(
        health(off, "[service.health_check]\ninterval='9s'").kind,
        CheckKind::Connect
    );
    let call = "[defaults.health_check]\nkind='call'\nmethod='Ping'\nrequired=true";
    let inherited = health(call, "[service.health_check]\ninterval='9s'");
    assert_eq!(
        (inherited.kind, inherited.method.as_str()),
        (CheckKind::Call, "Ping")
    );
    // What is off requires nothing, whatever stands above.
    let off = health(call, "[service.health_check]\nkind='off'");
    assert_eq!((off.kind, off.required), (CheckKind::Off, false));
}

#[test]
fn a_method_has_no_rate_limit_of_its_service() {
    let text = "rate_limit=10\nrate_burst=20\nretry_on=['reset']\nretry_backoff='1s'\n\
                [service.method.Get]\n[service.method.Put]\nrate_limit=5";
    let config = load(&service("[defaults]\nrate_limit=99", text)).unwrap();
    let service = &config.services[0];
    let rate = |per_second, burst| RateLimit { per_second, burst };
    assert_eq!(service.policy.call.rate, rate(10, 20));
    assert_eq!(service.methods["Get"].rate, rate(0, 0));
    assert_eq!(service.methods["Put"].rate, rate(5, 0));
    assert!(service.methods["Get"].retry_on.contains(Outcome::Reset));
    assert_eq!(service.methods["Put"].retry_backoff, Duration::from_secs(1));
}

#[test]
fn a_limit_per_source_is_read() {
    let config = load("").unwrap();
    assert_eq!(config.listeners[0].max_connections_per_source, 0);
    let more = "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nmax_connections_per_source=5";
    assert_eq!(
        load(more).unwrap().listeners[1].max_connections_per_source,
        5
    );
}

#[test]
fn numbers_may_come_from_the_environment() {
    let config = load(
        "[defaults.breaker]\nerror_rate='${TIDEGATE_NOT_SET:-0.25}'\nmin_samples='${TIDEGATE_NOT_SET:-7}'",
    );
    let breaker = config.unwrap().defaults.breaker;
    assert_eq!((breaker.error_rate.get(), breaker.min_samples), (0.25, 7));
}
