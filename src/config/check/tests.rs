#![allow(clippy::unwrap_used)]

mod contradictions;
mod lanes;
mod resilience;
mod rewrites;
mod routes;

use crate::config::{Config, ConfigErrors};

/// A registry and a listener on port 1: enough to load.
const BASE: &str = "[[registry]]\nname='main'\nkind='file'\npath='i.toml'\n\
                    [[listener]]\nname='one'\nregistry='main'\nlisten='127.0.0.1:1'\n";

fn load(more: &str) -> Result<Config, ConfigErrors> {
    Config::from_str("t", &format!("{BASE}{more}"))
}

/// A service with what `table` says, over `defaults`.
fn service(defaults: &str, table: &str) -> String {
    format!("{defaults}\n[[service]]\nname='s'\n{table}")
}

/// Asserts that `more` has exactly one error, which says `expected`.
fn refused(more: &str, expected: &str) {
    let Err(errors) = load(more) else {
        panic!("accepted: {more}");
    };
    assert_eq!(errors.len(), 1, "{more}\n{errors}");
    assert!(errors.to_string().contains(expected), "{more}\n{errors}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    refused(
        "[runtime]\nworker=1",
        "of [runtime], found `worker`; did you mean `workers`?",
    );
    refused("[defualts]\n", "did you mean `defaults`?");
    refused("[admin]\nport=1", "it knows `listen`");
    refused(
        "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nlissten='y'",
        "of [[listener]]",
    );
    refused(
        "[[service]]\nname='s'\n[service.method.Get]\ntrie=1",
        "of [service.method.Get]",
    );
    refused(
        "[[registry]]\nname='f'\nkind='file'\npath='x'\nprefix='y'",
        "of [[registry]]",
    );
    refused(
        "[[service]]\nname='s'\nendpoints=[{address='h:1',wieght=1}]",
        "`weight`?",
    );
}

#[test]
fn keys_of_what_is_not_built_yet_are_refused() {
    refused("[[hedge]]\nname='x'", "expected a key of");
}

#[test]
fn every_error_is_reported_at_once_in_the_order_of_the_lines() {
    let text = "[runtime]\nworkers=-1\nwat=1\n[defaults]\ntries=7\nbalance='lest_loaded'\n";
    let errors = load(text).unwrap_err();
    let lines: Vec<usize> = errors
        .iter()
        .map(|it| it.spot.as_ref().unwrap().line)
        .collect();
    assert_eq!(lines, [10, 11, 13, 14], "{errors}");
    assert!(
        errors[3]
            .to_string()
            .contains("did you mean \"least_loaded\"?")
    );
}

#[test]
fn a_missing_key_names_its_table_and_an_example() {
    let text = "[[listener]]\nname='x'\n";
    refused(
        text,
        "expected the key `listen` in [[listener]], found none; for example: listen = ",
    );
    refused(
        "[[listener]]\nlisten='127.0.0.1:2'",
        "the key `name` in [[listener]]",
    );
    refused("[[registry]]\nname='x'", "the key `kind` in [[registry]]");
    refused(
        "[[registry]]\nname='x'\nkind='etcd'",
        "the key `endpoints` in [[registry]]",
    );
    refused(
        "[[registry]]\nname='x'\nkind='file'",
        "the key `path` in [[registry]]",
    );
    refused("[[service]]\ntries=1", "the key `name` in [[service]]");
    refused("[metrics]\n", "the key `listen` in [metrics]");
    refused(
        "[[service]]\nname='s'\nendpoints=[{weight=1}]",
        "`address` in [[service.endpoints]]",
    );
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let cases = [
        ("[runtime]\nworkers=1025", "from 0 to 1024, found 1025"),
        ("[runtime]\nworkers=1.5", "found 1.5"),
        (
            "[runtime]\nworkers=99999999999999999999",
            "more than 64 bits",
        ),
        ("[runtime]\nmax_frame='1TiB'", "from 1KiB to 1GiB"),
        ("[runtime]\nmax_frame=true", "found true"),
        ("[runtime]\nmax_services=0", "from 1 to 100000"),
        ("[defaults]\ntries=0", "from 1 to 6, found 0"),
        ("[defaults]\nconnect_attempts=11", "from 1 to 10"),
        ("[defaults]\nconnect_timeout='0s'", "from 1ms to 1h"),
        ("[defaults]\nconnect_timeout=3", "a duration"),
        ("[defaults]\nread_deadline='25h'", "from 1ms to 24h"),
        ("[defaults]\ndeadline='none'", "or \"off\", found \"none\""),
        ("[defaults]\nidempotent='yes'", "true or false"),
        (
            "[defaults]\nsuspicious='avoided'",
            "did you mean \"avoid\"?",
        ),
        ("[defaults]\nbalance=''", "found an empty text"),
        (
            "[[service]]\nname='s'\nendpoints=[{address='h:1',weight=0}]",
            "from 1 to 1000000",
        ),
        (
            "[[listener]]\nname='x'\nlisten='127.0.0.1:2'\nmax_in_flight=0",
            "from 1 to 65536",
        ),
        ("[log]\nformat='xml'", "\"text\" or \"json\""),
        ("[log]\nlevel='inof'", "did you mean \"info\"?"),
        (
            "[log]\nlevel='info,tidegate=loud'",
            "expected log directives",
        ),
        ("runtime=5", "expected a table, [runtime], found 5"),
    ];
    for (more, expected) in cases {
        // A bare key must stand before the first table.
        let text = match more.starts_with('[') {
            true => format!("{BASE}{more}"),
            false => format!("{more}\n{BASE}"),
        };
        let errors = Config::from_str("t", &text).unwrap_err();
        assert_eq!(errors.len(), 1, "{more}\n{errors}");
        assert!(errors.to_string().contains(expected), "{more}\n{errors}");
    }
}

#[test]
fn tables_of_another_shape_are_refused() {
    let errors = Config::from_str("t", "listener = 5\nregistry = [1]\n")
        .unwrap_err()
        .to_string();
    assert!(
        errors.contains("expected tables, each under [[listener]], found 5"),
        "{errors}"
    );
    assert!(
        errors.contains("expected a table, [[registry]], found 1"),
        "{errors}"
    );
    refused(
        "[[service]]\nname='s'\nmethod=1",
        "[service.method.NAME], found 1",
    );
    refused("[[service]]\nname='s'\nendpoints=[1]", "found 1");
    refused(
        "[[service]]\nname='s'\nendpoints=[{address='h:1',tags={a=1}}]",
        "a text, found 1",
    );
}

#[test]
fn the_limits_on_held_bytes_must_fit_each_other() {
    refused(
        "[runtime]\nhold='2MiB'\nmax_frame='1MiB'",
        "`hold` to be at most `max_frame`",
    );
    refused(
        "[runtime]\nmax_buffered='1MiB'",
        "`max_buffered` to be at least `max_frame`",
    );
    // What is not written makes room for what is.
    let runtime = load("[runtime]\nmax_frame='512KiB'").unwrap().runtime;
    assert_eq!((runtime.max_frame, runtime.hold), (512 << 10, 512 << 10));
    let runtime = load("[runtime]\nmax_frame='1GiB'").unwrap().runtime;
    assert_eq!(runtime.max_buffered, 1 << 30);
    assert_eq!(load("[runtime]\nhold=65536").unwrap().runtime.hold, 65536);
}

#[test]
fn what_can_hardly_be_meant_is_a_warning_with_its_line() {
    let cases = [
        (
            "[defaults]\nread_deadline='3s'\ndeadline='1s'",
            10,
            "it never acts",
        ),
        (
            "[defaults]\nconnect_stagger='2s'",
            10,
            "is not shorter than `connect_timeout`",
        ),
        (
            "[defaults]\nidempotent=true\ntries=1",
            11,
            "nothing is sent again",
        ),
    ];
    for (more, line, expected) in cases {
        let config = load(more).unwrap();
        let [warning] = config.warnings() else {
            panic!("{more}: {:?}", config.warnings());
        };
        assert_eq!(warning.spot.as_ref().unwrap().line, line, "{warning}");
        assert!(warning.to_string().contains(expected), "{warning}");
    }
    // The built-in read deadline yields to a deadline: no contradiction.
    assert_eq!(load("[defaults]\ndeadline='1s'").unwrap().warnings(), []);
    // Said once, where it is written, not again for each table below.
    let text = "[defaults]\nread_deadline='3s'\ndeadline='1s'\n[[service]]\nname='s'\n";
    assert_eq!(load(text).unwrap().warnings().len(), 1);
    let method = format!("{text}[service.method.Get]\nread_deadline='2s'");
    assert_eq!(load(&method).unwrap().warnings().len(), 2);
    let slash = "[[registry]]\nname='e'\nkind='etcd'\nendpoints=['http://e:1']\nprefix='a/'\n\
                 [[listener]]\nname='x'\nlisten='[::]:1'";
    assert!(
        Config::from_str("t", slash).unwrap().warnings()[0]
            .to_string()
            .contains("\"a\"")
    );
}

#[test]
fn a_service_that_no_listener_leads_to_is_doubted() {
    const FIXED: &str = "[[listener]]\nname='l'\nlisten='127.0.0.1:1'\nservice='a'\n";
    let service = |name: &str| format!("[[service]]\nname='{name}'\nendpoints=['h:1']\n");
    let (a, b) = (service("a"), service("b"));
    let warnings = |text: &str| {
        let config = Config::from_str("t", text).unwrap();
        let all = config.warnings().iter().map(|it| it.message.clone());
        all.collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(&format!("{FIXED}{a}{b}")),
        ["no listener leads to service \"b\": each has another `service`, or other `services`"]
    );
    let open = "[[listener]]\nname='all'\nlisten='127.0.0.1:2'\n";
    assert_eq!(warnings(&format!("{FIXED}{open}{a}{b}")), [""; 0]);
}

#[test]
fn an_empty_config_is_named_and_a_variable_that_is_not_set_is_said_once() {
    let empty = Config::from_str("t", "").unwrap_err().to_string();
    assert!(empty.contains("found none in t"), "{empty}");
    let text = "[[listener]]\nname='l'\nlisten='${TIDEGATE_NOPE}'\nservice='s'\n\
                [[service]]\nname='s'\nendpoints=['h:1']\n";
    let errors = Config::from_str("t", text).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors}");
    assert!(errors.to_string().contains("is not set"), "{errors}");
}

#[test]
fn two_versions_of_a_service_tell_the_keys_that_differ() {
    let service = |table: &str| load(&service("", table)).unwrap().services.remove(0);
    let old = service("tries=2\n[service.breaker]\nwindow='3s'\n[service.method.Get]\ntries=1");
    let new = service("tries=2\nmax_idle=3\n[service.breaker]\nwindow='4s'");
    assert_eq!(
        crate::config::changed_keys(&old, &new),
        ["breaker.window", "max_idle", "method"]
    );
    assert!(crate::config::changed_keys(&old, &old).is_empty());
}
