#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::registry::Unwatched;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn text(addresses: &[&str]) -> String {
    let entry =
        |address: &&str| format!("[[instance]]\nservice = \"item\"\naddress = \"{address}\"\n");
    addresses.iter().map(entry).collect()
}

struct Bench {
    folder: TempDir,
    registry: FileRegistry,
    known: watch::Receiver<Known>,
}

fn start(content: Option<&str>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.toml");
    if let Some(content) = content {
        std::fs::write(&path, content).unwrap();
    }
    let registry = FileRegistry::new(
        FileOptions {
            name: "file".to_owned(),
            path,
        },
        Arc::new(Unwatched),
    );
    let known = registry.watch("item");
    Bench {
        folder,
        registry,
        known,
    }
}

impl Bench {
    fn path(&self) -> PathBuf {
        self.folder.path().join("items.toml")
    }

    fn write(&self, content: &str) {
        std::fs::write(self.path(), content).unwrap();
    }

    async fn sees(&mut self, addresses: &[&str]) {
        let wanted = |known: &Known| match known {
            Known::Read(set) => set
                .instances
                .iter()
                .map(|one| one.address.as_str())
                .eq(addresses.iter().copied()),
            _ => false,
        };
        timeout(PATIENCE, self.known.wait_for(wanted))
            .await
            .unwrap()
            .unwrap();
    }

    async fn fails_with(&self, words: &str) {
        let failing = async {
            loop {
                let status = self.registry.status();
                if !status.up && status.last_error.is_some_and(|error| error.contains(words)) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, failing).await.unwrap();
    }
}

#[tokio::test]
async fn a_written_and_a_renamed_file_are_read() {
    let mut bench = start(Some(&text(&["10.0.0.1:1"])));
    bench.sees(&["10.0.0.1:1"]).await;
    bench.write(&text(&["10.0.0.1:1", "10.0.0.2:1"]));
    bench.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    for at in 3..6 {
        let beside = bench.folder.path().join("items.toml.swp");
        let address = format!("10.0.0.{at}:1");
        std::fs::write(&beside, text(&[&address])).unwrap();
        std::fs::rename(&beside, bench.path()).unwrap();
        bench.sees(&[&address]).await;
    }
    assert!(bench.registry.status().up);
}

#[tokio::test]
async fn a_missing_file_keeps_the_last_set_and_its_return_is_noticed() {
    let mut bench = start(Some(&text(&["10.0.0.1:1"])));
    bench.sees(&["10.0.0.1:1"]).await;
    std::fs::remove_file(bench.path()).unwrap();
    bench.fails_with("cannot be read").await;
    bench.sees(&["10.0.0.1:1"]).await;
    bench.write(&text(&["10.0.0.2:1"]));
    bench.sees(&["10.0.0.2:1"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_last_set_and_stays_a_failure_until_it_is_mended() {
    let mut bench = start(Some(&text(&["10.0.0.1:1"])));
    bench.sees(&["10.0.0.1:1"]).await;
    bench.write("[[instance]]\nservice = 3\n");
    bench.fails_with("items.toml:2:11: ").await;
    sleep(POLL + DEBOUNCE * 5).await;
    assert!(
        !bench.registry.status().up,
        "looking at it again does not make it good"
    );
    bench.sees(&["10.0.0.1:1"]).await;
    bench.write(&text(&["10.0.0.2:1"]));
    bench.sees(&["10.0.0.2:1"]).await;
}

#[tokio::test]
async fn a_file_that_comes_late_in_a_folder_that_comes_late_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/items.toml");
    let options = FileOptions {
        name: "file".to_owned(),
        path: path.clone(),
    };
    let registry = FileRegistry::new(options, Arc::new(Unwatched));
    let known = registry.watch("item");
    let mut bench = Bench {
        folder,
        registry,
        known,
    };
    bench.fails_with("cannot be read").await;
    assert!(matches!(*bench.known.borrow(), Known::Unread));
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text(&["10.0.0.1:1"])).unwrap();
    bench.sees(&["10.0.0.1:1"]).await;
}

#[tokio::test]
async fn a_service_hears_only_of_its_own_changes() {
    let mut bench = start(Some(&text(&["10.0.0.1:1"])));
    bench.sees(&["10.0.0.1:1"]).await;
    let mut stock = bench.registry.watch("stock");
    let seen = |known: &Known| matches!(known, Known::Read(set) if set.instances.is_empty());
    timeout(PATIENCE, stock.wait_for(seen))
        .await
        .unwrap()
        .unwrap();
    bench.known.mark_unchanged();
    bench.write(&format!(
        "{}[[instance]]\nservice = \"stock\"\naddress = \"10.0.0.9:1\"\n",
        text(&["10.0.0.1:1"])
    ));
    let seen = |known: &Known| matches!(known, Known::Read(set) if set.instances.len() == 1);
    timeout(PATIENCE, stock.wait_for(seen))
        .await
        .unwrap()
        .unwrap();
    assert!(!bench.known.has_changed().unwrap());
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Watcher for Count {
    fn update(&self, _kind: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_save_in_many_steps_is_one_change() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.toml");
    std::fs::write(&path, text(&["10.0.0.1:1"])).unwrap();
    let count = Arc::new(Count::default());
    let options = FileOptions {
        name: "file".to_owned(),
        path: path.clone(),
    };
    let registry = FileRegistry::new(options, Arc::clone(&count) as _);
    let known = registry.watch("item");
    let mut bench = Bench {
        folder,
        registry,
        known,
    };
    bench.sees(&["10.0.0.1:1"]).await;
    let mut file = std::fs::File::create(&path).unwrap();
    for line in text(&["10.0.0.2:1", "10.0.0.3:1"]).lines() {
        writeln!(file, "{line}").unwrap();
        std::fs::write(bench.folder.path().join("noise.log"), line).unwrap();
    }
    drop(file);
    bench.sees(&["10.0.0.2:1", "10.0.0.3:1"]).await;
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_services_of_the_file_are_listed_by_what_their_names_begin_with() {
    let of = |service: &str| text(&["10.0.0.1:1"]).replace("\"item\"", &format!("\"{service}\""));
    let bench = start(Some(&(of("shop.a") + &of("shop.b") + &of("stock"))));
    let sees = async |listing: &mut watch::Receiver<Listing>, names: &[&str]| {
        let is_so = |it: &Listing| match it {
            Listing::Read(read) => read.iter().map(|name| &**name).eq(names.iter().copied()),
            _ => false,
        };
        timeout(PATIENCE, listing.wait_for(is_so))
            .await
            .unwrap()
            .unwrap();
    };
    let (mut all, mut shop) = (bench.registry.list(""), bench.registry.list("shop."));
    sees(&mut all, &["shop.a", "shop.b", "stock"]).await;
    sees(&mut shop, &["shop.a", "shop.b"]).await;
    bench.write(&(of("shop.b") + &of("user")));
    sees(&mut all, &["shop.b", "user"]).await;
    sees(&mut shop, &["shop.b"]).await;
}

#[tokio::test]
async fn one_look_reads_the_file_without_watching_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.toml");
    let registry = FileRegistry::unwatched(FileOptions {
        name: "file".to_owned(),
        path: path.clone(),
    });
    let failed = registry.survey(Ask::default()).await.failed.unwrap();
    assert_eq!(failed.step, "file");
    assert!(failed.text.contains("items.toml"), "{}", failed.text);

    std::fs::write(&path, text(&["10.0.0.1:1", "10.0.0.2:1"])).unwrap();
    let all = registry.survey(Ask::default()).await;
    assert!(all.failed.is_none() && all.members.is_empty());
    assert_eq!(
        all.names.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["item"]
    );
    assert_eq!(all.services[0].set.instances.len(), 2);
    let services = vec!["itme".into(), "item".into()];
    let asked = registry.survey(Ask::of(services)).await.services;
    let counts: Vec<_> = asked
        .iter()
        .map(|it| (&*it.name, it.set.instances.len()))
        .collect();
    assert_eq!(counts, [("itme", 0), ("item", 2)]);

    std::fs::write(&path, "[[instance]]\naddress = 1\n").unwrap();
    let broken = registry.survey(Ask::default()).await.failed.unwrap();
    assert!(broken.text.contains("items.toml:"), "{}", broken.text);
}
