#![allow(clippy::unwrap_used)]

use super::*;

fn instance(address: &str) -> Instance {
    Instance {
        address: address.to_owned(),
        network: "tcp".to_owned(),
        key: format!("p/item/{address}"),
        weight: 30,
        tags: BTreeMap::from([("zone".to_owned(), "b".to_owned())]),
        revision: 4,
        notes: Vec::new(),
    }
}

fn set_of(addresses: &[&str]) -> ReadSet {
    let instances = addresses
        .iter()
        .map(|address| Arc::new(instance(address)))
        .collect();
    ReadSet {
        instances,
        skipped: Vec::new(),
        at: Instant::now(),
        stale: false,
    }
}

#[test]
fn what_was_saved_is_loaded_as_stale() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    assert!(state.load("item").is_none());
    state
        .save("item", &set_of(&["10.0.0.1:1", "10.0.0.2:1"]))
        .unwrap();
    let loaded = state.load("item").unwrap();
    assert!(loaded.stale);
    assert_eq!(
        loaded.instances,
        set_of(&["10.0.0.1:1", "10.0.0.2:1"]).instances
    );
    assert!(StateDir::new(dir.path(), "other").load("item").is_none());
}

#[test]
fn an_empty_set_overwrites_but_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    state.save("anything", &set_of(&[])).unwrap();
    assert!(!dir.path().join("main").exists());
    state.save("item", &set_of(&["10.0.0.1:1"])).unwrap();
    state.save("item", &set_of(&[])).unwrap();
    assert!(state.load("item").unwrap().instances.is_empty());
}

#[test]
fn names_of_services_never_leave_the_folder_nor_meet_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    let names = [
        "..",
        "../x",
        "a/b",
        "a%2fb",
        "shop.item",
        "Shop.item",
        ".hidden",
        "\u{e9}",
        "a\0b",
    ];
    for (at, name) in names.iter().enumerate() {
        state
            .save(name, &set_of(&[&format!("10.0.0.{at}:1")]))
            .unwrap();
    }
    for (at, name) in names.iter().enumerate() {
        assert_eq!(
            state.load(name).unwrap().instances[0].address,
            format!("10.0.0.{at}:1"),
            "{name}"
        );
    }
    let files = std::fs::read_dir(dir.path().join("main")).unwrap().count();
    assert_eq!(files, names.len());
    state
        .save(&"x".repeat(300), &set_of(&["10.0.0.1:1"]))
        .unwrap();
    assert!(
        state.load(&"x".repeat(300)).is_none(),
        "too long a name is not kept"
    );
}

#[test]
fn a_broken_file_is_no_set() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    state.save("item", &set_of(&["10.0.0.1:1"])).unwrap();
    let path = dir.path().join("main/item.json");
    let good = std::fs::read_to_string(&path).unwrap();
    for text in [
        "",
        "{",
        &good[..good.len() / 2],
        &good.replace("\"item\"", "\"other\""),
        &good.replace("\"version\": 1", "\"version\": 2"),
    ] {
        std::fs::write(&path, text).unwrap();
        assert!(state.load("item").is_none(), "{text:.20}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_set_is_written_though_the_saver_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    let saver = Saver::spawn(state.clone(), "item".into());
    saver.save(Arc::new(set_of(&["10.0.0.1:1"])));
    tokio::task::yield_now().await;
    saver.save(Arc::new(set_of(&["10.0.0.2:1"])));
    drop(saver);
    for _ in 0..1000 {
        if state
            .load("item")
            .is_some_and(|set| set.instances[0].address == "10.0.0.2:1")
        {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the last set was not written");
}

#[test]
fn the_services_of_an_earlier_run_are_told_by_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::new(dir.path(), "main");
    assert!(state.services().is_empty());
    for name in ["shop.item", "Shop/\u{e9}%", ".hidden"] {
        state.save(name, &set_of(&["10.0.0.1:1"])).unwrap();
    }
    for other in [
        "%zz.json",
        "%e.json",
        "A.json",
        "item.json.new",
        "notes.txt",
    ] {
        std::fs::write(dir.path().join("main").join(other), "").unwrap();
    }
    let names: Vec<_> = state.services().iter().map(ToString::to_string).collect();
    assert_eq!(names, [".hidden", "Shop/\u{e9}%", "shop.item"]);
}
