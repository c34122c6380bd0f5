#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::source::{Source as Text, Sources};
use super::report::Report;
use super::*;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn example(name: &str) -> Config {
    match Config::load(&[examples().join(name)]) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

/// The main example with every key that it shows commented out written.
fn everything() -> String {
    let text = std::fs::read_to_string(examples().join("tidegate.toml")).unwrap();
    let line = |line: &str| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split([' ', '.']).next().unwrap_or_default();
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_key = plain && bare[key.len()..].starts_with(" = ");
        if is_key || bare.starts_with('[') {
            format!("{bare}\n")
        } else {
            format!("{line}\n")
        }
    };
    let text: String = text.lines().map(line).collect();
    // With certificates the URL must be one that uses them.
    text.replace("http://127.0.0.1:2379", "https://127.0.0.1:2379")
}

/// Every key that a reading of `text` looks for.
fn schema(text: &str) -> BTreeSet<String> {
    let sources = Sources(vec![Text::new("everything", text)]);
    let report = Report::new(&sources);
    let root = load::load(&report, &|_| None).unwrap();
    check::check(&root, check::Listeners::Needed, &report);
    let schema = report.schema();
    report.finish().unwrap();
    schema
}

#[test]
fn every_example_loads() {
    for name in ["tidegate.toml", "minimal.toml", "file-registry.toml"] {
        let config = example(name);
        assert!(!config.listeners.is_empty(), "{name}");
        assert_eq!(config.warnings(), [], "{name}");
    }
}

#[test]
fn an_environment_is_one_small_file_over_the_base() {
    let over_base = |name: &str| {
        let files = ["base.toml", name].map(|it| examples().join(it));
        let config = Config::load(&files).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.warnings(), [], "{name}");
        let text = std::fs::read_to_string(&files[1]).unwrap();
        assert!(text.lines().count() <= 30, "{name}");
        let item = config.service("shop.item").unwrap().clone();
        assert!(item.policy.call.read_deadline.explicit, "{name}");
        (config, item)
    };
    let (dev, item) = over_base("dev.toml");
    assert!(matches!(&item.source, Source::Static(all) if all[0].address == "127.0.0.1:9001"));
    assert_eq!(dev.defaults.suspicious, Suspicious::Allow);
    assert_eq!(dev.rewrites.len(), 2);
    let (test, item) = over_base("test.toml");
    assert!(matches!(item.source, Source::Registry(_)));
    assert_eq!(test.rewrites[0].port, Some(30080));
    let (prod, _) = over_base("prod.toml");
    assert_eq!(prod.defaults.suspicious, Suspicious::Refuse);
    // Alone it is one, too.
    assert_eq!(example("base.toml").warnings(), []);
    // An environment may itself be a base.
    let files = ["base.toml", "test.toml", "dev.toml"].map(|it| examples().join(it));
    let names = |config: &Config| -> Vec<String> {
        let rules = config.rewrites.iter();
        rules.map(|rule| rule.label().to_string()).collect()
    };
    let both = Config::load(&files).unwrap();
    assert_eq!(names(&both), ["pods", "containers", "wildcard"]);
    assert_eq!(both.warnings(), []);
}

#[test]
fn the_main_example_shows_every_key_of_the_schema() {
    let text = everything();
    let written: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split(['{', ',']))
        .filter_map(|part| part.split_once('=').map(|(key, _)| key.trim()))
        .collect();
    let tables = [
        "runtime",
        "admin",
        "metrics",
        "log",
        "defaults",
        "tls",
        "method",
        "breaker",
        "ejection",
        "retry_budget",
        "health_check",
    ];
    let arrays = ["registry", "listener", "rewrite", "service", "lane"];
    for path in schema(&text) {
        let key = path.rsplit('.').next().unwrap();
        let table = tables.contains(&key) || arrays.contains(&key);
        assert!(table || written.contains(key), "`{path}` is not shown");
    }
    // The reading itself must have reached the innermost tables.
    let schema = schema(&text);
    for path in [
        "defaults.health_check.required",
        "service.breaker.counts",
        "registry.tls.domain",
        "rewrite.tag",
        "service.method.tries",
        "service.endpoints.tags",
        "service.lane.fallback",
    ] {
        assert!(schema.contains(path), "{path}");
    }
}

#[test]
fn what_the_main_example_shows_as_built_in_is_built_in() {
    let plain = example("tidegate.toml");
    let written = Config::from_str("everything", &everything()).unwrap();
    // Examples of values that have no built-in one, and the read deadline, whose being written
    // means more.
    let mut same = written.clone();
    same.runtime.state_dir = None;
    same.metrics = None;
    same.log.file = None;
    same.defaults.call.read_deadline = ReadDeadline::default();
    same.defaults.health_check.method.clear();
    same.listeners[1].services = None;
    same.listeners
        .retain(|listener| listener.name != "local".into());
    assert_eq!(same.runtime, plain.runtime);
    assert_eq!(same.admin, plain.admin);
    assert_eq!(same.log, plain.log);
    assert_eq!(same.defaults, plain.defaults);
    assert_eq!(same.listeners, plain.listeners);
    assert_eq!(plain.defaults, Policy::default());
    let (Registry::Etcd(plain), Registry::Etcd(written)) =
        (&plain.registries[0], &written.registries[0])
    else {
        panic!("the first registry is etcd");
    };
    assert_eq!(
        (plain.layout, &plain.prefix),
        (written.layout, &written.prefix)
    );
    assert_eq!(plain.timeout, written.timeout);
    assert_eq!(plain.connect_timeout, written.connect_timeout);
}

#[test]
fn the_printed_config_loads_as_the_same_config() {
    let mut texts = vec![everything()];
    for name in [
        "minimal.toml",
        "file-registry.toml",
        "tidegate.toml",
        "base.toml",
    ] {
        texts.push(std::fs::read_to_string(examples().join(name)).unwrap());
    }
    texts.push("[admin]\nlisten = \"off\"\n[[listener]]\nname='a'\nlisten='[::1]:1'\n".into());
    texts.push("[[listener]]\nname='a$${X}'\nlisten='[::1]:1'\n".into());
    texts.push(
        "[[rewrite]]\nservice='*'\nhost='h-1.x_y.'\ntag={'a b'='$${X}','c.d'=''}\n\
         [[rewrite]]\nname='n'\ncidr='::ffff:10.0.0.0/104'\naddress='@x'\nport=1\n\
         [[listener]]\nname='a'\nlisten='[::1]:1'\n"
            .into(),
    );
    for text in texts {
        let mut config = Config::from_str("first", &text).unwrap();
        if let Some(Registry::Etcd(etcd)) = config.registries.first_mut() {
            etcd.password = etcd.password.as_ref().map(|_| Secret::new("(hidden)"));
        }
        let printed = config.to_toml();
        let mut again = Config::from_str("printed", &printed).unwrap();
        // What is doubted stands elsewhere in what is printed.
        assert_eq!(again.warnings.len(), config.warnings.len(), "{printed}");
        again.warnings.clone_from(&config.warnings);
        assert_eq!(again, config, "{printed}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let text = "[[registry]]\nname='m'\nkind='etcd'\nendpoints=['http://e:1']\nuser='u'\n\
                password='hunter2'\n[[listener]]\nname='a'\nlisten='127.0.0.1:1'\nservice='s'\n";
    let config = Config::from_str("t", text).unwrap();
    assert!(!format!("{config:?}{}", config.to_toml()).contains("hunter2"));
    for wrong in [
        "password='hunter2",
        "password=['hunter2']",
        "password='hunter2${'",
    ] {
        let text = text.replace("password='hunter2'", wrong);
        let errors = Config::from_str("t", &text).unwrap_err();
        assert!(
            !format!("{errors} {errors:?}").contains("hunter2"),
            "{errors}"
        );
    }
}

#[test]
fn a_policy_is_the_services_over_the_defaults_over_the_built_in() {
    let text = "[defaults]\nconnect_timeout='2s'\ndeadline='5s'\n\
        [[registry]]\nname='m'\nkind='file'\npath='i.toml'\n\
        [[listener]]\nname='a'\nlisten='127.0.0.1:1'\n\
        [[service]]\nname='s'\ntries=2\n\
        [service.method.Put]\ndeadline='off'\nidempotent=true\n";
    let config = Config::from_str("t", text).unwrap();
    let service = config.service("s").unwrap();
    assert_eq!(service.policy.connect_timeout, Duration::from_secs(2));
    assert_eq!(service.policy.call.tries, 2);
    assert_eq!(service.policy.max_calls, 1024);
    assert_eq!(service.policy.call.deadline, Some(Duration::from_secs(5)));
    assert_eq!(service.policy.call.deadline_source, DeadlineSource::Default);
    let put = service.call_policy("Put");
    assert_eq!(
        (put.deadline, put.deadline_source),
        (None, DeadlineSource::Method)
    );
    assert_eq!((put.tries, put.idempotent), (2, true));
    assert_eq!(service.call_policy("Get"), &service.policy.call);
    assert_eq!(config.policy_of("never named"), &config.defaults);
    assert_eq!(config.policy_of("s"), &service.policy);
}

#[test]
fn flags_alone_make_a_config() {
    let flags = Flags {
        etcd: vec!["http://127.0.0.1:2379".into()],
        service: Some("shop.item".into()),
        listen: Some("127.0.0.1:18890".into()),
    };
    let config = Config::implied(&flags).unwrap();
    assert_eq!(config.listeners[0].service.as_deref(), Some("shop.item"));
    assert_eq!(config.services[0].source, Source::Registry("etcd".into()));
    assert_eq!(config.registries[0].name(), &"etcd".into());

    let open = Flags {
        service: None,
        ..flags
    };
    let config = Config::implied(&open).unwrap();
    assert_eq!(config.listeners[0].registry.as_deref(), Some("etcd"));
    assert_eq!(config.listeners[0].service, None);
}

#[test]
fn flags_add_to_files_and_are_checked_like_them() {
    let flags = Flags {
        service: Some("shop.cart".into()),
        listen: Some("localhost:18895".into()),
        ..Flags::default()
    };
    let file = examples().join("minimal.toml");
    let errors = Config::load_with(std::slice::from_ref(&file), &flags).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors}");
    assert_eq!(errors[0].spot.as_ref().unwrap().file, "command line");
    assert!(
        errors[0].to_string().contains("write \"127.0.0.1:18895\""),
        "{errors}"
    );

    let flags = Flags {
        listen: Some("127.0.0.1:18895".into()),
        ..flags
    };
    let config = Config::load_with(std::slice::from_ref(&file), &flags).unwrap();
    assert_eq!(config.listeners.len(), 2);
    let cart = config.service("shop.cart").unwrap();
    assert_eq!(cart.source, Source::Registry("main".into()));

    // A second registry makes it unclear which one the file's own listener means.
    let flags = Flags {
        etcd: vec!["http://127.0.0.1:2380".into()],
        ..flags
    };
    let errors = Config::load_with(&[file], &flags).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors}");
    assert!(
        errors.to_string().contains("several: \"main\", \"etcd\""),
        "{errors}"
    );
}

#[test]
fn nothing_at_all_says_what_to_add() {
    let errors = Config::load(&[]).unwrap_err();
    assert!(errors.to_string().contains("add [[listener]]"), "{errors}");
    let empty = Config::from_str("t", "").unwrap_err().to_string();
    assert!(
        empty.contains("found none in t; add [[listener]]"),
        "{empty}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, b"a = 1\nb = \"\xff\"\n").unwrap();
    let errors = Config::load(&[missing, folder.path().into(), binary])
        .unwrap_err()
        .to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 3, "{errors}");
    assert!(
        lines[0].contains("missing.toml: cannot be read"),
        "{errors}"
    );
    assert!(lines[1].contains("directory"), "{errors}");
    assert!(
        lines[2].contains("binary.toml:2: expected UTF-8"),
        "{errors}"
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_their_file() {
    let config = example("file-registry.toml");
    let Registry::File(file) = &config.registries[0] else {
        panic!("it is a file registry");
    };
    assert_eq!(file.path, examples().join("instances.toml"));
    assert!(file.path.exists());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "[a-z\\[\\]{}='\"${}:0-9 .\\n#é]{0,200}") {
        let _ = Config::from_str("any", &text);
    }

    #[test]
    fn no_damage_to_an_example_makes_loading_panic(at in 0_usize..12_000, cut in 0_usize..40, put in "\\PC{0,8}") {
        let mut text = everything();
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) { at -= 1; }
            at
        };
        let (start, end) = (floor(at), floor(at + cut));
        text.replace_range(start..end, &put);
        if let Err(errors) = Config::from_str("damaged", &text) {
            proptest::prop_assert!(!errors.to_string().is_empty());
        }
    }
}
