//! What is refused or doubted of the tables and keys of resilience, each with its place.

use crate::config::Problem;

use super::{BASE, load, service};

/// The one error of `more`, as `line:column: text`, its lines counted from 1.
fn error(more: &str) -> String {
    let errors = load(more).expect_err(more);
    assert_eq!(errors.len(), 1, "{more}\n{errors}");
    placed(&errors[0])
}

/// The warnings of `more`, likewise.
fn warnings(more: &str) -> Vec<String> {
    let config = load(more).unwrap_or_else(|errors| panic!("{more}\n{errors}"));
    config.warnings().iter().map(placed).collect()
}

fn placed(problem: &Problem) -> String {
    let spot = problem.spot.as_ref().unwrap();
    let lines = BASE.lines().count();
    let help = problem.help.as_deref().unwrap_or_default();
    let line = spot.line - lines;
    format!("{line}:{}: {}; {help}", spot.column, problem.message)
}

fn check(cases: &[(&str, &str, &str)], found: impl Fn(&str) -> String) {
    for (more, place, text) in cases {
        let found = found(more);
        assert!(found.starts_with(&format!("{place}: ")), "{more}\n{found}");
        assert!(found.contains(text), "{more}\n{found}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    const ABOVE: &str = "expected a number above 0, at most 1, such as 0.5, found";
    let cases = [
        ("[defaults.breaker]\nerror_rate=0", "2:12", ABOVE),
        (
            "[defaults.breaker]\nerror_rate=0.0000001",
            "2:12",
            "found 0.0000001",
        ),
        (
            "[defaults.breaker]\nerror_rate=1.5",
            "2:12",
            "found 1.5; 1.5 % is error_rate = 0.015",
        ),
        (
            "[defaults.breaker]\nerror_rate=50",
            "2:12",
            "found 50; 50 % is error_rate = 0.5",
        ),
        ("[defaults.breaker]\nerror_rate=-0.5", "2:12", ABOVE),
        ("[defaults.breaker]\nerror_rate=nan", "2:12", "found nan"),
        (
            "[defaults.breaker]\nerror_rate='0.5'",
            "2:12",
            "found \"0.5\"",
        ),
        (
            "[defaults.breaker]\nerror_rate=1979-05-27",
            "2:12",
            "found 1979-05-27",
        ),
        (
            "[defaults.breaker]\npreset='kitx'",
            "2:8",
            "did you mean \"kitex\"?",
        ),
        (
            "[defaults.breaker]\nmin_samples=0",
            "2:13",
            "from 1 to 1000000",
        ),
        (
            "[defaults.breaker]\nmin_sample=9",
            "2:1",
            "did you mean `min_samples`?",
        ),
        (
            "[defaults.breaker]\nwindow='50ms'",
            "2:8",
            "from 100ms to 1h",
        ),
        (
            "[defaults.breaker]\ncounts='timeout'",
            "2:8",
            "an array with some of",
        ),
        (
            "[defaults.breaker]\ncounts=['timeout','exeption']",
            "2:19",
            "did you mean \"exception\"?",
        ),
        (
            "[defaults]\nbreaker=true",
            "2:9",
            "a table, [defaults.breaker], found true",
        ),
        (
            "[[service]]\nname='s'\n[service.breaker]\nerror_rat=1",
            "4:1",
            "of [service.breaker]",
        ),
        (
            "[defaults.ejection]\nfailure_rate=2",
            "2:14",
            "a number from 0 to 1",
        ),
        (
            "[defaults.ejection]\nmax_ejection_percent=101",
            "2:22",
            "from 0 to 100",
        ),
        (
            "[defaults.ejection]\nbase_ejection_time='2m'",
            "2:20",
            "at most `max_ejection_time`",
        ),
        (
            "[defaults.ejection]\nmax_ejection_time='1s'",
            "2:19",
            "at most `max_ejection_time`",
        ),
        (
            "[defaults.retry_budget]\npercent=0.2",
            "2:9",
            "a whole number from 0 to 1000, found 0.2",
        ),
        (
            "[defaults.health_check]\nkind='tcp'",
            "2:6",
            "\"off\", \"connect\" or \"call\"",
        ),
        (
            "[defaults.health_check]\nkind='call'",
            "2:6",
            "`method` beside `kind = \"call\"`",
        ),
        (
            "[defaults.health_check]\nkind='call'\nmethod=''",
            "3:8",
            "found an empty text",
        ),
        (
            "[defaults.health_check]\nunhealthy_threshold=0",
            "2:21",
            "from 1 to 1000",
        ),
        (
            "[defaults.health_check]\nkind='off'\nrequired=true",
            "3:10",
            "beside `required = true`",
        ),
        (
            "[defaults]\nretry_on='reset'",
            "2:10",
            "an array with some of",
        ),
        (
            "[defaults]\nretry_on=['rest']",
            "2:11",
            "did you mean \"reset\"?",
        ),
        ("[defaults]\nretry_on=['reset',5]", "2:19", "found 5"),
        (
            "[defaults]\nretry_on=['connect_refused']",
            "2:11",
            "`connect_refused` is always tried again",
        ),
        (
            "[defaults]\nretry_on=['timeout']",
            "2:11",
            "`read_deadline` is a try without an answer in time",
        ),
        (
            "[defaults]\nretry_on=['deadline']",
            "2:11",
            "`deadline` is never tried again",
        ),
        (
            "[defaults]\nretry_backoff=25",
            "2:15",
            "a duration from 0s to 1h",
        ),
        (
            "[defaults]\nrate_limit=10000001",
            "2:12",
            "from 0 to 10000000",
        ),
        (
            "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nmax_connections_per_source=-1",
            "4:28",
            "from 0 to 1000000",
        ),
        (
            "[defaults]\nerror_rate=0.5",
            "2:1",
            "; it is a key of [defaults.breaker]",
        ),
        (
            "[[service]]\nname='s'\nconsecutive=5",
            "3:1",
            "; it is a key of [service.breaker] and [service.ejection]",
        ),
        (
            "[breaker]\nwindow='2s'",
            "1:2",
            "; it stands in [defaults.breaker] or [service.breaker]",
        ),
        (
            "[[service]]\nname='s'\n[service.method.Get.breaker]",
            "3:21",
            "found `breaker`",
        ),
    ];
    check(&cases, error);
}

#[test]
fn what_can_hardly_be_meant_is_doubted_with_its_place() {
    const DEEP: &str =
        "[defaults]\nidempotent=true\n[defaults.retry_budget]\npercent=0\nmin_per_second=0";
    let cases = [
        (
            "[defaults]\nretry_on=['reset']\ntries=1",
            "3:7",
            "`retry_on` changes nothing with",
        ),
        (
            "[defaults]\nretry_backoff='1s'\ntries=2",
            "2:15",
            "before the second further try",
        ),
        (
            "[defaults]\nretry_backoff='2s'\ndeadline='1s'",
            "2:15",
            "longer than `deadline`",
        ),
        (DEEP, "2:12", "with a `retry_budget` of 0"),
        ("[defaults]\nrate_burst=5", "2:12", "without `rate_limit`"),
        (
            "[[service]]\nname='s'\nrate_limit=5\n[service.method.Get]\nrate_limit=6",
            "5:12",
            "above that of the whole service",
        ),
        (
            "[defaults.breaker]\nmin_samples=1",
            "2:13",
            "a single failed call",
        ),
        (
            "[defaults.breaker]\nconsecutive=1",
            "2:13",
            "every failed call",
        ),
        (
            "[defaults.breaker]\nmin_samples=30000\nconsecutive=0",
            "2:13",
            "hardly ever opens",
        ),
        (
            "[defaults.breaker]\nenabled=false\nwindow='5s'\ncooling='2s'",
            "4:9",
            "`cooling` and `window` change nothing with `enabled = false`",
        ),
        (
            "[defaults.breaker]\nenabled=false\npreset='kitex'",
            "3:8",
            "`preset` changes nothing with `enabled = false`",
        ),
        (
            "[defaults.breaker]\nenabled=false\n[[service]]\nname='s'\n[service.breaker]\nwindow='1s'",
            "6:8",
            "`window` changes nothing with `enabled = false`",
        ),
        (
            "[defaults.ejection]\nenabled=false\nconsecutive=9",
            "3:13",
            "with `enabled = false`",
        ),
        (
            "[defaults.ejection]\nmax_ejection_percent=100\nmin_available=0",
            "2:22",
            "may be ejected at once",
        ),
        (
            "[defaults.ejection]\nmax_ejection_percent=0",
            "2:22",
            "no endpoint is ever ejected",
        ),
        (
            "[defaults.ejection]\nconsecutive=0\nfailure_rate=0\nsuccess_rate_stdev_factor=0",
            "2:13",
            "all three rules",
        ),
        (
            "[defaults.ejection]\nfailure_rate=0.05",
            "2:14",
            "a single failed try",
        ),
        (
            "[defaults.ejection]\nsuccess_rate_stdev_factor=2",
            "2:27",
            "in thousandths",
        ),
        (
            "[[service]]\nname='s'\nendpoints=['h:1','h:2']\n[service.ejection]\nmin_available=2",
            "5:15",
            "`min_available = 2` of 2 endpoints: none is ever ejected",
        ),
        (
            "[defaults]\nconnect_timeout='2s'\ndeadline='1s'",
            "2:17",
            "`connect_timeout` is longer than `deadline`",
        ),
        (
            "[defaults.health_check]\ntimeout='6s'",
            "2:9",
            "longer than `interval`",
        ),
        (
            "[defaults.health_check]\nmethod='Ping'",
            "2:8",
            "only with `kind = \"call\"`",
        ),
        (
            "[defaults.health_check]\nkind='off'\ninterval='1s'",
            "3:10",
            "`interval` changes nothing with `kind = \"off\"`",
        ),
        (
            "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nmax_connections=5\nmax_connections_per_source=5",
            "5:28",
            "it never acts",
        ),
    ];
    check(&cases, |more| {
        let all = warnings(more);
        assert_eq!(all.len(), 1, "{more}\n{all:?}");
        all[0].clone()
    });
}

#[test]
fn what_is_meant_is_not_doubted() {
    const OFF: &str = "[defaults.breaker]\nenabled=false\nwindow='5s'\n[defaults.health_check]\nkind='off'\n\
                       interval='1s'\nmethod='Ping'\n[defaults.ejection]\nenabled=false\nconsecutive=9";
    let on = "[service.breaker]\nenabled=true\n[service.health_check]\nkind='call'\n\
              [service.ejection]\nenabled=true";
    for text in [
        // Switched off above for some, on for others.
        &service(OFF, on),
        // One service that wants no further tries.
        &service("[defaults]\nretry_on=['reset']\nidempotent=true", "tries=1"),
        &service(
            "[defaults]\nidempotent=true",
            "[service.retry_budget]\npercent=0\nmin_per_second=0",
        ),
        "[defaults]\ndeadline='10ms'",
        // With a single endpoint nobody is ever ejected anyway.
        &service("", "endpoints=['h:1']"),
        "[defaults]\ntries=2",
        "[defaults.breaker]\nenabled=false",
        "[defaults.breaker]\nenabled=false\nwindow='2s'",
        "[defaults.breaker]\nmin_samples=30000",
        "[defaults.health_check]\nkind='off'\nrequired=false",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}
