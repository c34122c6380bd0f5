#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tracing::subscriber::with_default;
use tracing::{debug, info};

use super::*;

fn to_file(path: &Path) -> Log {
    Log {
        file: Some(path.to_owned()),
        ..Log::default()
    }
}

/// What a log with this config writes while `events` runs. One at a time: the highest level of all logs is the
/// process's, and two that change theirs at once can leave it too low for one of them.
fn logged(config: &Log, events: impl FnOnce(&LogHandle)) -> LogHandle {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let (subscriber, handle) = build(config, None).unwrap();
    with_default(subscriber, || events(&handle));
    handle
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn after_a_rotation_lines_go_to_the_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
    logged(&to_file(&path), |log| {
        info!("first");
        fs::rename(&path, &old).unwrap();
        info!("second");
        log.reopen().unwrap();
        info!("third");
    });
    assert!(read(&old).contains("first") && read(&old).contains("second"));
    assert!(!read(&old).contains("third"));
    assert!(read(&path).contains("third") && !read(&path).contains("second"));
}

#[test]
fn a_rotation_that_fails_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, moved) = (dir.path().join("inner"), dir.path().join("moved"));
    fs::create_dir(&inner).unwrap();
    logged(&to_file(&inner.join("log")), |log| {
        fs::rename(&inner, &moved).unwrap();
        assert!(log.reopen().is_err());
        info!("still here");
    });
    assert!(read(&moved.join("log")).contains("still here"));
}

#[test]
fn a_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "before\n").unwrap();
    logged(&to_file(&path), |_| info!("after"));
    assert!(read(&path).starts_with("before\n") && read(&path).contains("after"));
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("log");
    let error = build(&to_file(&path), None).err().unwrap();
    assert!(matches!(error, LogError::Open { .. }));
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_text_line_has_time_level_words_and_fields_without_colour() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    logged(&to_file(&path), |_| {
        info!(service = "shop.item", "endpoint added");
    });
    let line = read(&path);
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.contains('T'), "{line}");
    assert_eq!(rest.trim(), "INFO endpoint added service=\"shop.item\"");
}

#[test]
fn an_event_of_several_lines_cannot_be_taken_for_several_events() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    logged(&to_file(&path), |_| {
        info!("from a peer: {}", "a\n2026-01-01T00:00:00Z ERROR forged\n");
    });
    let text = read(&path);
    assert!(
        text.contains("\n    2026-01-01T00:00:00Z ERROR forged"),
        "{text}"
    );
    assert!(!text.contains("\n2026"), "{text}");
}

#[test]
fn json_is_one_object_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let config = Log {
        format: LogFormat::Json,
        ..to_file(&path)
    };
    logged(&config, |_| info!(calls = 7, "two\nlines"));
    let text = read(&path);
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&line["level"], &line["calls"]),
        (&"INFO".into(), &7.into())
    );
    assert_eq!(line["message"], "two\nlines");
}

#[test]
fn a_level_set_takes_effect_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    logged(&to_file(&path), |log| {
        debug!("unseen");
        log.set_level("warn, tidegate::log = debug").unwrap_err();
        log.set_level(" warn, tidegate::log=debug ").unwrap();
        assert_eq!(log.level(), "warn,tidegate::log=debug");
        debug!("seen");
        log.set_level("off").unwrap();
        info!("silence");
    });
    let text = read(&path);
    assert!(text.contains("seen") && !text.contains("unseen"), "{text}");
    assert!(!text.contains("silence"), "{text}");
}

#[test]
fn a_bad_directive_is_named_and_changes_nothing() {
    let handle = logged(&Log::default(), |_| {});
    for (text, named) in [
        ("info,tidegate=loud", "\"tidegate=loud\""),
        ("inof", "\"inof\""),
        ("info,,debug", "\"\""),
        ("", "\"\""),
        ("info, é=x", "\"é=x\""),
        ("[{", "\"[{\""),
    ] {
        let error = handle.set_level(text).unwrap_err();
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
    assert_eq!(handle.level(), "info");
}

#[test]
fn a_reload_follows_level_format_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    logged(&to_file(&one), |log| {
        info!("first");
        let new = Log {
            format: LogFormat::Json,
            level: "debug".into(),
            file: Some(two.clone()),
        };
        log.apply(&new).unwrap();
        debug!("second");
    });
    assert!(!read(&one).contains("second"));
    let line: serde_json::Value = serde_json::from_str(&read(&two)).unwrap();
    assert_eq!(line["message"], "second");
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    logged(&to_file(&path), |log| {
        let new = Log {
            level: "debug".into(),
            ..to_file(&dir.path().join("missing").join("log"))
        };
        assert!(log.apply(&new).is_err());
        assert_eq!(log.level(), "info");
        info!("still here");
    });
    assert!(read(&path).contains("still here"));
}

#[test]
fn a_level_set_by_hand_outlives_a_reload_of_other_things() {
    let handle = logged(&Log::default(), |_| {});
    handle.set_level("debug").unwrap();
    let mut config = Log {
        format: LogFormat::Json,
        ..Log::default()
    };
    handle.apply(&config).unwrap();
    assert_eq!(handle.level(), "debug");
    config.level = "warn".into();
    handle.apply(&config).unwrap();
    assert_eq!(handle.level(), "warn");
}

#[test]
fn the_environment_stands_over_the_config() {
    let over = Level::parse("trace").unwrap();
    let (_subscriber, handle) = build(&Log::default(), Some(over)).unwrap();
    let config = Log {
        level: "warn".into(),
        ..Log::default()
    };
    handle.apply(&config).unwrap();
    assert_eq!(handle.level(), "trace");
}

#[test]
fn a_second_init_is_the_first_one_s_log() {
    let quiet = Log {
        level: "off".into(),
        ..Log::default()
    };
    let first = init(&quiet).unwrap();
    let second = init(&quiet).unwrap();
    assert!(Arc::ptr_eq(&first.0, &second.0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_lines_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    // Every write fails there, as on a disk that is full.
    logged(&to_file(Path::new("/dev/full")), |log| {
        info!("lost");
        info!("lost as well");
        log.apply(&to_file(&path)).unwrap();
        info!("kept");
    });
    assert!(read(&path).contains("kept") && !read(&path).contains("lost"));
}
