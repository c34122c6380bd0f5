//! What is printed loads as the same, and a service's part of it is short.
#![allow(clippy::unwrap_used)]

use proptest::prelude::{Strategy, prop};

use crate::config::Config;

const LISTENER: &str = "[[listener]]\nname='l'\nlisten='127.0.0.1:1'\n";

/// A table, a key of it, and values that it may have.
type Key = (&'static str, &'static str, &'static [&'static str]);

const KEYS: [Key; 22] = [
    (
        "",
        "retry_on",
        &["[]", "['reset']", "['exception','reset']"],
    ),
    ("", "retry_backoff", &["'25ms'", "'0s'"]),
    ("", "rate_limit", &["0", "5", "7"]),
    ("", "rate_burst", &["0", "5"]),
    ("", "tries", &["1", "4"]),
    ("breaker", "enabled", &["true", "false"]),
    ("breaker", "preset", &["'kitex'", "'tidegate'"]),
    ("breaker", "window", &["'2s'", "'10s'", "'1m'"]),
    ("breaker", "min_samples", &["20", "200", "1"]),
    ("breaker", "error_rate", &["0.5", "1", "0.333333"]),
    ("breaker", "consecutive", &["10", "0"]),
    (
        "breaker",
        "counts",
        &["[]", "['timeout']", "['timeout','exception']"],
    ),
    ("ejection", "enabled", &["true", "false"]),
    ("ejection", "failure_rate", &["0", "0.4", "1"]),
    ("ejection", "min_available", &["1", "0"]),
    ("ejection", "max_ejection_time", &["'60s'", "'5s'"]),
    ("retry_budget", "percent", &["20", "0"]),
    ("health_check", "kind", &["'off'", "'connect'", "'call'"]),
    ("health_check", "method", &["'Ping'", "'Pong'"]),
    ("health_check", "interval", &["'5s'", "'1s'"]),
    ("health_check", "jitter", &["0", "0.1"]),
    ("health_check", "required", &["false"]),
];

/// Tables below `outer` with some of the keys, and a method's rate.
fn tables(outer: &'static str) -> impl Strategy<Value = String> {
    let each = (0..KEYS.len(), 0_usize..3);
    prop::collection::vec(each, 0..14).prop_map(move |mut chosen| {
        chosen.sort_unstable();
        chosen.dedup_by_key(|it| it.0);
        let mut text = String::new();
        let mut last = "";
        for (key, value) in chosen {
            let (table, key, values) = KEYS[key];
            if table != last {
                text += &format!("[{outer}.{table}]\n");
                last = table;
            }
            text += &format!("{key}={}\n", values[value % values.len()]);
        }
        text
    })
}

/// As it loads from what it prints. What was doubted stands elsewhere then.
fn again(config: &Config) -> Config {
    let printed = config.to_toml();
    match Config::from_str("printed", &printed) {
        Ok(config) => undoubted(config),
        Err(errors) => panic!("{errors}\n{printed}"),
    }
}

fn undoubted(mut config: Config) -> Config {
    config.warnings.clear();
    config
}

proptest::proptest! {
    #[test]
    fn what_is_printed_loads_as_the_same_policies(
        defaults in tables("defaults"),
        service in tables("service"),
        method in "(|rate_limit=5\n|rate_limit=7\nrate_burst=5\n|retry_on=\\['reset'\\]\n)",
    ) {
        let text = format!(
            "[defaults]\n{defaults}{LISTENER}[[service]]\nname='s'\nendpoints=['h:1']\n{service}\
             [service.method.Get]\n{method}"
        );
        // A check by call without a method, for one, is refused.
        if let Ok(config) = Config::from_str("t", &text) {
            let config = undoubted(config);
            proptest::prop_assert_eq!(again(&config), config, "{}", text);
        }
    }
}

/// What is printed of the service in `more`.
fn printed(more: &str) -> String {
    let text = format!("{LISTENER}{more}");
    let config = Config::from_str("t", &text).unwrap();
    assert_eq!(again(&config), undoubted(config.clone()), "{text}");
    let printed = config.to_toml();
    let (_, service) = printed.split_once("[[service]]\n").unwrap();
    service
        .trim_start_matches("name = \"s\"\nendpoints = [\"h:1\"]\n")
        .into()
}

#[test]
fn a_service_prints_only_the_keys_that_differ() {
    let service = "[[service]]\nname='s'\nendpoints=[{address='h:1'}]\n";
    let cases = [
        ("[service.breaker]\nwindow='2s'", ""),
        (
            "[service.breaker]\nwindow='3s'",
            "[service.breaker]\nwindow = \"3s\"\n",
        ),
        (
            "[service.breaker]\npreset='kitex'",
            "[service.breaker]\npreset = \"kitex\"\n",
        ),
        (
            "[service.breaker]\npreset='kitex'\nwindow='2s'",
            "[service.breaker]\npreset = \"kitex\"\nwindow = \"2s\"\n",
        ),
        (
            "[service.health_check]",
            "[service.health_check]\nkind = \"connect\"\n",
        ),
        (
            "[service.health_check]\nkind='off'\ninterval='9s'",
            "[service.health_check]\ninterval = \"9s\"\nkind = \"off\"\n",
        ),
        (
            "[service.method.Get]\nrate_limit=0",
            "[service.method.Get]\n",
        ),
    ];
    for (more, expected) in cases {
        let printed = printed(&format!("{service}{more}"));
        assert!(
            printed.trim_start().ends_with(expected),
            "{more}\n{printed}"
        );
        let tables = printed.matches("[service.").count() - printed.matches("[[service.").count();
        assert_eq!(tables, expected.matches('[').count(), "{more}\n{printed}");
    }
    // Limits that a service and its method have alike are both printed.
    let both = printed(&format!(
        "{service}rate_limit=5\n[service.method.Get]\nrate_limit=5"
    ));
    assert_eq!(both.matches("rate_limit = 5").count(), 2, "{both}");
}

#[test]
fn a_listeners_services_print_as_they_are_written() {
    let text = format!("{LISTENER}services=['shop.*','stock']");
    let config = Config::from_str("t", &text).unwrap();
    assert_eq!(again(&config), config);
    let printed = config.to_toml();
    assert!(
        printed.contains("services = [\"shop.*\", \"stock\"]"),
        "{printed}"
    );
}
